#include "view/metrics_page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "view/prometheus.h"

/* ---- reading ----------------------------------------------------------------------------------------------- */

static void copy_name(char name[METRICS_PAGE_NAME], struct span text)
{
    size_t len = text.len < METRICS_PAGE_NAME ? text.len : METRICS_PAGE_NAME - 1;

    if (len != 0)
        memcpy(name, text.ptr, len);
    name[len] = '\0';
}

static bool is_named(const char name[METRICS_PAGE_NAME], struct span text)
{
    return span_eq(span_of(name), text);
}

/* Room for one more of `size` bytes behind `count`: arrays double, at powers of two. */
static bool make_room(void **list, uint32_t count, size_t size)
{
    void *bigger;

    if ((count & (count - 1)) != 0)
        return true;
    bigger = mem_realloc(*list, (count == 0 ? 1 : (size_t)count * 2) * size);
    if (bigger == NULL)
        return false;
    *list = bigger;
    return true;
}

/* Samples of one upstream come close together. NULL: no memory. */
static struct metrics_page_upstream *upstream_named(struct metrics_page *board, struct span name)
{
    void *list = board->upstreams;

    for (uint32_t i = 0; i < board->upstream_count; i++)
        if (is_named(board->upstreams[i].name, name))
            return &board->upstreams[i];
    if (!make_room(&list, board->upstream_count, sizeof(struct metrics_page_upstream)))
        return NULL;
    board->upstreams = list;
    board->upstreams[board->upstream_count] = (struct metrics_page_upstream){0};
    copy_name(board->upstreams[board->upstream_count].name, name);
    return &board->upstreams[board->upstream_count++];
}

static struct metrics_page_pool *pool_named(struct metrics_page *board, struct span name)
{
    void *list = board->pools;

    for (uint32_t i = 0; i < board->pool_count; i++)
        if (is_named(board->pools[i].name, name))
            return &board->pools[i];
    if (!make_room(&list, board->pool_count, sizeof(struct metrics_page_pool)))
        return NULL;
    board->pools = list;
    board->pools[board->pool_count] = (struct metrics_page_pool){0};
    copy_name(board->pools[board->pool_count].name, name);
    return &board->pools[board->pool_count++];
}

static void add_bucket(struct metrics_page_histogram *histogram, const struct prometheus_sample *sample)
{
    struct span bound;

    if (histogram->count == METRICS_PAGE_BOUNDS || !prometheus_label(sample, "le", &bound))
        return;
    histogram->bounds[histogram->count] = bound.ptr[0] == '+' ? INFINITY : strtod(bound.ptr, NULL);
    histogram->values[histogram->count++] = sample->value;
}

static void add_by_phase(double cells[PHASE_COUNT], const struct prometheus_sample *sample)
{
    struct span name;

    if (!prometheus_label(sample, "phase", &name))
        return;
    for (enum phase phase = 0; phase < PHASE_COUNT; phase++)
        if (span_eq(span_of(phase_name(phase)), name))
            cells[phase] += sample->value;
}

static void add_by_reason(double cells[CAUSE_COUNT], const struct prometheus_sample *sample)
{
    struct span reason;

    if (!prometheus_label(sample, "reason", &reason))
        return;
    for (enum cause cause = 0; cause < CAUSE_COUNT; cause++)
        if (cause_outcome(cause) == OUTCOME_REJECTED && span_eq(span_of(cause_reason(cause)), reason))
            cells[cause] += sample->value;
}

/* Adds it if this label has, or has not, this value. */
static void add_if(double *cell, const struct prometheus_sample *sample, const char *label, const char *value,
                   bool is_wanted)
{
    struct span found;

    if (prometheus_label(sample, label, &found) && span_eq(found, span_of(value)) == is_wanted)
        *cell += sample->value;
}

static void add_completed(struct metrics_page_upstream *upstream, const struct prometheus_sample *sample)
{
    struct span class;

    if (!prometheus_label(sample, "class", &class) || class.len == 0)
        return;
    if (class.ptr[0] == '4')
        upstream->completed_4xx += sample->value;
    else if (class.ptr[0] != '5')
        upstream->completed_fine += sample->value;
}

