#include "config/lint.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/number.h"
#include "config/lint_fleet.h"
#include "config/lint_http2.h"
#include "config/lint_retries.h"
#include "config/lint_warn.h"
#include "config/quote.h"
#include "config/report.h"

#define DAY_S             86400
#define SOON_DAYS         30
/* Those that are neither a caller's connection nor an upstream's: listeners, log, loops. */
#define SPARE_DESCRIPTORS 256

/* Rounded up to MiB: nobody counts the bytes. */
static struct number_text megabytes(uint64_t bytes)
{
    struct number_text quantity = {""};

    snprintf(quantity.text, sizeof(quantity.text), "%" PRIu64 "MiB",
             bytes / (1 << 20) + (bytes % (1 << 20) != 0));
    return quantity;
}

/* ---- what can never strike ------------------------------------------------------------------------------ */

/* The longest deadline that something has to do with; NULL: none. */
struct longest {
    const struct route_config *route;
    const struct route_config *without_streams; /* of a pool: one of its routes that have none */
    const struct route_config *without_upgrade; /* likewise */
};

static void keep_longest(struct longest *longest, const struct route_config *route)
{
    if (!longest->route || route->deadline_ns > longest->route->deadline_ns)
        longest->route = route;
}

/* The time limits of routes by the place of each: one that is inherited is of use if it is so anywhere. */
struct limits {
    struct longest *by_place; /* by what a stream may have as well */
    struct longest *by_pool;
    struct longest of_all;
};

typedef void (*route_fn)(void *arg, const struct route_config *route);

static void for_each_route(const struct snapshot *snapshot, route_fn fn, void *arg)
{
    for (uint32_t i = 0; i < snapshot->upstream_count; i++) {
        const struct upstream_config *upstream = &snapshot->upstreams[i];

        fn(arg, &upstream->default_route);
        for (uint32_t r = 0; r < upstream->route_count; r++)
            fn(arg, &upstream->routes[r]);
    }
}

static void note_route(void *arg, const struct route_config *route)
{
    struct limits *limits = arg;
    const struct place *places[] = {route->at.connect, route->at.first_byte, route->at.begin, route->at.idle,
                                    route->at.min_rate};

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        struct longest *longest = places[i] ? &limits->by_place[places[i]->index] : NULL;

        if (longest &&
            (!longest->route || route_longest_deadline_ns(route) > route_longest_deadline_ns(longest->route)))
            longest->route = route;
    }
    keep_longest(&limits->by_pool[route->pool], route);
    if (!route->streams)
        limits->by_pool[route->pool].without_streams = route;
    if (!route->upgrade)
        limits->by_pool[route->pool].without_upgrade = route;
    if (!limits->of_all.route || route_longest_ns(route) > route_longest_ns(limits->of_all.route))
        limits->of_all.route = route;
}

static void check_timeout(const struct limits *limits, const struct place *place, int64_t timeout_ns,
                          struct config_errors *out)
{
    const struct route_config *route = place ? limits->by_place[place->index].route : NULL;

    if (!route || timeout_ns == NS_NEVER || timeout_ns <= route_longest_deadline_ns(route))
        return;
    lint_warn(out, place, "",
              "%s is longer than the deadline, %s%s, and can never strike; less than that, or none, is right",
              number_duration_text(timeout_ns).text, number_duration_text(route->deadline_ns).text,
              lint_line(route->at.deadline).text);
}

static void check_stream_limit(const struct streams_config *streams, const struct place *place,
                               int64_t limit_ns, struct config_errors *out)
{
    if (place && limit_ns > streams->deadline_ns)
        lint_warn(
            out, place, "",
            "%s is longer than a stream's deadline, %s%s, and can never strike; less than that is right",
            number_duration_text(limit_ns).text, number_duration_text(streams->deadline_ns).text,
            lint_line(streams->deadline_at).text);
}

struct checking {
    const struct snapshot *snapshot;
    const struct lint_bounds *bounds;
    struct limits *limits;
    struct config_errors *out;
};

/* A stream holds its permit for minutes: whoever else waits for one of that pool waits so long. */
static void check_shared_pool(const struct checking *checking, const struct route_config *route)
{
    const struct route_config *other = checking->limits->by_pool[route->pool].without_streams;
    const struct place *at = route->streams->at;

    if (!other || !at)
        return;
    lint_warn(
        checking->out, at, "",
        "streams hold permits of pool %s for as long as %s, and other calls wait for them: those of route %s%s have it too; "
        "a pool of their own is right",
        checking->snapshot->pools[route->pool].name, number_duration_text(route->streams->deadline_ns).text,
        other->name, lint_line(other->at.pool).text);
}

