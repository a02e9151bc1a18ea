/* GET /history and GET /stuck: what the history has, as JSON. */
#include <event2/keyvalq_struct.h>
#include <string.h>

#include "admin/history.h"
#include "admin/pools.h"
#include "admin/respond.h"
#include "base/json.h"
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

/* ---- writing --------------------------------------------------------------------------------------------------- */

/* Numbers by the thousand, on their way into a buffer by blocks. */
struct sheet {
    struct evbuffer *content;
    struct text text;
    bool incomplete;
    bool comma;
    char block[4096];
};
/* Of all that is put between two looks at the room that is left, this is the longest: a name, and what is around it. */
#define SHEET_ROOM 1024

static void sheet_flush(struct sheet *sheet)
{
    if (sheet->text.overflow || evbuffer_add(sheet->content, sheet->block, sheet->text.len) < 0)
        sheet->incomplete = true;
    sheet->text = text_over(sheet->block, sizeof(sheet->block));
}

static void sheet_make_room(struct sheet *sheet)
{
    if (sheet->text.cap - sheet->text.len < SHEET_ROOM)
        sheet_flush(sheet);
}

/* The next of a list. */
static void next(struct sheet *sheet)
{
    sheet_make_room(sheet);
    if (sheet->comma)
        TEXT_LIT(&sheet->text, ",");
    sheet->comma = true;
}

static void open_list(struct sheet *sheet, const char *key, char bracket)
{
    next(sheet);
    text_printf(&sheet->text, "\"%s\":%c", key, bracket);
    sheet->comma = false;
}

static void close_list(struct sheet *sheet, char bracket)
{
    sheet_make_room(sheet);
    text_bytes(&sheet->text, &bracket, 1);
    sheet->comma = true;
}

static void put_number(struct sheet *sheet, const char *key, int64_t value)
{
    next(sheet);
    text_printf(&sheet->text, "\"%s\":%lld", key, (long long)value);
}

static void put_name(struct sheet *sheet, const char *key, const char *name)
{
    next(sheet);
    text_printf(&sheet->text, "\"%s\":", key);
    jsonw_quote(&sheet->text, span_of(name));
}

/* ---- the series of an upstream ---------------------------------------------------------------------------------- */

/* A series is left out when it has nothing to say: a count that is always 0, a figure that is never known. */
static void put_series(struct sheet *sheet, const char *prefix, const char *name,
                       const struct history_sample *samples, size_t offset, const struct grid *grid)
{
    bool says_something = false;

    for (int64_t i = 0; i < grid->points && !says_something; i++) {
        uint32_t value = *(const uint32_t *)(const void *)((const char *)&samples[i] + offset);

        says_something = value != 0 && value != HISTORY_NONE;
    }
    if (!says_something)
        return;
    next(sheet);
    text_printf(&sheet->text, "\"%s%s\":[", prefix, name);
    sheet->comma = false;
    for (int64_t i = 0; i < grid->points; i++) {
        uint32_t value = *(const uint32_t *)(const void *)((const char *)&samples[i] + offset);

        next(sheet);
        if (value == HISTORY_NONE)
            TEXT_LIT(&sheet->text, "null");
        else
            text_u64(&sheet->text, value);
    }
    close_list(sheet, ']');
}

static void put_all_series(struct sheet *sheet, const struct history_sample *samples, const struct grid *grid)
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

    open_list(sheet, "series", '{');
    for (size_t i = 0; i < sizeof(series) / sizeof(series[0]); i++)
        put_series(sheet, "", series[i].name, samples, series[i].offset, grid);
    for (enum phase phase = 0; phase < PHASE_COUNT; phase++)
        put_series(sheet, "stuck.", phase_name(phase), samples,
                   offsetof(struct history_sample, stuck) + phase * sizeof(uint32_t), grid);
    close_list(sheet, '}');
}

static void put_true(struct sheet *sheet, const char *key)
{
    next(sheet);
    text_printf(&sheet->text, "\"%s\":true", key);
}