/* `other` is to be understood as a 5xx (RFC 9110 15). */
static void add_responses(struct metrics_page_upstream *upstream, const struct prometheus_sample *sample)
{
    struct span code;

    if (!prometheus_label(sample, "code", &code) || code.len == 0)
        return;
    if (code.ptr[0] == '5' || code.ptr[0] == 'o')
        upstream->server_errors += sample->value;
    else if (span_eq(code, SPAN_LIT("429")))
        upstream->too_many += sample->value;
}

static void add_breaker(struct metrics_page_upstream *upstream, const struct prometheus_sample *sample)
{
    struct span state;

    if (!prometheus_label(sample, "state", &state))
        return;
    if (span_eq(state, SPAN_LIT("open")))
        upstream->breakers_open += sample->value;
    else if (span_eq(state, SPAN_LIT("half_open")))
        upstream->breakers_half += sample->value;
}

/* What the samples of an upstream are added to: a number, cells by phase, a histogram, or what their label says. */
static const struct {
    const char *name;
    enum {
        ADD_NUMBER,
        ADD_BY_PHASE,
        ADD_BUCKET,
        ADD_BY_REASON,
        ADD_RETRIED,
        ADD_BUDGET,
        ADD_STALE,
        ADD_H2_CALLERS,
        ADD_H2_APIS,
        ADD_COMPLETED,
        ADD_RESPONSES,
        ADD_BREAKER
    } how;
    size_t offset;
} families[] = {
    {"curfew_calls_started_total", ADD_NUMBER, offsetof(struct metrics_page_upstream, started)},
    {"curfew_calls_completed_total", ADD_COMPLETED, 0},
    {"curfew_responses_total", ADD_RESPONSES, 0},
    {"curfew_calls_failed_total", ADD_NUMBER, offsetof(struct metrics_page_upstream, failed)},
    {"curfew_calls_rejected_total", ADD_NUMBER, offsetof(struct metrics_page_upstream, rejected)},
    {"curfew_calls_rejected_total", ADD_BY_REASON, offsetof(struct metrics_page_upstream, rejected_by)},
    {"curfew_tries_started_total", ADD_RETRIED, offsetof(struct metrics_page_upstream, retried)},
    {"curfew_calls_saved_total", ADD_NUMBER, offsetof(struct metrics_page_upstream, saved)},
    {"curfew_retries_stopped_total", ADD_BUDGET, offsetof(struct metrics_page_upstream, budget_stops)},
    {"curfew_dns_answers_total", ADD_STALE, offsetof(struct metrics_page_upstream, dns_stale)},
    {"curfew_http2_calls_total", ADD_H2_CALLERS, offsetof(struct metrics_page_upstream, h2_callers)},
    {"curfew_http2_calls_total", ADD_H2_APIS, offsetof(struct metrics_page_upstream, h2_apis)},
    {"curfew_calls_abandoned_total", ADD_NUMBER, offsetof(struct metrics_page_upstream, abandoned)},
    {"curfew_calls_overdue", ADD_NUMBER, offsetof(struct metrics_page_upstream, overdue)},
    {"curfew_upstream_observed", ADD_NUMBER, offsetof(struct metrics_page_upstream, observed)},
    {"curfew_breaker_state", ADD_BREAKER, 0},
    {"curfew_calls_spared_total", ADD_BY_PHASE, offsetof(struct metrics_page_upstream, spared)},
    {"curfew_calls_stuck_total", ADD_BY_PHASE, offsetof(struct metrics_page_upstream, stuck)},
    {"curfew_calls_in_flight", ADD_BY_PHASE, offsetof(struct metrics_page_upstream, in_flight)},
    {"curfew_deadline_overshoot_seconds_bucket", ADD_BUCKET,
     offsetof(struct metrics_page_upstream, overshoot)},
};