static void check_streams(const struct checking *checking, const struct route_config *route)
{
    const struct streams_config *streams = route->streams;

    if (!streams)
        return;
    check_stream_limit(streams, streams->first_event_at, streams->first_event_ns, checking->out);
    check_stream_limit(streams, streams->idle_at, streams->idle_ns, checking->out);
    check_shared_pool(checking, route);
}

/* A tunnel holds its permit for as long. */
static void check_upgrade(const struct checking *checking, const struct route_config *route)
{
    const struct upgrade_config *upgrade = route->upgrade;
    const struct route_config *other = checking->limits->by_pool[route->pool].without_upgrade;

    if (!upgrade)
        return;
    if (upgrade->idle_at && upgrade->terms.idle_ns > upgrade->terms.lifetime_ns)
        lint_warn(
            checking->out, upgrade->idle_at, "",
            "%s is longer than a tunnel's lifetime, %s%s, and can never strike; less than that is right",
            number_duration_text(upgrade->terms.idle_ns).text,
            number_duration_text(upgrade->terms.lifetime_ns).text, lint_line(upgrade->lifetime_at).text);
    if (upgrade->lifetime_at && upgrade->terms.lifetime_ns < route->deadline_ns)
        lint_warn(checking->out, upgrade->lifetime_at, "",
                  "%s is shorter than the deadline, %s%s: a tunnel may be over when it opens, for both count "
                  "from the request's first byte; more than that is right",
                  number_duration_text(upgrade->terms.lifetime_ns).text,
                  number_duration_text(route->deadline_ns).text, lint_line(route->at.deadline).text);
    if (other && upgrade->at)
        lint_warn(
            checking->out, upgrade->at, "",
            "tunnels hold permits of pool %s for as long as %s, and other calls wait for them: those of route %s%s have it too; "
            "a pool of their own is right",
            checking->snapshot->pools[route->pool].name,
            number_duration_text(upgrade->terms.lifetime_ns).text, other->name,
            lint_line(other->at.pool).text);
}

static void check_timeouts(void *arg, const struct route_config *route)
{
    const struct checking *checking = arg;

    check_timeout(checking->limits, route->at.connect, route->connect_ns, checking->out);
    check_timeout(checking->limits, route->at.first_byte, route->first_byte_ns, checking->out);
    check_timeout(checking->limits, route->at.begin, route->begin_ns, checking->out);
    check_timeout(checking->limits, route->at.idle, route->idle_ns, checking->out);
    if (route->min_rate.bytes != 0)
        check_timeout(checking->limits, route->at.min_rate, route->min_rate.per_ns, checking->out);
    check_streams(checking, route);
    check_upgrade(checking, route);
}

static bool can_wait_out(const struct checking *checking, uint32_t i)
{
    const struct pool_config *pool = &checking->snapshot->pools[i];
    const struct route_config *route = checking->limits->by_pool[i].route;

    return pool->queue_size != 0 && (!route || pool->queue_timeout_ns < route->deadline_ns);
}

/* As with other limits: one that pools have inherited is of use if it is so anywhere. */
static bool is_of_use(const struct checking *checking, const struct place *queue_timeout)
{
    for (uint32_t i = 0; i < checking->snapshot->pool_count; i++) {
        if (checking->snapshot->pools[i].queue_timeout_at == queue_timeout && can_wait_out(checking, i))
            return true;
    }
    return false;
}

static void warn_of_queue_timeout(const struct checking *checking, const struct pool_config *pool,
                                  const struct route_config *route)
{
    struct number_text timeout = number_duration_text(pool->queue_timeout_ns);

    if (pool->queue_size == 0)
        lint_warn(
            checking->out, pool->queue_timeout_at, "",
            "%s can never strike: queue is 0, so that no call waits; a queue, or no queue_timeout, is right",
            timeout.text);
    else
        lint_warn(checking->out, pool->queue_timeout_at, "",
                  "%s can never strike: the deadline is %s%s; less than that, or none, is right",
                  timeout.text, number_duration_text(route->deadline_ns).text,
                  lint_line(route->at.deadline).text);
}

