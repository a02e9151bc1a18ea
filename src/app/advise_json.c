#include <jansson.h>
#include <stdio.h>

#include "app/advise_print.h"
#include "view/advise.h"

/* In all of this NULL is no memory, and makes the whole NULL. */

static double milliseconds(int64_t us)
{
    return (double)us / 1000;
}

/* Not known: null. */
static json_t *share(double part)
{
    return part >= 0 ? json_real(part) : json_null();
}

/* 0: too few calls to tell. */
static json_t *percentile(const struct duration_route *route, uint64_t share_ppm)
{
    int64_t us = advise_percentile_us(route, share_ppm);

    return us > 0 ? json_real(milliseconds(us)) : json_null();
}

static json_t *describe_times(const struct duration_route *route)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:f}", "p50", percentile(route, 500000), "p90",
                     percentile(route, 900000), "p99", percentile(route, 990000), "p99.9",
                     percentile(route, 999000), "longest", milliseconds(route->longest_us));
}

static json_t *describe_deadline(const struct duration_route *route, uint64_t rate_ppm)
{
    struct advise_deadline advice = advise_deadline(route, rate_ppm);
    double at_most = (double)rate_ppm / (double)ADVISE_PPM;

    if (advice.answer == ADVISE_KNOWN)
        return json_pack("{s:f, s:f, s:f, s:f}", "at_most", at_most, "deadline_ms",
                         milliseconds(advice.deadline_us), "false_timeouts", advice.false_share, "cut",
                         advice.cut_share);
    return json_pack("{s:f, s:n, s:s, s:I}", "at_most", at_most, "deadline_ms", "why",
                     advice.answer == ADVISE_TOO_FEW ? "too few calls" : "more were cut", "needed_calls",
                     (json_int_t)advice.needed);
}

static json_t *describe_deadlines(const struct advise_question *question, const struct duration_route *route)
{
    json_t *all = json_array();
    bool is_whole = all != NULL;

    for (uint32_t i = 0; i < question->rate_count && is_whole; i++)
        is_whole = json_array_append_new(all, describe_deadline(route, question->rates_ppm[i])) == 0;
    if (is_whole)
        return all;
    json_decref(all);
    return NULL;
}

static json_t *describe_present(const struct duration_route *route)
{
    double false_share = -1, cut_share = -1;

    if (advise_calls(route) != 0)
        advise_present(route, &false_share, &cut_share);
    return json_pack("{s:f, s:b, s:o, s:o}", "deadline_ms", milliseconds(route->deadline_us), "observed",
                     route->observed, "false_timeouts", share(false_share), "cut", share(cut_share));
}

static json_t *describe_route(const struct advise_question *question, const struct duration_route *route)
{
    return json_pack("{s:s, s:s, s:s, s:f, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "upstream",
                     route->upstream, "route", route->route, "pool", route->pool, "seconds",
                     (double)route->for_us * 1e-6, "completed", (json_int_t)route->completed, "cut",
                     (json_int_t)route->cut.calls, "rejected", (json_int_t)route->rejected.calls, "abandoned",
                     (json_int_t)route->abandoned.calls, "failed", (json_int_t)route->failed.calls,
                     "completed_in_ms", describe_times(route), "now", describe_present(route), "deadlines",
                     describe_deadlines(question, route));
}

static json_t *describe_pool(const struct advise_question *question, const struct duration_pool *pool)
{
    struct advise_pool advice;
    bool is_known = advise_pool(question->durations, pool, advise_strictest(question), &advice);

    return json_pack(
        "{s:s, s:I, s:I, s:f, s:f, s:f, s:I, s:o, s:o}", "name", pool->name, "size", (json_int_t)pool->size,
        "held_peak", (json_int_t)pool->held_peak, "held_mean", advice.mean_held, "calls_per_second",
        advice.rate, "held_ms", advice.held_s * 1000, "rejected", (json_int_t)advice.rejected, "advised_size",
        is_known ? json_integer((json_int_t)advice.size) : json_null(), "advised_size_with_deadlines",
        is_known && advice.with_deadlines ? json_integer((json_int_t)advice.size_then) : json_null());
}

static bool describe_all(const struct advise_question *question, json_t *routes, json_t *pools)
{
    const struct durations *durations = question->durations;
    bool is_whole = routes != NULL && pools != NULL;

    for (uint32_t i = 0; i < durations->route_count && is_whole; i++)
        if (advise_wants_route(question, &durations->routes[i]))
            is_whole = json_array_append_new(routes, describe_route(question, &durations->routes[i])) == 0;
    for (uint32_t i = 0; i < durations->pool_count && is_whole; i++)
        if (advise_wants_pool(question, &durations->pools[i]))
            is_whole = json_array_append_new(pools, describe_pool(question, &durations->pools[i])) == 0;
    return is_whole;
}

bool advise_print_json(const struct advise_question *question)
{
    json_t *routes = json_array(), *pools = json_array();
    json_t *all = describe_all(question, routes, pools)
                      ? json_pack("{s:O, s:O}", "routes", routes, "pools", pools)
                      : NULL;
    bool is_done = all != NULL && json_dumpf(all, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9)) == 0 &&
                   putchar('\n') != EOF;

    json_decref(all);
    json_decref(routes);
    json_decref(pools);
    return is_done;
}
