#include "admin/durations.h"

#include "admin/respond.h"
#include "base/number.h"
#include "runtime/loop.h"

/* In all of this NULL is no memory, and makes the whole NULL. */

static json_int_t micro(int64_t ns)
{
    return ns / NS_PER_US;
}

static json_int_t held(uint64_t held_ns)
{
    return (json_int_t)(held_ns / (uint64_t)NS_PER_US);
}

static json_t *list_of(bool is_whole, json_t *list)
{
    if (is_whole)
        return list;
    json_decref(list);
    return NULL;
}

/* [ends at, calls, held] of those that have any. */
static json_t *describe_buckets(const struct duration_histogram *histogram)
{
    json_t *all = json_array();
    bool is_whole = all != NULL;

    for (uint32_t i = 0; i < DURATION_HISTOGRAM_BUCKETS && is_whole; i++) {
        const struct duration_histogram_bucket *bucket = &histogram->completed[i];

        if (bucket->calls != 0)
            is_whole =
                json_array_append_new(all, json_pack("[I, I, I]", micro(duration_histogram_bound_ns(i)),
                                                     (json_int_t)bucket->calls, held(bucket->held_ns))) == 0;
    }
    return list_of(is_whole, all);
}

static json_t *describe_end(const struct duration_histogram_bucket *end)
{
    return json_pack("{s:I, s:I}", "calls", (json_int_t)end->calls, "held_us", held(end->held_ns));
}

static json_t *describe_cut(const struct duration_histogram *histogram)
{
    const struct duration_histogram_bucket *cut = &histogram->ends[DURATION_HISTOGRAM_CUT];

    return json_pack("{s:I, s:I, s:I}", "calls", (json_int_t)cut->calls, "held_us", held(cut->held_ns),
                     "took_us", held(histogram->cut_ns));
}

static const char *name_of_pool(const struct snapshot *snapshot, uint32_t number)
{
    for (uint32_t i = 0; i < snapshot->pool_count; i++)
        if (snapshot->pools[i].index == number)
            return snapshot->pools[i].name;
    return NULL;
}

static json_t *describe_policy(const struct snapshot *snapshot, const struct upstream_config *upstream,
                               const struct route_config *route)
{
    return json_pack("{s:s, s:s, s:s?, s:I, s:b, s:I}", "upstream", upstream->name, "route", route->name,
                     "pool", name_of_pool(snapshot, route->pool), "deadline_us", micro(route->deadline_ns),
                     "observed", (int)upstream->observe, "longest_allowed_us",
                     micro(route_longest_ns(route)));
}

static json_t *describe_calls(const struct duration_histogram *histogram, int64_t now_ns)
{
    return json_pack(
        "{s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "for_us", micro(now_ns - histogram->since_ns),
        "longest_us", micro(histogram->longest_ns), "spared", (json_int_t)histogram->spared, "cut",
        describe_cut(histogram), "rejected", describe_end(&histogram->ends[DURATION_HISTOGRAM_REJECTED]),
        "abandoned", describe_end(&histogram->ends[DURATION_HISTOGRAM_ABANDONED]), "failed",
        describe_end(&histogram->ends[DURATION_HISTOGRAM_FAILED]), "buckets", describe_buckets(histogram));
}

/* A route without calls has its policy alone. */
static json_t *describe_route(const struct snapshot *snapshot, const struct upstream_config *upstream,
                              const struct route_config *route, const struct metrics *sum)
{
    const struct duration_histogram *histogram =
        route->index < sum->route_count ? sum->histograms[route->index] : NULL;
    json_t *described = describe_policy(snapshot, upstream, route), *calls;
    bool is_whole = described != NULL;

    if (histogram == NULL || !is_whole)
        return described;
    calls = describe_calls(histogram, loop_clock_ns());
    is_whole = calls != NULL && json_object_update(described, calls) == 0;
    json_decref(calls);
    return list_of(is_whole, described);
}

static json_t *describe_routes(const struct snapshot *snapshot, const struct metrics *sum)
{
    json_t *all = json_array();
    bool is_whole = all != NULL;

    for (uint32_t i = 0; i < snapshot->upstream_count; i++) {
        const struct upstream_config *upstream = &snapshot->upstreams[i];

        for (uint32_t id = 0; id <= upstream->route_count && is_whole; id++)
            is_whole = json_array_append_new(
                           all, describe_route(snapshot, upstream, snapshot_route(upstream, id), sum)) == 0;
    }
    return list_of(is_whole, all);
}

static json_t *describe_pools(const struct proxy *proxy, const struct snapshot *snapshot)
{
    json_t *all = json_array();
    bool is_whole = all != NULL;

    for (uint32_t i = 0; i < snapshot->pool_count && is_whole; i++) {
        const struct pool_config *pool = &snapshot->pools[i];
        struct pool_figures figures = pool_figures(proxy->pools[pool->index]);

        is_whole = json_array_append_new(all, json_pack("{s:s, s:I, s:I}", "name", pool->name, "size",
                                                        (json_int_t)pool->size, "held_peak",
                                                        (json_int_t)figures.held_peak)) == 0;
    }
    return list_of(is_whole, all);
}

void durations_respond(struct evhttp_request *request, const struct proxy *proxy, const struct metrics *sum)
{
    const struct snapshot *snapshot = proxy_snapshot(proxy);

    respond_json(request, 200,
                 sum->lacks_histograms ? NULL
                                       : json_pack("{s:o, s:o}", "routes", describe_routes(snapshot, sum),
                                                   "pools", describe_pools(proxy, snapshot)));
}