static void put_upstream(struct sheet *sheet, const struct upstream_history *upstream, const char *pool,
                         struct history_sample *samples, const struct grid *grid)
{
    for (int64_t i = 0; i < grid->points; i++)
        samples[i] =
            history_sum(upstream->history, grid->from + i * grid->step, grid->from + (i + 1) * grid->step);
    next(sheet);
    TEXT_LIT(&sheet->text, "{");
    sheet->comma = false;
    put_name(sheet, "name", upstream->name);
    put_number(sheet, "deadline_ms", upstream->deadline_ns / NS_PER_MS);
    put_number(sheet, "longest_ms", upstream->longest_ns / NS_PER_MS);
    if (upstream->observed)
        put_true(sheet, "observed");
    if (pool != NULL)
        put_name(sheet, "pool", pool);
    put_all_series(sheet, samples, grid);
    close_list(sheet, '}');
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static void put_head(struct sheet *sheet, const struct admin_history *history, const struct grid *grid)
{
    put_name(sheet, "instance", history->instance);
    put_name(sheet, "version", history->version);
    put_name(sheet, "page", history->edition);
    put_number(sheet, "began_ms", history->began_unix_ms);
    put_number(sheet, "seconds", admin_history_newest(history) + 1);
    put_number(sheet, "from", grid->from);
    put_number(sheet, "step", grid->step);
    put_number(sheet, "points", grid->points);
    put_number(sheet, "told", (int64_t)history->stuck_count);
}

static void put_pools(struct sheet *sheet, struct proxy *proxy, const char **names)
{
    open_list(sheet, "pools", '[');
    for (uint32_t i = 0; i < proxy->pool_count; i++) {
        struct pool_figures figures;

        if (names[i] == NULL)
            continue;
        figures = proxy_pool_figures(proxy, i);
        next(sheet);
        TEXT_LIT(&sheet->text, "{");
        sheet->comma = false;
        put_name(sheet, "name", names[i]);
        put_number(sheet, "size", figures.size);
        put_number(sheet, "held", figures.held);
        put_number(sheet, "held_peak", figures.held_peak);
        put_number(sheet, "waiting", figures.waiting);
        close_list(sheet, '}');
    }
    close_list(sheet, ']');
}

static void put_upstreams(struct sheet *sheet, const struct admin_history *history, const char **pools,
                          struct history_sample *samples, const struct grid *grid)
{
    open_list(sheet, "upstreams", '[');
    for (uint32_t i = 0; i < history->upstream_count; i++) {
        const struct upstream_history *upstream = &history->upstreams[i];

        if (upstream->name != NULL && upstream->history != NULL)
            put_upstream(sheet, upstream, pools[upstream->pool], samples, grid);
    }
    close_list(sheet, ']');
}

static bool write_history(struct admin_history *history, const struct grid *grid, struct evbuffer *content)
{
    struct sheet sheet = {.content = content};
    struct history_sample *samples = mem_calloc((size_t)grid->points + 1, sizeof(*samples));
    const char **pools = pools_name_all(history->proxy);

    sheet.text = text_over(sheet.block, sizeof(sheet.block));
    sheet.incomplete = samples == NULL || pools == NULL;
    if (!sheet.incomplete) {
        TEXT_LIT(&sheet.text, "{");
        put_head(&sheet, history, grid);
        put_pools(&sheet, history->proxy, pools);
        put_upstreams(&sheet, history, pools, samples, grid);
        TEXT_LIT(&sheet.text, "}\n");
        sheet_flush(&sheet);
    }
    mem_free(samples);
    mem_free(pools);
    return !sheet.incomplete;
}

void admin_history_respond_history(struct admin_history *history, struct evhttp_request *request)
{
    const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(request));
    struct evbuffer *content;
    struct wanted wanted;
    struct grid grid;

    if (!read_wanted(query, &wanted)) {
        respond_problem(request, 400, "There are since=SECOND, and step=SECONDS from 1 to 900.");
        return;
    }
    grid = lay_out(history, &wanted);
    content = evbuffer_new();
    if (content != NULL && write_history(history, &grid, content))
        respond(request, 200, "application/json", content);
    else
        respond_problem(request, 503, "There is not enough memory for this answer.");
    if (content != NULL)
        evbuffer_free(content);
}

/*
 * ---- calls that got stuck
 * ------------------------------------------------------------------------------------------
 */

/* In their order; those that took no time are left out. NULL: no memory. */
static json_t *describe_phases(const struct stuck_call *call)
{
    json_t *phases = json_array();

    for (enum phase phase = 0; phase < PHASE_COUNT && phases != NULL; phase++) {
        json_t *each;

        if (call->phases_ns[phase] == 0 && phase != call->phase)
            continue;
        each = json_pack("{s:s, s:f}", "phase", phase_name(phase), "ms",
                         (double)(call->phases_ns[phase] / NS_PER_US) / 1000);
        if (json_array_append_new(phases, each) < 0) {
            json_decref(phases);
            phases = NULL;
        }
    }
    return phases;
}

static json_t *describe(const struct stuck_record *stuck)
{
    const struct stuck_call *call = &stuck->call;
    char block[20];
    struct text id = text_over(block, sizeof(block));

    text_hex(&id, call->id);
    return json_pack("{s:s%, s:s?, s:s?, s:s%, s:s, s:s, s:s, s:I, s:I, s:I, s:o}", "id", id.ptr, id.len,
                     "upstream", stuck->upstream, "route", stuck->route, "method", call->method,
                     (size_t)call->method_len, "phase", phase_name(call->phase), "cause",
                     cause_reason(call->cause), "sent", sent_name(call->sent), "budget_ms",
                     (json_int_t)((call->deadline_ns - call->begun_ns) / NS_PER_MS), "elapsed_ms",
                     (json_int_t)((call->ended_ns - call->begun_ns) / NS_PER_MS), "ended_ms",
                     (json_int_t)stuck->ended_unix_ms, "phases", describe_phases(call));
}

/* The newest first. */
void admin_history_respond_stuck(struct admin_history *history, struct evhttp_request *request)
{
    uint64_t count = history->stuck_count < STUCK_CALLS ? history->stuck_count : STUCK_CALLS;
    json_t *all = json_array();

    for (uint64_t i = 1; i <= count && all != NULL; i++) {
        const struct stuck_record *stuck = &history->stuck[(history->stuck_count - i) % STUCK_CALLS];

        if (json_array_append_new(all, describe(stuck)) < 0) {
            json_decref(all);
            all = NULL;
        }
    }
    respond_json(request, 200,
                 json_pack("{s:s, s:I, s:o}", "instance", history->instance, "told",
                           (json_int_t)history->stuck_count, "stuck", all));
}