static void add_sample(struct metrics_page_upstream *upstream, size_t family,
                       const struct prometheus_sample *sample)
{
    void *cell = (char *)upstream + families[family].offset;

    switch (families[family].how) {
    case ADD_NUMBER: *(double *)cell += sample->value; break;
    case ADD_BY_PHASE: add_by_phase(cell, sample); break;
    case ADD_BUCKET: add_bucket(cell, sample); break;
    case ADD_BY_REASON: add_by_reason(cell, sample); break;
    case ADD_RETRIED: add_if(cell, sample, "kind", "first", false); break;
    case ADD_BUDGET: add_if(cell, sample, "reason", "budget", true); break;
    case ADD_STALE: add_if(cell, sample, "result", "stale", true); break;
    case ADD_H2_CALLERS: add_if(cell, sample, "side", "downstream", true); break;
    case ADD_H2_APIS: add_if(cell, sample, "side", "upstream", true); break;
    case ADD_COMPLETED: add_completed(upstream, sample); break;
    case ADD_RESPONSES: add_responses(upstream, sample); break;
    case ADD_BREAKER: add_breaker(upstream, sample); break;
    }
}

static bool take_upstream(struct metrics_page *board, const struct prometheus_sample *sample)
{
    struct metrics_page_upstream *upstream;
    struct span name;

    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        if (!span_eq(span_of(families[i].name), sample->name) || !prometheus_label(sample, "upstream", &name))
            continue;
        upstream = upstream_named(board, name);
        if (upstream == NULL)
            return false;
        add_sample(upstream, i, sample);
    }
    return true;
}

/* NULL: it is none that anybody looks at. */
static double *pool_cell(struct metrics_page_pool *pool, struct span name)
{
    const struct {
        const char *name;
        double *cell;
    } cells[] = {
        {"curfew_pool_size", &pool->size},
        {"curfew_pool_limit", &pool->limit},
        {"curfew_pool_held", &pool->held},
        {"curfew_pool_ghosts", &pool->ghosts},
        {"curfew_pool_waiting", &pool->waiting},
        {"curfew_rate_limit", &pool->rate_limit},
        {"curfew_rate_started_total", &pool->rate_started},
        {"curfew_pause_seconds", &pool->pause_seconds},
        {"curfew_fleet_size", &pool->fleet_size},
        {"curfew_fleet_total_granted", &pool->fleet_granted},
        {"curfew_fleet_hosts", &pool->fleet_hosts},
        {"curfew_fleet_waiting_hosts", &pool->fleet_waiting},
    };

    for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++)
        if (span_eq(name, span_of(cells[i].name)))
            return cells[i].cell;
    return NULL;
}

/* Of modes, one is 1. */
static void take_mode(struct metrics_page_pool *pool, const struct prometheus_sample *sample)
{
    struct span mode;

    if (sample->value == 0 || !prometheus_label(sample, "mode", &mode))
        return;
    pool->is_learning |= span_eq(mode, SPAN_LIT("learning"));
    pool->is_fallback |= span_eq(mode, SPAN_LIT("fallback"));
}

static bool take_pool(struct metrics_page *board, const struct prometheus_sample *sample)
{
    bool is_mode = span_eq(sample->name, SPAN_LIT("curfew_fleet_mode"));
    struct metrics_page_pool *pool;
    struct span name;

    if ((!is_mode && pool_cell(&(struct metrics_page_pool){.size = 0}, sample->name) == NULL) ||
        !prometheus_label(sample, "pool", &name))
        return true;
    pool = pool_named(board, name);
    if (pool == NULL)
        return false;
    if (is_mode)
        take_mode(pool, sample);
    else
        *pool_cell(pool, sample->name) = sample->value;
    return true;
}

bool metrics_page_read(struct metrics_page *board, struct span page)
{
    struct prometheus_sample sample;
    struct span version;

    *board = (struct metrics_page){0};
    while (prometheus_next(&page, &sample)) {
        if (!take_upstream(board, &sample) || !take_pool(board, &sample))
            return false;
        if (span_eq(sample.name, SPAN_LIT("process_start_time_seconds")))
            board->started_at = sample.value;
        else if (span_eq(sample.name, SPAN_LIT("curfew_fleet_connected")))
            board->is_store_away = sample.value == 0;
        else if (span_eq(sample.name, SPAN_LIT("curfew_build_info")) &&
                 prometheus_label(&sample, "version", &version))
            copy_name(board->version, version);
    }
    return board->version[0] != '\0';
}

void metrics_page_free(struct metrics_page *board)
{
    mem_free(board->upstreams);
    mem_free(board->pools);
    *board = (struct metrics_page){0};
}

