#include "app/check_measured.h"

#include <inttypes.h>
#include <string.h>

#include "app/admin_client.h"
#include "base/number.h"
#include "config/lint_warn.h"
#include "view/advise.h"
#include "view/durations.h"

#define PATIENCE_S  1
/* Fewer calls say little of a 95th percentile. */
#define CALLS_LEAST 100

struct measured {
    const struct snapshot *snapshot;
    const struct durations *durations;
    struct config_errors *warnings;
};

/* What is known of its calls; NULL: nothing. */
static const struct duration_route *find(const struct measured *measured,
                                         const struct upstream_config *upstream,
                                         const struct route_config *route)
{
    for (uint32_t i = 0; i < measured->durations->route_count; i++) {
        const struct duration_route *known = &measured->durations->routes[i];

        if (strcmp(known->upstream, upstream->name) == 0 && strcmp(known->route, route->name) == 0 &&
            strcmp(known->of, "calls") == 0)
            return known;
    }
    return NULL;
}

/* ---- queues --------------------------------------------------------------------------------------------------- */

/* The route of a pool that leaves those who wait the least time. */
struct tightest {
    const struct route_config *route;
    uint64_t places;
    int64_t p95_us;
};

static void tighten(const struct measured *measured, const struct pool_config *pool,
                    const struct upstream_config *upstream, const struct route_config *route,
                    struct tightest *tightest)
{
    const struct duration_route *known = find(measured, upstream, route);
    int64_t p95_us;
    uint64_t places;

    if (known == NULL || known->completed < CALLS_LEAST)
        return;
    p95_us = advise_percentile_us(known, ADVISE_QUEUE_PPM);
    if (p95_us <= 0)
        return;
    places = advise_queue(pool->size, route->deadline_ns / NS_PER_US, p95_us);
    if (tightest->route == NULL || places < tightest->places)
        *tightest = (struct tightest){route, places, p95_us};
}

static void check_queue(const struct measured *measured, const struct pool_config *pool)
{
    struct tightest tightest = {0};

    for (uint32_t i = 0; i < measured->snapshot->upstream_count; i++) {
        const struct upstream_config *upstream = &measured->snapshot->upstreams[i];

        for (uint32_t id = 0; id <= upstream->route_count; id++) {
            const struct route_config *route = snapshot_route(upstream, id);

            if (route->pool == pool->index)
                tighten(measured, pool, upstream, route, &tightest);
        }
    }
    if (tightest.route == NULL || pool->queue_size <= tightest.places)
        return;
    lint_warn(
        measured->warnings, pool->queue_at, "pool.queue",
        "of %" PRIu32
        " that wait in pool %.40s the last ones have no time left: 19 of 20 calls take up to %s, as "
        "measured, of a deadline of %s%s, and there are %" PRIu32 " permits; %" PRIu64 " at most is right",
        pool->queue_size, pool->name, number_duration_text(advise_round_up(tightest.p95_us) * NS_PER_US).text,
        number_duration_text(tightest.route->deadline_ns).text, lint_line(tightest.route->at.deadline).text,
        pool->size, tightest.places);
}

/* ---- breakers ------------------------------------------------------------------------------------------------- */

/* Calls a second that came to a try, or might have; *for_us is how long they were counted at least. */
static double rate_of(const struct duration_route *known, int64_t *for_us)
{
    uint64_t calls = advise_calls(known) + known->failed.calls + known->abandoned.calls;

    if (known->for_us < *for_us)
        *for_us = known->for_us;
    return known->for_us > 0 ? (double)calls / ((double)known->for_us * 1e-6) : 0;
}

/* `owner` has the breaker's block: the upstream, whose routes without one of their own share it, or a route. */
static void check_volume(const struct measured *measured, const struct upstream_config *upstream,
                         const struct route_config *owner)
{
    const struct breaker_terms *terms = owner->breaker;
    int64_t for_us = INT64_MAX;
    double rate = 0;

    for (uint32_t id = 0; id <= upstream->route_count; id++) {
        const struct route_config *route = snapshot_route(upstream, id);
        const struct duration_route *known = find(measured, upstream, route);

        if (known != NULL && known->for_us > 0 &&
            (route == owner || (!owner->has_own_breaker && !route->has_own_breaker)))
            rate += rate_of(known, &for_us);
    }
    if (rate <= 0 || for_us < terms->window_ns / NS_PER_US ||
        rate * (double)terms->window_ns / NS_PER_S >= terms->volume)
        return;
    lint_warn(
        measured->warnings, owner->at.breaker, "breaker.volume",
        "ratio never says anything: %.3g calls a second, as measured for %s, are %.3g in a window of %s, and "
        "volume is %" PRIu32 "; fewer, or a longer window, is right",
        rate, number_duration_text(for_us / 1000000 * NS_PER_S).text,
        rate * (double)terms->window_ns / NS_PER_S, number_duration_text(terms->window_ns).text,
        terms->volume);
}

static void check_breakers(const struct measured *measured, const struct upstream_config *upstream)
{
    for (uint32_t id = 0; id <= upstream->route_count; id++) {
        const struct route_config *route = snapshot_route(upstream, id);

        if (route->breaker != NULL && (route->has_own_breaker || route == &upstream->default_route))
            check_volume(measured, upstream, route);
    }
}

/* ---- all ------------------------------------------------------------------------------------------------------ */

static void compare(const struct measured *measured)
{
    const struct snapshot *snapshot = measured->snapshot;

    for (uint32_t i = 0; i < snapshot->pool_count; i++)
        check_queue(measured, &snapshot->pools[i]);
    for (uint32_t i = 0; i < snapshot->upstream_count; i++)
        check_breakers(measured, &snapshot->upstreams[i]);
}

void check_measured(const struct snapshot *snapshot, const char *where, struct config_errors *warnings)
{
    const char *own = snapshot->has_admin ? snapshot->admin.text : NULL;
    const struct admin_question question = {where != NULL ? where : own, "GET", "/durations", PATIENCE_S,
                                            true};
    struct durations durations = {0};
    struct admin_answer answer = {0};
    char why[256] = "this is not how long calls took";
    bool is_known = false;

    if (question.where != NULL && admin_client_ask(&question, &answer, why, sizeof(why)) &&
        answer.status == 200)
        is_known = durations_read(&durations, answer.content);
    if (is_known)
        compare(&(struct measured){snapshot, &durations, warnings});
    else if (where != NULL)
        lint_warn(warnings, NULL, "", "what a curfew at %.100s has measured is not known: %.100s", where,
                  why);
    durations_free(&durations);
    admin_answer_free(&answer);
}
