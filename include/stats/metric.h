#ifndef CURFEW_STATS_METRIC_H
#define CURFEW_STATS_METRIC_H

#include <stdbool.h>
#include <stdint.h>

#include "core/breaker.h"
#include "core/cause.h"
#include "core/ejection.h"
#include "core/grpc_code.h"
#include "core/handshake_failure.h"
#include "stats/code_counts.h"
#include "stats/exposition.h"
#include "core/name_age.h"
#include "core/phase.h"
#include "core/race.h"
#include "core/retry_policy.h"
#include "core/tunnel.h"
#include "core/verdict.h"
#include "stats/duration_histogram.h"
#include "stats/start_times.h"

/*
 * The counters of one worker, or the sum of several: a plain block that its owner alone writes. A scrape has each
 * worker add its block to a sum on the worker's own thread between two calls, so no counter is atomic and the sum is
 * exact.
 */

enum metric_direction { DIRECTION_UP, DIRECTION_DOWN, DIRECTION_COUNT };
enum metric_side { SIDE_DOWNSTREAM, SIDE_UPSTREAM, SIDE_UPSTREAM_IDLE, SIDE_COUNT };
enum metric_result { RESULT_SUCCESS, RESULT_FAILURE, RESULT_COUNT };

/* Cells by phase and age: phase * AGE_COUNT + age. */
enum metric_age { AGE_UNDER_1S, AGE_1S, AGE_5S, AGE_30S, AGE_COUNT };

/* Cells by class of status code; see metric_class. The first is of tunnels. */
#define CLASS_COUNT     5
/* And of what came of a call that was cut: nothing. */
#define LATE_CLASS_NONE CLASS_COUNT
#define LATE_COUNT      (CLASS_COUNT + 1)

#define METRIC_BUCKETS  16

struct metric_histogram {
    uint64_t bucket[METRIC_BUCKETS]; /* not cumulative; the last one is +Inf */
    double sum;                      /* seconds, or a ratio */
};

struct route_metrics {
#define ROUTE_COUNTER(field, name, label, cells, help)  uint64_t field[cells];
#define ROUTE_SEEN(field, name, label, cells, help)     uint64_t field[cells];
#define ROUTE_STATE(field, name, label, cells, help)    uint64_t field[cells];
#define REPORT_COUNTER(field, name, label, cells, help) uint64_t field[cells];
#define TUNNEL_GAUGE(field, name, label, cells, help)   uint64_t field[cells];
#define TUNNEL_COUNTER(field, name, label, cells, help) uint64_t field[cells];
#include "stats/metrics.def"
};

struct upstream_metrics {
#define UPSTREAM_COUNTER(field, name, label, cells, help) uint64_t field[cells];
#define UPSTREAM_GAUGE(field, name, label, cells, help)   uint64_t field[cells];
#define UPSTREAM_STATE(field, name, label, cells, help)   uint64_t field[cells];
#define UPSTREAM_SELDOM(field, name, label, cells, help)  uint64_t field[cells];
#define FORWARD_COUNTER(field, name, label, cells, help)  uint64_t field[cells];
#define UPSTREAM_HISTOGRAM(field, name, bounds, help)     struct metric_histogram field;
#define STREAM_HISTOGRAM(field, name, bounds, help)       struct metric_histogram field;
#define UPSTREAM_CODES(field, name, help)                 struct code_counts field;
#include "stats/metrics.def"
};

struct process_metrics {
#define PROCESS_COUNTER(field, name, label, cells, help) uint64_t field[cells];
#define PROCESS_GAUGE(field, name, label, cells, help)   uint64_t field[cells];
#include "stats/metrics.def"
};

/* What is known finely of a route's calls: how long they took, and of those that were streams apart: */
enum metric_spread {
    SPREAD_CALLS,        /* how long all others took */
    SPREAD_STREAMS,      /* how long they took */
    SPREAD_FIRST_EVENTS, /* from the request sent to the first event */
    SPREAD_GAPS,         /* the longest time without an event */
    SPREAD_COUNT
};

