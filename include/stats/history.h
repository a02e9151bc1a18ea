#ifndef CURFEW_STATS_HISTORY_H
#define CURFEW_STATS_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "stats/history_quantile.h"
#include "stats/metric.h"

/*
 * The last 15 minutes of one upstream, second by second: a ring of fixed size, fed with the counters as they stand.
 * What happened in a second is the difference; seconds that nobody looked at are gaps, and what happened in them is
 * in the next one. Seconds are counted from an instant that the owner chose, 0 on. Pure: the second comes in.
 */
#define HISTORY_SECONDS 900u

/*
 * One second, or several: how many calls ended, how, and after how long; what responses began; and the pool at its end,
 * or at its fullest.
 */
struct history_sample {
    uint32_t completed, failed, rejected, abandoned;
    uint32_t server_errors, too_many; /* responses: 5xx, or none that there is (code_counts.h); 429 */
    uint32_t stuck[PHASE_COUNT];
    uint32_t p50_us, p99_us; /* microseconds from first byte to end, of all that ended */
    uint32_t held, waiting;
};

/* Counters of an upstream since its beginning, over all its routes. */
struct history_totals {
    uint64_t completed, failed, rejected, abandoned;
    uint64_t server_errors, too_many;
    uint64_t stuck[PHASE_COUNT];
    struct metric_histogram duration;
};

struct history {
    struct history_totals last;                     /* as they stood at the end of `newest` */
    int64_t newest;                                 /* second; -1: none yet */
    uint32_t count;                                 /* samples that there are, at most HISTORY_SECONDS */
    struct history_sample samples[HISTORY_SECONDS]; /* by second % HISTORY_SECONDS */
};

/* What was counted in `totals` before is no part of it. */
void history_begin(struct history *history, const struct history_totals *totals);

void history_add_route(struct history_totals *totals, const struct route_metrics *route);
void history_add_upstream(struct history_totals *totals, const struct upstream_metrics *upstream);

/* The pool, and the longest that a call of these may have taken: no percentile is above it. */
struct history_state {
    uint32_t held, waiting;
    int64_t longest_ns;
};

/*
 * The second is over, and the counters stand like this. The same second again adds to it; an earlier one is taken for
 * the newest. Counters that are below those before have begun anew: then all that they say is new.
 */
void history_put(struct history *history, int64_t second, const struct history_totals *totals,
                 const struct history_state *state);

/* The oldest second that is there; 0 if there is none. */
int64_t history_oldest(const struct history *history) __attribute__((pure));

/*
 * The seconds from `from` to before `to` as one: counts are added up, of the 99th percentile and of the pool's
 * figures it is the highest, of the medians their mean, weighted by calls. What is not there counts nothing.
 */
struct history_sample history_sum(const struct history *history, int64_t from, int64_t to);

#endif
