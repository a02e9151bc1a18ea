/* GET /history and GET /stuck: what the history has, as JSON. */
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <string.h>

#include "admin/fleet.h"
#include "admin/history.h"
#include "admin/pools.h"
#include "admin/respond.h"
#include "base/mem.h"
#include "base/number.h"

/* Points of all upstreams together, so that an answer has a bound: the step becomes as long as that takes. */
#define POINTS_MAX 10000

/* ---- what is asked for ---------------------------------------------------------------------------------------- */

struct wanted {
    uint64_t since, step; /* seconds */
};

static bool read_one(struct wanted *wanted, const struct evkeyval *pair)
{
    uint64_t *value = strcmp(pair->key, "since") == 0  ? &wanted->since
                      : strcmp(pair->key, "step") == 0 ? &wanted->step
                                                       : NULL;

    return value != NULL && number_u64(span_of(pair->value), value) == NUMBER_OK && *value <= INT32_MAX;
}

static bool read_wanted(const char *query, struct wanted *wanted)
{
    struct evkeyvalq pairs;
    bool is_good = true;

    *wanted = (struct wanted){.step = 1};
    if (query == NULL || query[0] == '\0')
        return true;
    if (evhttp_parse_query_str(query, &pairs) < 0)
        return false;
    for (const struct evkeyval *pair = pairs.tqh_first; pair != NULL && is_good; pair = pair->next.tqe_next)
        is_good = read_one(wanted, pair);
    evhttp_clear_headers(&pairs);
    return is_good && wanted->step >= 1 && wanted->step <= HISTORY_SECONDS;
}

/* Points: the first one's first second, how many seconds each has, and how many they are. */
struct grid {
    int64_t from, step, points;
};

/* The step depends on the upstreams alone, so that points of one answer fit to those of the next. */
static struct grid lay_out(const struct admin_history *history, const struct wanted *wanted)
{
    int64_t newest = admin_history_newest(history), oldest = newest - HISTORY_SECONDS + 1;
    struct grid grid = {.step = (int64_t)wanted->step};

    while (grid.step < HISTORY_SECONDS &&
           history->upstream_count * (HISTORY_SECONDS / grid.step + 1) > POINTS_MAX)
        grid.step++;
    grid.from = (int64_t)wanted->since > oldest ? (int64_t)wanted->since : oldest;
    grid.from = grid.from > 0 ? grid.from - grid.from % grid.step : 0;
    grid.points = grid.from <= newest ? (newest - grid.from) / grid.step + 1 : 0;
    return grid;
}

/* ---- the series of an upstream ---------------------------------------------------------------------------------- */

static uint32_t value_at(const struct history_sample *sample, size_t offset)
{
    uint32_t value;

    memcpy(&value, (const char *)sample + offset, sizeof(value));
    return value;
}

/* A series is left out when it has nothing to say: a count that is always 0, a figure that is never known. */
static void put_series(struct jsonw *json, const char *name, const struct history_sample *samples,
                       size_t offset, const struct grid *grid)
{
    bool says_something = false;

    for (int64_t i = 0; i < grid->points && !says_something; i++) {
        uint32_t value = value_at(&samples[i], offset);

        says_something = value != 0 && value != HISTORY_NONE;
    }
    if (!says_something)
        return;
    jsonw_open_array(json, name);
    for (int64_t i = 0; i < grid->points; i++) {
        uint32_t value = value_at(&samples[i], offset);

        if (value == HISTORY_NONE)
            jsonw_null(json, NULL);
        else
            jsonw_u64(json, NULL, value);
    }
    jsonw_close_array(json);
}

static void put_all_series(struct jsonw *json, const struct history_sample *samples, const struct grid *grid)
{
    static const struct {
        const char *name;
        size_t offset;
    } series[] = {
        {"completed", offsetof(struct history_sample, completed)},
        {"failed", offsetof(struct history_sample, failed)},
        {"rejected", offsetof(struct history_sample, rejected)},
        {"abandoned", offsetof(struct history_sample, abandoned)},
        {"responses.5xx", offsetof(struct history_sample, server_errors)},
        {"responses.429", offsetof(struct history_sample, too_many)},
        {"p50_us", offsetof(struct history_sample, p50_us)},
        {"p99_us", offsetof(struct history_sample, p99_us)},
        {"held", offsetof(struct history_sample, held)},
        {"waiting", offsetof(struct history_sample, waiting)},
    };

    jsonw_open_object(json, "series");
    for (size_t i = 0; i < sizeof(series) / sizeof(series[0]); i++)
        put_series(json, series[i].name, samples, series[i].offset, grid);
    for (enum phase phase = 0; phase < PHASE_COUNT; phase++) {
        char name[32];

        snprintf(name, sizeof(name), "stuck.%s", phase_name(phase));
        put_series(json, name, samples, offsetof(struct history_sample, stuck) + phase * sizeof(uint32_t),
                   grid);
    }
    jsonw_close_object(json);
}