static void check_pause(const struct checking *checking, const struct pool_config *pool)
{
    if (pool->pause.void_at)
        lint_warn(checking->out, pool->pause.void_at, "",
                  "nothing pauses the pool: it has no statuses; pause: {statuses: [429]}, or none, is right");
}

/* Whoever has to wait is refused, whatever is free when its turn comes. */
static void check_least(const struct checking *checking, const struct pool_config *pool,
                        const struct route_config *route)
{
    if (pool->least_ns == NS_NEVER || pool->least_ns < route->deadline_ns || pool->queue_size == 0)
        return;
    lint_warn(
        checking->out, pool->least_at, "",
        "%s is all that the deadline leaves, %s%s: no call that waits would ever be let in; what a call needs, or p95, is right",
        number_duration_text(pool->least_ns).text, number_duration_text(route->deadline_ns).text,
        lint_line(route->at.deadline).text);
}

static void check_pools(const struct checking *checking)
{
    for (uint32_t i = 0; i < checking->snapshot->pool_count; i++) {
        const struct pool_config *pool = &checking->snapshot->pools[i];
        const struct route_config *route = checking->limits->by_pool[i].route;

        check_pause(checking, pool);
        if (route)
            check_least(checking, pool, route);
        if (route && pool->queue_timeout_at && pool->queue_timeout_ns != NS_NEVER &&
            !is_of_use(checking, pool->queue_timeout_at))
            warn_of_queue_timeout(checking, pool, route);
    }
}

/* ---- what a shutdown cuts ------------------------------------------------------------------------------- */

static void check_drain(void *arg, const struct route_config *route)
{
    const struct checking *checking = arg;
    const struct snapshot *snapshot = checking->snapshot;
    const struct place *at = route->at.deadline ? route->at.deadline : snapshot->drain_at;

    if (route->deadline_ns <= snapshot->drain_ns || !at)
        return;
    if (at == snapshot->drain_at)
        lint_warn(checking->out, at, "", "%s cuts calls that have a deadline of %s; at least that is right",
                  number_duration_text(snapshot->drain_ns).text,
                  number_duration_text(route->deadline_ns).text);
    else
        lint_warn(checking->out, at, "",
                  "%s is longer than drain, %s%s: a shutdown cuts such calls early; drain: %s is right",
                  number_duration_text(route->deadline_ns).text,
                  number_duration_text(snapshot->drain_ns).text, lint_line(snapshot->drain_at).text,
                  number_duration_text(route->deadline_ns).text);
}

/* drain_delay is in it. */
static void warn_of_long_stop(const struct checking *checking, int64_t drain_ns, int64_t needed_ns)
{
    lint_warn(
        checking->out, checking->snapshot->drain_delay_at, "drain_delay",
        "%s, and %s for calls in flight after it, are longer than a stop may take, %s: calls would be killed; "
        "TimeoutStopSec= (or what stands for it) beyond %s, or a shorter drain_delay, is right",
        number_duration_text(checking->snapshot->drain_delay_ns).text, number_duration_text(drain_ns).text,
        number_duration_text(checking->bounds->stop_ns).text, number_duration_text(needed_ns).text);
}

/*
 * After drain_delay, calls get the shorter of drain and the longest they may take; then the service manager's patience
 * must not have ended.
 */
static void check_stop(const struct checking *checking)
{
    const struct snapshot *snapshot = checking->snapshot;
    const struct route_config *route = checking->limits->of_all.route;
    int64_t longest_ns = route ? route_longest_ns(route) : 0;
    bool is_drain = snapshot->drain_ns < longest_ns;
    int64_t drain_ns = is_drain ? snapshot->drain_ns : longest_ns;
    int64_t needed_ns = snapshot->drain_delay_ns + drain_ns;
    const struct place *place = !route                            ? NULL
                                : is_drain                        ? snapshot->drain_at
                                : longest_ns > route->deadline_ns ? route->at.observe
                                                                  : route->at.deadline;

    if (needed_ns <= checking->bounds->stop_ns)
        return;
    if (snapshot->drain_delay_ns != 0) {
        warn_of_long_stop(checking, drain_ns, needed_ns);
        return;
    }
    lint_warn(checking->out, place, is_drain ? "drain" : "deadline",
              "%s is longer than a stop may take, %s: calls would be killed; TimeoutStopSec= (or what "
              "stands for it) beyond %s, or a shorter drain, is right",
              number_duration_text(needed_ns).text, number_duration_text(checking->bounds->stop_ns).text,
              number_duration_text(needed_ns).text);
}

