#ifndef CURFEW_PROXY_SWITCH_H
#define CURFEW_PROXY_SWITCH_H

#include <stdint.h>

#include "base/list.h"
#include "base/status.h"

struct access_log;
struct generation;
struct pool;
struct worker;

/* What the workers share once a generation is in force; the main thread leaves it alone while they look at it. */
struct generation_parts {
    struct generation *generation;
    struct pool **pools;                              /* by number */
    uint32_t pool_count, upstream_count, route_count; /* numbers */
    struct list_node *listeners;
    struct access_log *log; /* NULL: off */
    int log_fd;             /* where it is to go from then on; -1: it goes there already */
};

/*
 * A worker's going over to another generation, in two steps: all that may fail is done by switch_prepare, so that
 * nothing has changed if one of the workers can't; switch_commit then can't fail. Worker's thread, or before it runs.
 */
struct generation_switch;

enum status switch_prepare(struct worker *pw, const struct generation_parts *parts) MUST_CHECK;
/* Puts what was made ready in force: new listeners, counters and connections for what is new, and the limits. */
void switch_commit(struct worker *pw);
/* Gives up what was made ready, if anything was. */
void switch_abort(struct worker *pw);

#endif