struct metrics {
    uint32_t upstream_count;
    uint32_t route_count;
    struct process_metrics process;
    struct upstream_metrics *upstreams; /* by upstream_config.index */
    struct route_metrics *routes;       /* by route_config.index */
    struct duration_histogram *
        *histograms; /* likewise, of SPREAD_CALLS; behind them metrics_spread's. NULL: none yet */
    struct start_times **start_times; /* likewise; NULL: nobody has wanted to know */
    bool lacks_histograms;            /* of a sum: there was no memory for all of them */
    bool lacks_codes;                 /* likewise for the counters of status codes */
};

/* The histogram of a route, NULL as long as there is none. */
static inline struct duration_histogram **metrics_spread(const struct metrics *metrics,
                                                         enum metric_spread spread, uint32_t route)
{
    return &metrics->histograms[spread * metrics->route_count + route];
}

/* All zero, on cache lines that nobody else's block shares. Heap; NULL without memory. */
struct metrics *metrics_new(uint32_t upstream_count, uint32_t route_count)
    __attribute__((warn_unused_result));
void metrics_free(struct metrics *metrics);

/* sum += part, cell by cell; `sum` has room for at least as many upstreams and routes. See sum->lacks_codes. */
void metrics_add(struct metrics *sum, const struct metrics *part);

/* The same, into a block that has counted nothing yet: what `part` has allocated moves, so that nothing is lacking. */
void metrics_take(struct metrics *to, struct metrics *part);

/* All gauges back to zero: they are to be filled in anew. */
void metrics_clear_gauges(struct metrics *metrics);

/* Likewise for the histograms of durations, which metrics_add leaves out: they are large, and seldom asked for. */
void metrics_add_histograms(struct metrics *sum, const struct metrics *part);

/* All back to zero. */
void metrics_clear(struct metrics *metrics);

/* Back to zero: the number is another one's now. */
void metrics_clear_upstream(struct metrics *metrics, uint32_t upstream);
void metrics_clear_route(struct metrics *metrics, uint32_t route);

/*
 * One observation, a few nanoseconds long: below 0 counts as 0; a bound is in its own bucket. What share of a whole
 * that is not above 0 was used? All of it: 1.
 */
void metric_observe_seconds(struct metric_histogram *histogram, int64_t ns);
void metric_observe_overshoot(struct metric_histogram *histogram, int64_t ns);
void metric_observe_ratio(struct metric_histogram *histogram, int64_t part_ns, int64_t whole_ns);

/* Of all cells of a counter. */
uint64_t metric_sum(const uint64_t *cells, uint32_t count) __attribute__((pure));

/* The cell of a status code from 100 on. One above 599 is to be understood as a 5xx (RFC 9110 15). */
static inline uint32_t metric_class(uint16_t code)
{
    return code < 600 ? code / 100U - 1 : CLASS_COUNT - 1;
}

/* The cell of a call in this phase that began so long ago. */
uint32_t metric_age_cell(enum phase phase, int64_t age_ns);

/* The upper bounds of a histogram's buckets but the last (+Inf), in nanoseconds or billionths, rising. */
extern const int64_t metric_bounds_SECONDS[METRIC_BUCKETS - 1];
extern const int64_t metric_bounds_OVERSHOOT[METRIC_BUCKETS - 1];
extern const int64_t metric_bounds_RATIO[METRIC_BUCKETS - 1];

/*
 * Names for the labels: what the route and upstream with this number are called. Terminated texts; NULL: the number is
 * nobody's, and there are no samples of it.
 */
struct metric_names {
    const char *(*upstream)(const void *arg, uint32_t upstream);
    const char *(*route)(const void *arg, uint32_t route);
    uint32_t (*upstream_of_route)(const void *arg, uint32_t route);
    const void *arg;
    bool (*is_forward)(const void *arg, uint32_t upstream); /* is it a forward proxy? NULL: none is */
};

/*
 * All families that are kept here, every cell that can ever count, zero or not. A cell of FAILED, REJECTED or REFUSED
 * can if the outcome of its cause is that one.
 */
void metrics_render(const struct metrics *metrics, const struct metric_names *names, struct exposition *out);

/* A family of one histogram without labels; `bounds` are its buckets'. */
void metrics_render_histogram(const char *name, const char *help, const int64_t *bounds,
                              const struct metric_histogram *histogram, struct exposition *out);

#endif
