#include "stats/metric.h"

#include <string.h>

#include "base/invariant.h"
#include "base/mem.h"

#define US INT64_C(1000)
#define MS INT64_C(1000000)
#define S  INT64_C(1000000000)

const int64_t metric_bounds_SECONDS[METRIC_BUCKETS - 1] = {
    1 * MS,   2500 * US, 5 * MS,    10 * MS, 25 * MS, 50 * MS, 100 * MS, 250 * MS,
    500 * MS, 1 * S,     2500 * MS, 5 * S,   10 * S,  30 * S,  60 * S,
};

const int64_t metric_bounds_OVERSHOOT[METRIC_BUCKETS - 1] = {
    10 * US, 50 * US, 100 * US, 250 * US, 500 * US, 1 * MS,   2500 * US, 5 * MS,
    10 * MS, 25 * MS, 50 * MS,  100 * MS, 250 * MS, 500 * MS, 1 * S,
};

/* Close together towards 1, where one sees how near calls come to their deadlines. */
#define PERCENT (S / 100)
const int64_t metric_bounds_RATIO[METRIC_BUCKETS - 1] = {
    5 * PERCENT,  10 * PERCENT, 20 * PERCENT, 30 * PERCENT, 40 * PERCENT,
    50 * PERCENT, 60 * PERCENT, 70 * PERCENT, 75 * PERCENT, 80 * PERCENT,
    85 * PERCENT, 90 * PERCENT, 95 * PERCENT, 99 * PERCENT, 100 * PERCENT,
};

/*
 * Workers write their blocks all the time. With a cache line's room on either side of each, no other thread's data is
 * on a line with one, wherever the allocator puts it.
 */
#define CACHE_LINE 64

struct metrics *metrics_new(uint32_t upstream_count, uint32_t route_count)
{
    size_t upstream_bytes = upstream_count * sizeof(struct upstream_metrics);
    size_t route_bytes = route_count * sizeof(struct route_metrics);
    size_t duration_histogram_bytes = SPREAD_COUNT * route_count * sizeof(struct duration_histogram *);
    size_t start_times_bytes = route_count * sizeof(struct start_times *);
    char *block = mem_zalloc(CACHE_LINE + sizeof(struct metrics) + upstream_bytes + route_bytes +
                             duration_histogram_bytes + start_times_bytes + CACHE_LINE);
    struct metrics *metrics;

    if (!block)
        return NULL;
    metrics = (void *)(block + CACHE_LINE);
    metrics->upstream_count = upstream_count;
    metrics->route_count = route_count;
    metrics->upstreams = (void *)(metrics + 1);
    metrics->routes = (void *)((char *)metrics->upstreams + upstream_bytes);
    metrics->histograms = (void *)((char *)metrics->routes + route_bytes);
    metrics->start_times = (void *)((char *)metrics->histograms + duration_histogram_bytes);
    return metrics;
}

void metrics_free(struct metrics *metrics)
{
    if (!metrics)
        return;
    for (uint32_t i = 0; i < metrics->route_count; i++) {
        for (enum metric_spread spread = 0; spread < SPREAD_COUNT; spread++)
            mem_free(*metrics_spread(metrics, spread, i));
        mem_free(metrics->start_times[i]);
    }
    for (uint32_t i = 0; i < metrics->upstream_count; i++)
        code_counts_fini(&metrics->upstreams[i].responses);
    mem_free((char *)metrics - CACHE_LINE);
}

static void add_cells(uint64_t *sum, const uint64_t *part, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sum[i] += part[i];
}

static void add_histogram(struct metric_histogram *sum, const struct metric_histogram *part)
{
    add_cells(sum->bucket, part->bucket, METRIC_BUCKETS);
    sum->sum += part->sum;
}

