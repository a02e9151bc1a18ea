#include "admin/durations.h"

#include "admin/respond.h"
#include "base/number.h"
#include "runtime/loop.h"

static void put_us(struct jsonw *json, const char *key, int64_t ns)
{
    jsonw_i64(json, key, ns / NS_PER_US);
}

static uint64_t held_us(uint64_t held_ns)
{
    return held_ns / (uint64_t)NS_PER_US;
}

/* [ends at, calls, held] of those that have any. */
static void put_buckets(struct jsonw *json, const struct duration_histogram *histogram)
{
    jsonw_open_array(json, "buckets");
    for (uint32_t i = 0; i < DURATION_HISTOGRAM_BUCKETS; i++) {
        const struct duration_histogram_bucket *bucket = &histogram->completed[i];

        if (bucket->calls == 0)
            continue;
        jsonw_open_array(json, NULL);
        put_us(json, NULL, duration_histogram_bound_ns(i));
        jsonw_u64(json, NULL, bucket->calls);
        jsonw_u64(json, NULL, held_us(bucket->held_ns));
        jsonw_close_array(json);
    }
    jsonw_close_array(json);
}

static void open_end(struct jsonw *json, const char *key, const struct duration_histogram_bucket *end)
{
    jsonw_open_object(json, key);
    jsonw_u64(json, "calls", end->calls);
    jsonw_u64(json, "held_us", held_us(end->held_ns));
}

static void put_end(struct jsonw *json, const char *key, const struct duration_histogram_bucket *end)
{
    open_end(json, key, end);
    jsonw_close_object(json);
}

/* What is counted of streams beside how long they take, and the limit that it is for. No permit is held by that. */
static const char *const stream_spreads[SPREAD_COUNT] = {
    [SPREAD_STREAMS] = "streams", [SPREAD_FIRST_EVENTS] = "first_event", [SPREAD_GAPS] = "idle"};

static int64_t limit_of(const struct route_config *route, enum metric_spread spread)
{
    switch (spread) {
    case SPREAD_STREAMS: return route->streams->deadline_ns;
    case SPREAD_FIRST_EVENTS: return route->streams->first_event_ns;
    case SPREAD_GAPS: return route->streams->idle_ns;
    default: return route->deadline_ns;
    }
}

static void put_policy(struct jsonw *json, const struct snapshot *snapshot,
                       const struct upstream_config *upstream, const struct route_config *route,
                       enum metric_spread spread)
{
    int64_t limit_ns = limit_of(route, spread);
    int64_t ceiling_ns = route->ceiling_ns != NS_NEVER ? route_longest_ns(route) : limit_ns;

    jsonw_text(json, "upstream", upstream->name);
    jsonw_text(json, "route", route->name);
    if (spread != SPREAD_CALLS)
        jsonw_text(json, "of", stream_spreads[spread]);
    if (spread <= SPREAD_STREAMS)
        jsonw_text(json, "pool", snapshot_pool_name(snapshot, route->pool));
    put_us(json, "deadline_us", limit_ns);
    jsonw_bool(json, "observed", upstream->observe);
    put_us(json, "longest_allowed_us", ceiling_ns > limit_ns ? ceiling_ns : limit_ns);
}

static void put_calls(struct jsonw *json, const struct duration_histogram *histogram)
{
    put_us(json, "for_us", loop_clock_ns() - histogram->since_ns);
    put_us(json, "longest_us", histogram->longest_ns);
    jsonw_u64(json, "spared", histogram->spared);
    open_end(json, "cut", &histogram->ends[DURATION_HISTOGRAM_CUT]);
    jsonw_u64(json, "took_us", held_us(histogram->cut_ns));
    jsonw_close_object(json);
    put_end(json, "rejected", &histogram->ends[DURATION_HISTOGRAM_REJECTED]);
    put_end(json, "abandoned", &histogram->ends[DURATION_HISTOGRAM_ABANDONED]);
    put_end(json, "failed", &histogram->ends[DURATION_HISTOGRAM_FAILED]);
    put_buckets(json, histogram);
}

/* A route without calls has its policy alone, and one without streams nothing of them. */
static void put_route(struct jsonw *json, const struct snapshot *snapshot,
                      const struct upstream_config *upstream, const struct route_config *route,
                      const struct metrics *sum)
{
    for (enum metric_spread spread = 0; spread < SPREAD_COUNT; spread++) {
        const struct duration_histogram *histogram =
            route->index < sum->route_count ? *metrics_spread(sum, spread, route->index) : NULL;

        if (spread != SPREAD_CALLS && (route->streams == NULL || histogram == NULL))
            continue;
        jsonw_open_object(json, NULL);
        put_policy(json, snapshot, upstream, route, spread);
        if (histogram != NULL)
            put_calls(json, histogram);
        jsonw_close_object(json);
    }
}

static void put_routes(struct jsonw *json, const struct snapshot *snapshot, const struct metrics *sum)
{
    jsonw_open_array(json, "routes");
    for (uint32_t i = 0; i < snapshot->upstream_count; i++) {
        const struct upstream_config *upstream = &snapshot->upstreams[i];

        for (uint32_t id = 0; id <= upstream->route_count; id++)
            put_route(json, snapshot, upstream, snapshot_route(upstream, id), sum);
    }
    jsonw_close_array(json);
}

static void put_pools(struct jsonw *json, const struct proxy *proxy, const struct snapshot *snapshot)
{
    jsonw_open_array(json, "pools");
    for (uint32_t i = 0; i < snapshot->pool_count; i++) {
        const struct pool_config *pool = &snapshot->pools[i];

        jsonw_open_object(json, NULL);
        jsonw_text(json, "name", pool->name);
        jsonw_u64(json, "size", pool->size);
        jsonw_u64(json, "held_peak", pool_figures(proxy->pools[pool->index]).held_peak);
        jsonw_close_object(json);
    }
    jsonw_close_array(json);
}

void durations_respond(struct admin_request *request, const struct proxy *proxy, const struct metrics *sum)
{
    const struct snapshot *snapshot = proxy_snapshot(proxy);
    struct json_answer answer;
    struct jsonw *json = json_answer_begin(&answer);

    answer.content.is_incomplete |= sum->lacks_histograms;
    put_routes(json, snapshot, sum);
    put_pools(json, proxy, snapshot);
    json_answer_send(&answer, request, 500);
}