/* Of the last minute, what says something. */
static void put_minute(struct jsonw *json, const struct upstream_history *upstream)
{
    struct recent_totals minute = recent_minute(upstream->recent);
    const struct {
        const char *name;
        uint64_t count;
    } counts[] = {
        {"retries", minute.retries},
        {"saved", minute.saved},
        {"budget_stops", minute.budget_stops},
        {"dns_stale", minute.dns_stale},
        {"http2.downstream", minute.h2_callers},
        {"http2.upstream", minute.h2_apis},
    };
    uint32_t first_event_us = history_quantile_us(minute.first_event.bucket, 0.5, upstream->at_most_ns);

    jsonw_open_object(json, "minute");
    for (enum cause cause = 0; cause < CAUSE_COUNT; cause++) {
        char name[64];

        snprintf(name, sizeof(name), "rejected.%s", cause_reason(cause));
        if (minute.rejected[cause] != 0)
            jsonw_u64(json, name, minute.rejected[cause]);
    }
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        if (counts[i].count != 0)
            jsonw_u64(json, counts[i].name, counts[i].count);
    if (first_event_us != HISTORY_NONE) {
        jsonw_u64(json, "first_event_p50_us", first_event_us);
        jsonw_u64(json, "first_event_p99_us",
                  history_quantile_us(minute.first_event.bucket, 0.99, upstream->at_most_ns));
    }
    jsonw_close_object(json);
}