static void add_route(struct route_metrics *sum, const struct route_metrics *part)
{
#define ROUTE_COUNTER(field, name, label, cells, help)  add_cells(sum->field, part->field, cells);
#define ROUTE_SEEN(field, name, label, cells, help)     add_cells(sum->field, part->field, cells);
#define ROUTE_STATE(field, name, label, cells, help)    add_cells(sum->field, part->field, cells);
#define REPORT_COUNTER(field, name, label, cells, help) add_cells(sum->field, part->field, cells);
#define TUNNEL_GAUGE(field, name, label, cells, help)   add_cells(sum->field, part->field, cells);
#define TUNNEL_COUNTER(field, name, label, cells, help) add_cells(sum->field, part->field, cells);
#include "stats/metrics.def"
}

/* False: no memory for all of it. */
static bool add_upstream(struct upstream_metrics *sum, const struct upstream_metrics *part)
{
    bool has_memory = true;

#define UPSTREAM_COUNTER(field, name, label, cells, help) add_cells(sum->field, part->field, cells);
#define UPSTREAM_GAUGE(field, name, label, cells, help)   add_cells(sum->field, part->field, cells);
#define UPSTREAM_STATE(field, name, label, cells, help)   add_cells(sum->field, part->field, cells);
#define UPSTREAM_SELDOM(field, name, label, cells, help)  add_cells(sum->field, part->field, cells);
#define FORWARD_COUNTER(field, name, label, cells, help)  add_cells(sum->field, part->field, cells);
#define UPSTREAM_HISTOGRAM(field, name, bounds, help)     add_histogram(&sum->field, &part->field);
#define STREAM_HISTOGRAM(field, name, bounds, help)       add_histogram(&sum->field, &part->field);
#define UPSTREAM_CODES(field, name, help)                 has_memory &= code_counts_add(&sum->field, &part->field);
#include "stats/metrics.def"
    return has_memory;
}

static void add_process(struct process_metrics *sum, const struct process_metrics *part)
{
#define PROCESS_COUNTER(field, name, label, cells, help) add_cells(sum->field, part->field, cells);
#define PROCESS_GAUGE(field, name, label, cells, help)   add_cells(sum->field, part->field, cells);
#include "stats/metrics.def"
}

void metrics_add(struct metrics *sum, const struct metrics *part)
{
    PRE(part->upstream_count <= sum->upstream_count && part->route_count <= sum->route_count);
    add_process(&sum->process, &part->process);
    for (uint32_t i = 0; i < part->upstream_count; i++)
        if (!add_upstream(&sum->upstreams[i], &part->upstreams[i]))
            sum->lacks_codes = true;
    for (uint32_t i = 0; i < part->route_count; i++)
        add_route(&sum->routes[i], &part->routes[i]);
}

void metrics_take(struct metrics *to, struct metrics *part)
{
    for (uint32_t i = 0; i < part->upstream_count; i++)
        code_counts_move(&to->upstreams[i].responses, &part->upstreams[i].responses);
    metrics_add(to, part);
}

void metrics_clear_gauges(struct metrics *metrics)
{
#define PROCESS_GAUGE(field, name, label, cells, help)                                                       \
    memset(metrics->process.field, 0, sizeof(metrics->process.field));
#include "stats/metrics.def"
    for (uint32_t i = 0; i < metrics->upstream_count; i++) {
        struct upstream_metrics *upstream = &metrics->upstreams[i];

#define UPSTREAM_GAUGE(field, name, label, cells, help) memset(upstream->field, 0, sizeof(upstream->field));
#define UPSTREAM_STATE(field, name, label, cells, help) memset(upstream->field, 0, sizeof(upstream->field));
#include "stats/metrics.def"
    }
    for (uint32_t i = 0; i < metrics->route_count; i++) {
        struct route_metrics *route = &metrics->routes[i];

#define ROUTE_STATE(field, name, label, cells, help)  memset(route->field, 0, sizeof(route->field));
#define TUNNEL_GAUGE(field, name, label, cells, help) memset(route->field, 0, sizeof(route->field));
#include "stats/metrics.def"
    }
}