/* ---- what the machine does not grant -------------------------------------------------------------------- */

struct demand {
    uint64_t permits, queued, idle;
};

static struct demand demand_of(const struct snapshot *snapshot)
{
    struct demand demand = {0, 0, 0};

    for (uint32_t i = 0; i < snapshot->pool_count; i++) {
        demand.permits += snapshot->pools[i].host_size;
        demand.queued += snapshot->pools[i].queue_size;
    }
    for (uint32_t i = 0; i < snapshot->upstream_count; i++)
        demand.idle += snapshot->upstreams[i].keepalive.max_idle;
    return demand;
}

static uint64_t descriptors_of(const struct snapshot *snapshot)
{
    struct demand demand = demand_of(snapshot);

    return snapshot->limits.connections + demand.permits + demand.idle + SPARE_DESCRIPTORS;
}

static void check_descriptors(const struct checking *checking)
{
    const struct snapshot *snapshot = checking->snapshot;
    struct demand demand = demand_of(snapshot);
    uint64_t needed = descriptors_of(snapshot);

    if (needed <= checking->bounds->descriptors)
        return;
    lint_warn(checking->out, snapshot->connections_at, "limits.connections",
              "%" PRIu32 " callers, %" PRIu64 " permits and %" PRIu64 " idle connections may need %" PRIu64
              " descriptors, and there are %" PRIu64 "; LimitNOFILE=%" PRIu64 ", or fewer of them, is right",
              snapshot->limits.connections, demand.permits, demand.idle, needed,
              checking->bounds->descriptors, needed);
}

/* A call, in the queue or not, holds its caller's connection. */
static void check_connections(const struct checking *checking)
{
    const struct snapshot *snapshot = checking->snapshot;
    struct demand demand = demand_of(snapshot);

    if (demand.permits <= snapshot->limits.connections)
        return;
    lint_warn(checking->out, snapshot->connections_at, "limits.connections",
              "%" PRIu32 " callers can never use the pools' %" PRIu64 " permits; at least %" PRIu64
              ", for the queues too, is right",
              snapshot->limits.connections, demand.permits, demand.permits + demand.queued);
}

static void check_memory(const struct checking *checking)
{
    const struct lint_bounds *bounds = checking->bounds;

    if (bounds->worst_memory_bytes <= bounds->memory_bytes)
        return;
    lint_warn(
        checking->out, checking->snapshot->connections_at, "limits.connections",
        "buffers may need %s at worst, and there are %s; fewer connections and permits, or smaller heads, "
        "are right",
        megabytes(bounds->worst_memory_bytes).text, megabytes(bounds->memory_bytes).text);
}

enum status lint_give(const struct snapshot *snapshot, const struct lint_bounds *bounds,
                      struct config_errors *out)
{
    struct limits limits = {
        .by_place = mem_calloc(snapshot->place_count, sizeof(struct longest)),
        .by_pool = mem_calloc(snapshot->pool_count, sizeof(struct longest)),
    };
    struct checking checking = {snapshot, bounds, &limits, out};
    enum status status = limits.by_place && limits.by_pool ? ST_OK : ST_NOMEM;

    if (status == ST_OK) {
        for_each_route(snapshot, note_route, &limits);
        for_each_route(snapshot, check_timeouts, &checking);
        for_each_route(snapshot, check_drain, &checking);
        check_pools(&checking);
        lint_retries(snapshot, out);
        lint_fleet(snapshot, out);
        lint_http2(snapshot, out);
        check_stop(&checking);
        check_descriptors(&checking);
        check_connections(&checking);
        check_memory(&checking);
    }
    mem_free(limits.by_place);
    mem_free(limits.by_pool);
    return status;
}

void lint_certificate(const struct place *place, const char *path, int64_t end_s, int64_t now_s,
                      struct config_errors *out)
{
    int64_t days = (end_s - now_s) / DAY_S;

    if (days >= SOON_DAYS)
        return;
    if (end_s <= now_s)
        lint_warn(out, place, "tls", "%s has expired %" PRId64 " day%s ago; a new certificate is needed",
                  quote_text(span_of(path)).text, -days, days == -1 ? "" : "s");
    else
        lint_warn(out, place, "tls", "%s expires in %" PRId64 " day%s; a new certificate is needed soon",
                  quote_text(span_of(path)).text, days, days == 1 ? "" : "s");
}
