#ifndef CURFEW_RUNTIME_STORE_MASTER_H
#define CURFEW_RUNTIME_STORE_MASTER_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/store_cluster.h"
#include "runtime/store_sentinel.h"

/*
 * Keeps a cluster's first node connected to the master: asks where it is, connects, and does so anew when the
 * connection has gone or could not be made. Each of the spec's places is tried once, then it waits: a time drawn
 * evenly, up to 50 ms at first and up to a second in the end, so that the hosts of a fleet do not come back together.
 * The loop's thread.
 */
struct store_master;

struct store_master_events {
    /* What has gone wrong, and where. It has not been told just before. */
    void (*down)(struct store_master *master, enum store_fault fault, const char *why);
    /* All places were tried in vain, or the connection has gone: nothing happens for a moment. */
    void (*waits)(struct store_master *master, enum store_fault fault, const char *why);
};

struct store_master {
    struct store_ground *ground;
    struct store_node *node;
    const struct store_master_events *events;
    struct store_sentinel sentinel;
    struct timer retry;
    uint32_t place;    /* that is tried now */
    uint32_t tried;    /* places in a row, since it waited last */
    uint32_t failures; /* waits in a row, since a connection that lived for a while */
    int64_t up_ns;
    bool was_up;
    int64_t told_ns; /* what was told last, and when; 0: nothing since it was up */
    enum store_fault told;
};

/* ST_NOMEM. Tries from the loop's next turn on. */
enum status store_master_init(struct store_master *master, struct store_node *node,
                              const struct store_master_events *events) MUST_CHECK;
void store_master_fini(struct store_master *master);

/* The node's events. */
void store_master_is_up(struct store_master *master);
void store_master_has_closed(struct store_master *master);

#endif
