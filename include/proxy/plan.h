#ifndef CURFEW_PROXY_PLAN_H
#define CURFEW_PROXY_PLAN_H

#include <stdint.h>

#include "base/list.h"
#include "base/status.h"

struct access_log;
struct edition;
struct pool;
struct proxy_worker;

/* What the workers share once an edition is in force; the main thread's, who leaves it alone while they look at it. */
struct blueprint {
    struct edition *edition;
    struct pool **pools;                              /* by number */
    uint32_t pool_count, upstream_count, route_count; /* numbers */
    struct list_node *doorsteps;
    struct access_log *log; /* NULL: off */
    int log_fd;             /* where it is to go from then on; -1: it goes there already */
};

/*
 * A worker's going over to another edition, in two steps: all that may fail is done by plan_make, so that nothing
 * has changed if one of the workers can't; plan_apply then can't fail. Worker's thread, or before it runs.
 */
struct plan;

enum status plan_make(struct proxy_worker *pw, const struct blueprint *blueprint) MUST_CHECK;
/* Puts what was made ready in force: new listeners, counters and connections for what is new, and the limits. */
void plan_apply(struct proxy_worker *pw);
/* Gives up what was made ready, if anything was. */
void plan_drop(struct proxy_worker *pw);

#endif