static void put_upstream(struct jsonw *json, const struct upstream_history *upstream, const char *pool,
                         struct history_sample *samples, const struct grid *grid)
{
    for (int64_t i = 0; i < grid->points; i++)
        samples[i] =
            history_sum(upstream->history, grid->from + i * grid->step, grid->from + (i + 1) * grid->step);
    jsonw_open_object(json, NULL);
    jsonw_text(json, "name", upstream->name);
    jsonw_i64(json, "deadline_ms", upstream->deadline_ns / NS_PER_MS);
    jsonw_i64(json, "longest_ms", upstream->longest_ns / NS_PER_MS);
    if (upstream->observed)
        jsonw_bool(json, "observed", true);
    if (upstream->refuses)
        jsonw_bool(json, "breaker_open", true);
    if (pool != NULL)
        jsonw_text(json, "pool", pool);
    put_minute(json, upstream);
    put_all_series(json, samples, grid);
    jsonw_close_object(json);
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static void put_head(struct jsonw *json, const struct admin_history *history, const struct grid *grid)
{
    jsonw_text(json, "instance", history->instance);
    jsonw_text(json, "version", history->version);
    jsonw_text(json, "page", history->edition);
    jsonw_i64(json, "began_ms", history->began_unix_ms);
    jsonw_i64(json, "seconds", admin_history_newest(history) + 1);
    jsonw_i64(json, "from", grid->from);
    jsonw_i64(json, "step", grid->step);
    jsonw_i64(json, "points", grid->points);
    jsonw_u64(json, "told", history->stuck_count + history->late_count);
}

static void put_pools(struct jsonw *json, struct proxy *proxy, const char **names)
{
    jsonw_open_array(json, "pools");
    for (uint32_t i = 0; i < proxy->pool_count; i++) {
        struct pool_figures figures;

        if (names[i] == NULL)
            continue;
        figures = proxy_pool_figures(proxy, i);
        jsonw_open_object(json, NULL);
        jsonw_text(json, "name", names[i]);
        jsonw_u64(json, "size", figures.size);
        jsonw_u64(json, "limit", figures.limit);
        jsonw_u64(json, "held", figures.held);
        jsonw_u64(json, "ghosts", figures.ghosts);
        jsonw_u64(json, "held_peak", figures.held_peak);
        jsonw_u64(json, "waiting", figures.waiting);
        if (figures.has_rate)
            jsonw_real(json, "rate_limit", figures.rate_limit, 6);
        if (figures.has_pause)
            jsonw_real(json, "pause_seconds", figures.pause_seconds, 3);
        fleet_put(json, proxy, i);
        jsonw_close_object(json);
    }
    jsonw_close_array(json);
}

static void put_upstreams(struct jsonw *json, const struct admin_history *history, const char **pools,
                          struct history_sample *samples, const struct grid *grid)
{
    jsonw_open_array(json, "upstreams");
    for (uint32_t i = 0; i < history->upstream_count; i++) {
        const struct upstream_history *upstream = &history->upstreams[i];

        if (upstream->name != NULL && upstream->history != NULL)
            put_upstream(json, upstream, pools[upstream->pool], samples, grid);
    }
    jsonw_close_array(json);
}

void admin_history_respond_history(struct admin_history *history, struct admin_request *request)
{
    const char *query = request->query;
    struct history_sample *samples;
    struct json_answer answer;
    struct wanted wanted;
    struct jsonw *json;
    const char **pools;
    struct grid grid;

    if (!read_wanted(query, &wanted)) {
        respond_problem(request, 400, "There are since=SECOND, and step=SECONDS from 1 to 900.");
        return;
    }
    grid = lay_out(history, &wanted);
    samples = mem_calloc((size_t)grid.points + 1, sizeof(*samples));
    pools = pools_name_all(history->proxy);
    json = json_answer_begin(&answer);
    answer.content.is_incomplete |= samples == NULL || pools == NULL;
    if (!answer.content.is_incomplete) {
        put_head(json, history, &grid);
        if (fleet_is_store_away(history->proxy))
            jsonw_bool(json, "store_away", true);
        put_pools(json, history->proxy, pools);
        put_upstreams(json, history, pools, samples, &grid);
    }
    mem_free(samples);
    mem_free(pools);
    json_answer_send(&answer, request, 503);
}

/* ---- calls that got stuck ---------------------------------------------------------------------------------- */

/* In their order; those that took no time are left out. */
static void put_phases(struct jsonw *json, const struct stuck_call *call)
{
    jsonw_open_array(json, "phases");
    for (enum phase phase = 0; phase < PHASE_COUNT; phase++) {
        if (call->phases_ns[phase] == 0 && phase != call->phase)
            continue;
        jsonw_open_object(json, NULL);
        jsonw_text(json, "phase", phase_name(phase));
        jsonw_real(json, "ms", (double)(call->phases_ns[phase] / NS_PER_US) / 1000, JSON_ANSWER_DIGITS);
        jsonw_close_object(json);
    }
    jsonw_close_array(json);
}

static void put_late(struct jsonw *json, const struct late_call *late)
{
    jsonw_open_object(json, "late");
    jsonw_u64(json, "status", late->status);
    jsonw_i64(json, "after_ms", late->after_ns / NS_PER_MS);
    if (!late->is_whole)
        jsonw_bool(json, "whole", false);
    jsonw_close_object(json);
}

static void put_stuck(struct jsonw *json, const struct stuck_record *stuck)
{
    const struct stuck_call *call = &stuck->call;

    jsonw_open_object(json, NULL);
    jsonw_hex(json, "id", call->id);
    jsonw_text(json, "upstream", stuck->upstream);
    jsonw_text(json, "route", stuck->route);
    jsonw_string(json, "method", (struct span){call->method, call->method_len});
    jsonw_text(json, "phase", phase_name(call->phase));
    jsonw_text(json, "cause", cause_reason(call->cause));
    jsonw_text(json, "sent", sent_name(call->sent));
    jsonw_i64(json, "budget_ms", (call->deadline_ns - call->begun_ns) / NS_PER_MS);
    jsonw_i64(json, "elapsed_ms", (call->ended_ns - call->begun_ns) / NS_PER_MS);
    jsonw_i64(json, "ended_ms", stuck->ended_unix_ms);
    put_phases(json, call);
    if (stuck->late.id != 0)
        put_late(json, &stuck->late);
    jsonw_close_object(json);
}

/* The newest first. */
void admin_history_respond_stuck(struct admin_history *history, struct admin_request *request)
{
    uint64_t count = history->stuck_count < STUCK_CALLS ? history->stuck_count : STUCK_CALLS;
    struct json_answer answer;
    struct jsonw *json = json_answer_begin(&answer);

    jsonw_text(json, "instance", history->instance);
    jsonw_u64(json, "told", history->stuck_count + history->late_count);
    jsonw_open_array(json, "stuck");
    for (uint64_t i = 1; i <= count; i++)
        put_stuck(json, &history->stuck[(history->stuck_count - i) % STUCK_CALLS]);
    jsonw_close_array(json);
    json_answer_send(&answer, request, 500);
}
