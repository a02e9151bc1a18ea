#ifndef CURFEW_PROXY_PARTS_H
#define CURFEW_PROXY_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct access_log;
struct circuit;
struct fleet_change;
struct generation;
struct list_node;
struct pool;
struct proxy;
struct snapshot;

/* What the workers share once a generation is in force; the main thread leaves it alone while they look at it. */
struct generation_parts {
    struct generation *generation;
    struct pool **pools;                              /* by number */
    struct circuit **circuits;                        /* by number of a route */
    uint32_t pool_count, upstream_count, route_count; /* numbers */
    struct list_node *listeners;
    struct fleet_change *fleet; /* NULL: there is no fleet, and was none */
    struct access_log *log;     /* NULL: off */
    int log_fd;                 /* where it is to go from then on; -1: it goes there already */
};

/*
 * What the main thread does for a generation, the first one too. Opens and reads everything that the snapshot names;
 * false: nothing has changed, *snapshot is as it was, and *why (terminated) says what failed.
 */
bool parts_prepare(struct proxy *proxy, struct snapshot **snapshot, struct generation_parts *parts, char *why,
                   size_t why_cap) __attribute__((warn_unused_result));
/* Gives all that up, and the snapshot with it. */
void parts_abort(struct proxy *proxy, struct generation_parts *parts);
/* Puts it in force, as far as the main thread goes. */
void parts_commit(struct proxy *proxy, struct generation_parts *parts);

#endif
