#ifndef CURFEW_PROXY_RELOAD_H
#define CURFEW_PROXY_RELOAD_H

#include <stdbool.h>

#include "config/snapshot.h"

struct proxy;

/*
 * Going over to another configuration while calls run. The order: open and read all that it names; have every worker
 * make ready what it needs; and only when nothing can fail any more, have them go over, each between two calls. So
 * a configuration that can't be had changes nothing.
 *
 * Calls in flight end under the generation in which they began. Pools, counters and listeners go by their names and
 * addresses: what is in both configurations stays, with what it holds.
 */

/* `why` is NULL if the new configuration is in force. */
typedef void (*reload_fn)(void *arg, const char *why);

/* Takes the snapshot over. `done` runs once, later or from within; none is under way. Main thread. */
void proxy_reload(struct proxy *proxy, struct snapshot *snapshot, reload_fn done, void *arg);

/* Forgets the one under way, when all workers have ended. */
void reload_free(struct proxy *proxy);

#endif
