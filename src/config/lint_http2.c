#include "config/lint_http2.h"

#include <inttypes.h>

#include "config/lint_warn.h"

/* Longer calls are too many to be held by one dead connection. */
#define LONG_NS (60 * NS_PER_S)

/* The largest pool that its calls have. */
static const struct pool_config *largest_pool(const struct upstream_config *upstream)
{
    const struct pool_config *pools = upstream->snapshot->pools;
    const struct pool_config *largest = &pools[upstream->default_route.pool];

    for (uint32_t i = 0; i < upstream->route_count; i++)
        if (pools[upstream->routes[i].pool].size > largest->size)
            largest = &pools[upstream->routes[i].pool];
    return largest;
}

static const struct route_config *longest_route(const struct upstream_config *upstream)
{
    const struct route_config *longest = &upstream->default_route;

    for (uint32_t i = 0; i < upstream->route_count; i++)
        if (route_longest_deadline_ns(&upstream->routes[i]) > route_longest_deadline_ns(longest))
            longest = &upstream->routes[i];
    return longest;
}

static void check_streams(const struct upstream_config *upstream, struct config_errors *out)
{
    const struct http2_config *http2 = &upstream->http2;
    const struct pool_config *pool = largest_pool(upstream);
    const struct route_config *route = longest_route(upstream);

    if (http2->streams > pool->size)
        lint_warn(out, http2->streams_at, "http2.streams",
                  "a connection never has %" PRIu32 " calls: there are %" PRIu32
                  " at once at most, by pool %s%s; "
                  "%" PRIu32 " is enough",
                  http2->streams, pool->size, pool->name, lint_line(pool->size_at).text, pool->size);
    if (http2->streams > 1 && route_longest_deadline_ns(route) > LONG_NS)
        lint_warn(
            out, http2->streams_at, "http2.streams",
            "a connection that dies holds all of its calls, and one may take %s%s; 1, or an upstream of their "
            "own for long calls, is right",
            number_duration_text(route_longest_deadline_ns(route)).text, lint_line(route->at.deadline).text);
}

static void check_upstream(const struct upstream_config *upstream, struct config_errors *out)
{
    const struct http2_config *http2 = &upstream->http2;

    if (http2->use == HTTP2_NEVER) {
        if (http2->streams_at != NULL && http2->streams > 1)
            lint_warn(out, http2->streams_at, "", "means nothing without HTTP/2: http2.use is never");
        return;
    }
    check_streams(upstream, out);
    if (http2->probe_after_at != NULL && http2->probe_after_ns > upstream->keepalive.idle_timeout_ns)
        lint_warn(
            out, http2->probe_after_at, "",
            "%s can never strike: a connection is kept for %s without a call, by keepalive.idle_timeout; "
            "less than that is right",
            number_duration_text(http2->probe_after_ns).text,
            number_duration_text(upstream->keepalive.idle_timeout_ns).text);
}

void lint_http2(const struct snapshot *snapshot, struct config_errors *out)
{
    for (uint32_t i = 0; i < snapshot->upstream_count; i++)
        check_upstream(&snapshot->upstreams[i], out);
}
