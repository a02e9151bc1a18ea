#include <stdio.h>

#include "app/advise_print.h"
#include "base/json.h"
#include "view/advise.h"

static void put_real(struct jsonw *json, const char *key, double value)
{
    jsonw_real(json, key, value, 9);
}

static void put_ms(struct jsonw *json, const char *key, int64_t us)
{
    put_real(json, key, (double)us / 1000);
}

/* Not known: null. */
static void put_share(struct jsonw *json, const char *key, double part)
{
    if (part >= 0)
        put_real(json, key, part);
    else
        jsonw_null(json, key);
}

/* Too few calls to tell: null. */
static void put_percentile(struct jsonw *json, const char *key, const struct duration_route *route,
                           uint64_t share_ppm)
{
    int64_t us = advise_percentile_us(route, share_ppm);

    if (us > 0)
        put_ms(json, key, us);
    else
        jsonw_null(json, key);
}

static void put_times(struct jsonw *json, const struct duration_route *route)
{
    jsonw_open_object(json, "completed_in_ms");
    put_percentile(json, "p50", route, 500000);
    put_percentile(json, "p90", route, 900000);
    put_percentile(json, "p99", route, 990000);
    put_percentile(json, "p99.9", route, 999000);
    put_ms(json, "longest", route->longest_us);
    jsonw_close_object(json);
}

static void put_present(struct jsonw *json, const struct duration_route *route)
{
    double false_share = -1, cut_share = -1;

    if (advise_calls(route) != 0)
        advise_present(route, &false_share, &cut_share);
    jsonw_open_object(json, "now");
    put_ms(json, "deadline_ms", route->deadline_us);
    jsonw_bool(json, "observed", route->observed);
    put_share(json, "false_timeouts", false_share);
    put_share(json, "cut", cut_share);
    jsonw_close_object(json);
}

static void put_deadline(struct jsonw *json, const struct duration_route *route, uint64_t rate_ppm)
{
    struct advise_deadline advice = advise_deadline(route, rate_ppm);

    jsonw_open_object(json, NULL);
    put_real(json, "at_most", (double)rate_ppm / (double)ADVISE_PPM);
    if (advice.answer == ADVISE_KNOWN) {
        put_ms(json, "deadline_ms", advice.deadline_us);
        put_real(json, "false_timeouts", advice.false_share);
        put_real(json, "cut", advice.cut_share);
    } else {
        jsonw_null(json, "deadline_ms");
        jsonw_text(json, "why", advice.answer == ADVISE_TOO_FEW ? "too few calls" : "more were cut");
        jsonw_u64(json, "needed_calls", advice.needed);
    }
    jsonw_close_object(json);
}

static void put_route(struct jsonw *json, const struct advise_question *question,
                      const struct duration_route *route)
{
    jsonw_open_object(json, NULL);
    jsonw_text(json, "upstream", route->upstream);
    jsonw_text(json, "route", route->route);
    jsonw_text(json, "of", route->of);
    jsonw_text(json, "pool", route->pool);
    put_real(json, "seconds", (double)route->for_us * 1e-6);
    jsonw_u64(json, "completed", route->completed);
    jsonw_u64(json, "cut", route->cut.calls);
    jsonw_u64(json, "rejected", route->rejected.calls);
    jsonw_u64(json, "abandoned", route->abandoned.calls);
    jsonw_u64(json, "failed", route->failed.calls);
    put_times(json, route);
    put_present(json, route);
    if (advise_per_try_us(route) > 0)
        put_ms(json, "advised_per_try_ms", advise_per_try_us(route));
    else
        jsonw_null(json, "advised_per_try_ms");
    jsonw_open_array(json, "deadlines");
    for (uint32_t i = 0; i < question->rate_count; i++)
        put_deadline(json, route, question->rates_ppm[i]);
    jsonw_close_array(json);
    jsonw_close_object(json);
}

static void put_size(struct jsonw *json, const char *key, bool is_known, uint64_t size)
{
    if (is_known)
        jsonw_u64(json, key, size);
    else
        jsonw_null(json, key);
}

static void put_pool(struct jsonw *json, const struct advise_question *question,
                     const struct duration_pool *pool)
{
    struct advise_pool advice;
    bool is_known = advise_pool(question->durations, pool, advise_strictest(question), &advice);

    jsonw_open_object(json, NULL);
    jsonw_text(json, "name", pool->name);
    jsonw_u64(json, "size", pool->size);
    jsonw_u64(json, "held_peak", pool->held_peak);
    put_real(json, "held_mean", advice.mean_held);
    put_real(json, "calls_per_second", advice.rate);
    put_real(json, "held_ms", advice.held_s * 1000);
    jsonw_u64(json, "rejected", advice.rejected);
    put_size(json, "advised_size", is_known, advice.size);
    put_size(json, "advised_size_with_deadlines", is_known && advice.with_deadlines, advice.size_then);
    put_size(json, "advised_queue", is_known && advice.with_queue, advice.queue);
    if (is_known && advice.least_us > 0)
        put_ms(json, "advised_least_ms", advise_round_up(advice.least_us));
    else
        jsonw_null(json, "advised_least_ms");
    jsonw_close_object(json);
}

static void flush(struct jsonw *json)
{
    (void)fwrite(json->out->ptr, 1, json->out->len, stdout); /* output_is_written says whether it went */
    json->out->len = 0;
}

void advise_print_json(const struct advise_question *question)
{
    const struct durations *durations = question->durations;
    char block[4096];
    struct text text = text_over(block, sizeof(block));
    struct jsonw json = jsonw_flushed(&text, flush);

    jsonw_open_object(&json, NULL);
    jsonw_open_array(&json, "routes");
    for (uint32_t i = 0; i < durations->route_count; i++)
        if (advise_wants_route(question, &durations->routes[i]))
            put_route(&json, question, &durations->routes[i]);
    jsonw_close_array(&json);
    jsonw_open_array(&json, "pools");
    for (uint32_t i = 0; i < durations->pool_count; i++)
        if (advise_wants_pool(question, &durations->pools[i]))
            put_pool(&json, question, &durations->pools[i]);
    jsonw_close_array(&json);
    jsonw_close_object(&json);
    flush(&json);
    (void)putchar('\n');
}