static void add_spread(struct metrics *sum, const struct metrics *part, enum metric_spread spread,
                       uint32_t route)
{
    const struct duration_histogram *histogram = *metrics_spread(part, spread, route);
    struct duration_histogram **to = metrics_spread(sum, spread, route);

    if (histogram == NULL)
        return;
    if (*to == NULL)
        *to = duration_histogram_new(histogram->terms, histogram->since_ns);
    if (*to != NULL)
        duration_histogram_add(*to, histogram);
    else
        sum->lacks_histograms = true;
}

void metrics_add_histograms(struct metrics *sum, const struct metrics *part)
{
    PRE(sum->route_count >= part->route_count);
    for (uint32_t route = 0; route < part->route_count; route++) {
        for (enum metric_spread spread = 0; spread < SPREAD_COUNT; spread++)
            add_spread(sum, part, spread, route);
    }
}

void metrics_clear(struct metrics *metrics)
{
    metrics->process = (struct process_metrics){0};
    metrics->lacks_codes = false;
    for (uint32_t i = 0; i < metrics->upstream_count; i++)
        metrics_clear_upstream(metrics, i);
    for (uint32_t i = 0; i < metrics->route_count; i++)
        metrics_clear_route(metrics, i);
}

void metrics_clear_upstream(struct metrics *metrics, uint32_t upstream)
{
    struct code_counts responses = metrics->upstreams[upstream].responses;

    PRE(upstream < metrics->upstream_count);
    code_counts_clear(&responses);
    metrics->upstreams[upstream] = (struct upstream_metrics){.responses = responses};
}

void metrics_clear_route(struct metrics *metrics, uint32_t route)
{
    PRE(route < metrics->route_count);
    metrics->routes[route] = (struct route_metrics){0};
}

uint64_t metric_sum(const uint64_t *cells, uint32_t count)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < count; i++)
        sum += cells[i];
    return sum;
}

uint32_t metric_age_cell(enum phase phase, int64_t age_ns)
{
    int age = (age_ns >= 1 * S) + (age_ns >= 5 * S) + (age_ns >= 30 * S);

    return (uint32_t)phase * AGE_COUNT + (uint32_t)age;
}
_Static_assert(AGE_30S == 3, "one age for each comparison");

/* How many of the 15 bounds are below the value: 4 comparisons, without a branch that could be guessed wrong. */
static unsigned bucket_of(const int64_t bounds[METRIC_BUCKETS - 1], int64_t value)
{
    unsigned below = value > bounds[7] ? 8 : 0;

    below += value > bounds[below + 3] ? 4 : 0;
    below += value > bounds[below + 1] ? 2 : 0;
    below += value > bounds[below] ? 1 : 0;
    POST(below == 0 || bounds[below - 1] < value);
    POST(below == METRIC_BUCKETS - 1 || value <= bounds[below]);
    return below;
}
_Static_assert(METRIC_BUCKETS == 16, "bucket_of halves 16 four times");

static void observe(struct metric_histogram *histogram, const int64_t bounds[METRIC_BUCKETS - 1],
                    int64_t value)
{
    if (value < 0)
        value = 0;
    histogram->bucket[bucket_of(bounds, value)]++;
    histogram->sum += (double)value * 1e-9;
}

void metric_observe_seconds(struct metric_histogram *histogram, int64_t ns)
{
    observe(histogram, metric_bounds_SECONDS, ns);
}

void metric_observe_overshoot(struct metric_histogram *histogram, int64_t ns)
{
    observe(histogram, metric_bounds_OVERSHOOT, ns);
}

void metric_observe_ratio(struct metric_histogram *histogram, int64_t part_ns, int64_t whole_ns)
{
    double ratio = whole_ns > 0 ? (double)part_ns / (double)whole_ns : 1;

    /* A billion times the budget is enough to say, and keeps the conversion within its range. */
    observe(histogram, metric_bounds_RATIO, (int64_t)((ratio < 1e9 ? ratio : 1e9) * 1e9));
}
