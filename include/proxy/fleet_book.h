#ifndef CURFEW_PROXY_FLEET_BOOK_H
#define CURFEW_PROXY_FLEET_BOOK_H

#include <stdbool.h>
#include <stddef.h>

#include "config/snapshot.h"
#include "core/store_reply.h"

/*
 * Asks the store what it has written down of a pool of the fleet (src/proxy/fleet_book.lua says what `answer` is);
 * with `begins`, an operator says before that nobody calls. It takes as long as the store does, a few seconds at most.
 * False: *why (terminated) says why there is no answer.
 */
typedef void (*fleet_book_fn)(void *arg, const struct store_reply *answer);
bool fleet_book_ask(const struct snapshot *snapshot, const struct pool_config *pool, bool begins,
                    fleet_book_fn answered, void *arg, char *why, size_t why_cap);

#endif
