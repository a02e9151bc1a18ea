#ifndef CURFEW_CALL_GHOST_H
#define CURFEW_CALL_GHOST_H

#include <stdbool.h>
#include <stdint.h>

#include "core/cause.h"

struct call;
struct call_context;
struct call_list;
struct try;

/*
 * Ghosts (pool.linger). A call that is cut is over for its caller, and its connection is gone, but many an API works on
 * until it is done, and counts that work against its own cap: whoever gets the permit too soon is refused there. So the
 * permit stays held for a while, by a ghost: a ticket with a timer, and no call. It counts in the pool's `held`, so
 * held <= size says what it always said; a drain does not wait for it.
 *
 * It holds the generation of its call, for as long as that lasts its pool has its number. Worker's thread.
 */

/*
 * A try of the call ends in this way, and still has what its state holds. If its API may be working on, its permit is a
 * ghost's from now on, and try->lingers says so. Without memory for one, the permit goes back with the try, and
 * curfew_ghosts_missed_total counts it.
 */
void ghost_follow(struct call *call, struct try *try, enum cause cause);

/* Permits of the list's pool that ghosts hold. */
uint32_t ghosts_count(const struct call_list *list) __attribute__((pure));

/* All end at once, as the worker does. */
void ghosts_end(struct call_context *context);

#endif