const struct metrics_page_upstream *metrics_page_find_upstream(const struct metrics_page *board,
                                                               const char *name)
{
    for (uint32_t i = 0; i < board->upstream_count; i++)
        if (strcmp(board->upstreams[i].name, name) == 0)
            return &board->upstreams[i];
    return NULL;
}

const struct metrics_page_pool *metrics_page_find_pool(const struct metrics_page *board, const char *name)
{
    for (uint32_t i = 0; i < board->pool_count; i++)
        if (strcmp(board->pools[i].name, name) == 0)
            return &board->pools[i];
    return NULL;
}

/* ---- comparing ---------------------------------------------------------------------------------------------- */

/* What was observed in between and lies at or below the bound with this index. */
static double between(const struct metrics_page_histogram *now, const struct metrics_page_histogram *before,
                      uint32_t at)
{
    double earlier = before != NULL && before->count == now->count ? before->values[at] : 0;

    return now->values[at] - earlier;
}

double metrics_page_quantile(const struct metrics_page_histogram *now,
                             const struct metrics_page_histogram *before, double q)
{
    double all = now->count != 0 ? between(now, before, now->count - 1) : 0;
    double rank = q * all, below = 0, from = 0;

    if (all <= 0)
        return NAN;
    for (uint32_t i = 0; i < now->count; i++) {
        double upto = between(now, before, i);

        if (upto >= rank && upto > below) {
            double share = (rank - below) / (upto - below);

            return isinf(now->bounds[i]) ? INFINITY : from + share * (now->bounds[i] - from);
        }
        below = upto;
        from = now->bounds[i];
    }
    return INFINITY;
}

static double last_finite(const struct metrics_page_histogram *histogram)
{
    return histogram->count >= 2 ? histogram->bounds[histogram->count - 2] : 0;
}

/*
 * Calls that completed with neither 5xx nor 429. A 429 counts when it has come, its call when it has completed, which
 * some never do: more than there are 4xx are not taken off.
 */
static double completed_well(const struct metrics_page_upstream *now,
                             const struct metrics_page_upstream *before)
{
    double others = now->completed_4xx - before->completed_4xx - (now->too_many - before->too_many);

    return now->completed_fine - before->completed_fine + (others > 0 ? others : 0);
}

void metrics_page_compare(const struct metrics_page_upstream *now, const struct metrics_page_upstream *before,
                          double seconds, struct metrics_page_change *change)
{
    static const struct metrics_page_upstream nothing;
    double stuck = 0;

    *change = (struct metrics_page_change){0};
    if (before == NULL)
        before = &nothing;
    if (seconds <= 0)
        seconds = 1;
    for (enum phase phase = 0; phase < PHASE_COUNT; phase++) {
        change->stuck[phase] = now->stuck[phase] - before->stuck[phase];
        stuck += change->stuck[phase];
        change->spared[phase] = now->spared[phase] - before->spared[phase];
        change->in_flight += now->in_flight[phase];
    }
    for (enum cause cause = 0; cause < CAUSE_COUNT; cause++)
        change->rejected_by[cause] = now->rejected_by[cause] - before->rejected_by[cause];
    change->retried_rate = (now->retried - before->retried) / seconds;
    change->saved = now->saved - before->saved;
    change->budget_stops = now->budget_stops - before->budget_stops;
    change->dns_stale = now->dns_stale - before->dns_stale;
    change->h2_callers_rate = (now->h2_callers - before->h2_callers) / seconds;
    change->h2_apis_rate = (now->h2_apis - before->h2_apis) / seconds;
    change->started_rate = (now->started - before->started) / seconds;
    change->ok_rate = completed_well(now, before) / seconds;
    change->server_error_rate = (now->server_errors - before->server_errors) / seconds;
    change->too_many_rate = (now->too_many - before->too_many) / seconds;
    change->failed_rate = (now->failed - before->failed) / seconds;
    change->rejected_rate = (now->rejected - before->rejected) / seconds;
    change->stuck_rate = stuck / seconds;
    change->overshoot_p99 = metrics_page_quantile(&now->overshoot, &before->overshoot, 0.99);
    change->overshoot_most = last_finite(&now->overshoot);
}
