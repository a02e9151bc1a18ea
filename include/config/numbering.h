#ifndef CURFEW_CONFIG_NUMBERING_H
#define CURFEW_CONFIG_NUMBERING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "config/snapshot.h"

/*
 * Which number an upstream, a route or a pool has: the place of its counters, connections and permits in the arrays of
 * a running process. A name keeps its number over reloads, for as long as one snapshot in use has it; so what stays
 * in the configuration keeps all that belongs to it, whatever comes or goes beside it. A number that nobody uses any
 * more goes to the next newcomer, so numbers stay about as many as there are names.
 *
 * One thread. Zero is empty.
 */
struct number_table {
    struct numbered *list;
    uint32_t count, cap;
};

struct numbering {
    struct number_table upstreams, routes, pools;
};

/*
 * Gives all that the snapshot names its numbers: `index` of upstreams, routes and pools, and of routes `pool` and
 * `circuit`; `is_new` tells a newcomer, whose place may hold what another one left. The snapshot is fresh from
 * config_load, and seen by nobody else yet. ST_NOMEM: nothing has changed.
 */
enum status numbering_take(struct numbering *numbering, struct snapshot *snapshot) MUST_CHECK;

/* The snapshot is not in use any more. */
void numbering_release(struct numbering *numbering, const struct snapshot *snapshot);

void numbering_fini(struct numbering *numbering);

#endif
