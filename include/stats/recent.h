#ifndef CURFEW_STATS_RECENT_H
#define CURFEW_STATS_RECENT_H

#include <stdint.h>

#include "stats/metric.h"

/*
 * What happened at an upstream in the last minute, of which no series is kept: why calls were rejected, what retries
 * did, how soon streams began. Counters as they stood every 10 s; what is asked for is the difference to the oldest of
 * them, 50 to 60 s ago. Pure: the second comes in.
 */
#define RECENT_STEP_S 10
#define RECENT_MARKS  6

/* Counters of an upstream since its beginning, over all its routes. */
struct recent_totals {
    uint64_t rejected[CAUSE_COUNT];
    uint64_t retries, saved; /* tries after a call's first; calls that one of them has saved */
    uint64_t budget_stops;   /* calls that needed one more and had no token */
    uint64_t dns_stale;      /* connections by an old answer, as DNS fails */
    uint64_t h2_callers;     /* calls that came by HTTP/2, */
    uint64_t h2_apis;        /* that went by it */
    struct metric_histogram first_event;
};

struct recent {
    struct recent_totals last;                /* as they stand */
    struct recent_totals marks[RECENT_MARKS]; /* a ring */
    uint32_t count, newest;                   /* of the marks */
    int64_t marked;                           /* the second of the newest */
};

void recent_add_route(struct recent_totals *totals, const struct route_metrics *route);
void recent_add_upstream(struct recent_totals *totals, const struct upstream_metrics *upstream);

/* What was counted in `totals` before is no part of it. */
void recent_begin(struct recent *recent, int64_t second, const struct recent_totals *totals);

/* The counters stand like this; seconds rise. Counters that are below those before have begun anew. */
void recent_put(struct recent *recent, int64_t second, const struct recent_totals *totals);

struct recent_totals recent_minute(const struct recent *recent);

#endif
