#ifndef CURFEW_ADMIN_ADMIN_H
#define CURFEW_ADMIN_ADMIN_H

#include <event2/event.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "config/snapshot.h"
#include "proxy/proxy.h"

/*
 * The admin listener: what operators and their tools ask curfew. It lives on the main thread's loop, away from the calls, and
 * reaches the workers by mail alone, so a slow or hostile client of it costs them nothing.
 */
struct admin;

/*
 * Listens on snapshot->admin. All pointers are borrowed, `version` too, and outlive the admin; a unix socket gets mode 0660.
 * NULL: nothing is left open, and `why` (terminated, at most why_cap bytes) says what failed. Thread of `base`.
 */
struct admin *admin_new(struct event_base *base, const struct snapshot *snapshot, struct proxy *proxy,
                        const char *version, char *why, size_t why_cap);

/*
 * Closes everything; requests under way are cut. Mail from the workers may be on its way to it as long as they run:
 * so end the workers' threads first (their last mail is taken in here), then this, then free the proxy's memory.
 */
void admin_free(struct admin *admin);

/* The port that it really listens on; 0 for a unix socket. */
uint16_t admin_port(const struct admin *admin);

/* Where it really listens: "127.0.0.1:9600", "[::1]:9600", "unix:/run/curfew/admin.sock". */
void admin_put_address(const struct admin *admin, struct text *out);

#endif
