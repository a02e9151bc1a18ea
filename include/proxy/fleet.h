#ifndef CURFEW_PROXY_FLEET_H
#define CURFEW_PROXY_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/snapshot.h"
#include "proxy/fleet_pool.h"
#include "stats/metric.h"

struct fleet;
struct loop;
struct pool;

/*
 * This curfew's part in a fleet (core/block): who it is, its connection to the store, and an agent for each pool that
 * has a name in the fleet. All of it on the main thread; no call ever waits for it.
 *
 * A reload keeps it: pools that stay in the fleet keep what they were lent, and the connection stays if nothing about
 * the store has changed.
 */

/* What is said of it to operators. */
typedef void (*fleet_say_fn)(void *arg, enum fleet_gravity gravity, const char *line);

/* All is borrowed, and outlives it. NULL: no memory. */
struct fleet *fleet_new(struct loop *loop, fleet_say_fn say, void *arg);
/* Leaves the store as it is: what was lent comes back to others when its time is over. */
void fleet_free(struct fleet *fleet);

/* What a configuration makes of it. */
struct fleet_change;
/* NULL: *why says why. Nothing has changed yet. */
struct fleet_change *fleet_prepare(struct fleet *fleet, const struct snapshot *snapshot, char *why,
                                   size_t why_cap);
void fleet_abort(struct fleet *fleet, struct fleet_change *change);
/* `pools`, by number, have their terms of this snapshot by now. */
void fleet_commit(struct fleet *fleet, struct fleet_change *change, const struct snapshot *snapshot,
                  struct pool *const *pools);

/* No call is held any more: what was lent goes back, and then `done` runs; at once if there is none to give to. */
void fleet_leave(struct fleet *fleet, void (*done)(void *arg), void *arg);

/* False: the pool of this number is none of the fleet's; there may be no fleet at all. */
bool fleet_figures(const struct fleet *fleet_or_null, uint32_t pool, struct fleet_figures *out);

/* Of its store. False: there is none. */
struct fleet_store_figures {
    uint64_t connected; /* 1: there is a connection */
    double clock_step_seconds;
    double ride_out_seconds; /* as it is configured */
    const struct metric_histogram *round_trips;
};
bool fleet_store_figures(const struct fleet *fleet_or_null, struct fleet_store_figures *out);

#endif
