#include "base/text.h"
#include "base/invariant.h"
#include "core/handshake_failure.h"
#include "stats/metric.h"

/* What the cells of a counter are counted by. */
enum label {
    LABEL_NONE,
    LABEL_CLASS,
    LABEL_LATE,
    LABEL_PHASE,
    LABEL_PHASE_AGE,
    LABEL_FAILED,
    LABEL_REJECTED,
    LABEL_REFUSED,
    LABEL_DIRECTION,
    LABEL_SIDE,
    LABEL_RESULT,
    LABEL_DNS,
    LABEL_WINNER,
    LABEL_STOP,
    LABEL_KIND,
    LABEL_VERDICT,
    LABEL_BREAKER,
    LABEL_OPENED,
    LABEL_ADDRESS,
    LABEL_HANDSHAKE,
    LABEL_GRPC,
    LABEL_END,
    LABEL_FORWARD,
};

static const char *label_key(enum label label)
{
    static const char *const keys[] = {
        [LABEL_NONE] = NULL,          [LABEL_CLASS] = "class",         [LABEL_PHASE] = "phase",
        [LABEL_PHASE_AGE] = "phase",  [LABEL_FAILED] = "reason",       [LABEL_REJECTED] = "reason",
        [LABEL_REFUSED] = "reason",   [LABEL_DIRECTION] = "direction", [LABEL_SIDE] = "side",
        [LABEL_RESULT] = "result",    [LABEL_DNS] = "result",          [LABEL_KIND] = "kind",
        [LABEL_VERDICT] = "verdict",  [LABEL_BREAKER] = "state",       [LABEL_OPENED] = "reason",
        [LABEL_HANDSHAKE] = "reason", [LABEL_LATE] = "class",          [LABEL_STOP] = "reason",
        [LABEL_ADDRESS] = "state",    [LABEL_GRPC] = "code",           [LABEL_END] = "end",
        [LABEL_FORWARD] = "reason",   [LABEL_WINNER] = "winner",
    };

    return keys[label];
}

static const char *reason_of(enum outcome outcome, uint32_t cause)
{
    return cause_outcome((enum cause)cause) == outcome ? cause_reason((enum cause)cause) : NULL;
}

/* Why a forward proxy does not let a request go where it wants. */
static const char *refusal_of(uint32_t cause)
{
    switch (cause) {
    case CAUSE_NO_DESTINATION:
    case CAUSE_DESTINATION:
    case CAUSE_PORT:
    case CAUSE_SNI: return cause_reason((enum cause)cause);
    case CAUSE_ADDRESS: return "address";
    default: return NULL;
    }
}

/* NULL: a cell that never counts. */
static const char *cell_name(enum label label, uint32_t cell)
{
    static const char *const classes[LATE_COUNT] = {"1xx", "2xx", "3xx", "4xx", "5xx", "none"};
    static const char *const directions[DIRECTION_COUNT] = {[DIRECTION_UP] = "up", [DIRECTION_DOWN] = "down"};
    static const char *const sides[SIDE_COUNT] = {[SIDE_DOWNSTREAM] = "downstream",
                                                  [SIDE_UPSTREAM] = "upstream",
                                                  [SIDE_UPSTREAM_IDLE] = "upstream_idle"};
    static const char *const results[RESULT_COUNT] = {
        [RESULT_SUCCESS] = "success", [RESULT_FAILURE] = "failure"};
    static const char *const answers[DNS_RESULT_COUNT] = {
        [DNS_FRESH] = "fresh", [DNS_STALE] = "stale", [DNS_FAILED] = "failed"};

    switch (label) {
    case LABEL_NONE: return "";
    case LABEL_CLASS: return classes[cell];
    case LABEL_LATE: return cell != 0 ? classes[cell] : NULL;
    case LABEL_PHASE: return phase_name((enum phase)cell);
    case LABEL_PHASE_AGE: return phase_name((enum phase)(cell / AGE_COUNT));
    case LABEL_FAILED: return reason_of(OUTCOME_FAILED, cell);
    case LABEL_REJECTED: return reason_of(OUTCOME_REJECTED, cell);
    case LABEL_REFUSED: return reason_of(OUTCOME_NOT_A_CALL, cell);
    case LABEL_FORWARD: return refusal_of(cell);
    case LABEL_DIRECTION: return directions[cell];
    case LABEL_SIDE: return sides[cell];
    case LABEL_RESULT: return results[cell];
    case LABEL_DNS: return answers[cell];
    case LABEL_WINNER: return race_winner_name((enum race_winner)cell);
    case LABEL_STOP: return retry_stop_word((enum retry_stop)cell);
    case LABEL_KIND: return try_kind_name((enum try_kind)cell);
    case LABEL_VERDICT: return verdict_name((enum verdict)cell);
    case LABEL_BREAKER: return breaker_state_name((enum breaker_state)cell);
    case LABEL_ADDRESS: return ejection_state_name((enum ejection_state)cell);
    case LABEL_OPENED: return breaker_reason_name((enum breaker_reason)cell);
    case LABEL_GRPC: return grpc_code_name((enum grpc_code)cell);
    case LABEL_END: return tunnel_end_name((enum tunnel_end)cell);
    case LABEL_HANDSHAKE: return handshake_failure_name((enum handshake_failure)cell);
    }
    IMPOSSIBLE("a counter's label that has no names");
    return NULL;
}

static const char *age_name(uint32_t cell)
{
    static const char *const ages[AGE_COUNT] = {
        [AGE_UNDER_1S] = "0-1s", [AGE_1S] = "1-5s", [AGE_5S] = "5-30s", [AGE_30S] = "30s+"};

    return ages[cell % AGE_COUNT];
}

/* Whose samples are written: labels that come before the cell's. NULL: no such label. */
struct owner {
    const char *upstream;
    const char *route;
    const char *listener, *destination;
};

static void put_owner(struct exposition *out, struct owner owner)
{
    if (owner.upstream)
        exposition_label(out, "upstream", owner.upstream);
    if (owner.route)
        exposition_label(out, "route", owner.route);
    if (owner.listener)
        exposition_label(out, "listener", owner.listener);
    if (owner.destination)
        exposition_label(out, "destination", owner.destination);
}

/* Begins one of the samples of this name and owner that are written one after the other. */
static void begin_sample(struct exposition *out, const char *name, const char *suffix, struct owner owner,
                         bool is_first)
{
    if (!is_first && exposition_repeat(out))
        return;
    exposition_sample(out, name, suffix);
    put_owner(out, owner);
    exposition_stem(out);
}

static void put_cells(struct exposition *out, const char *name, struct owner owner, enum label label,
                      const uint64_t *cells, uint32_t count)
{
    bool is_first = true;

    for (uint32_t i = 0; i < count; i++) {
        const char *value = cell_name(label, i);

        if (!value)
            continue;
        begin_sample(out, name, "", owner, is_first);
        is_first = false;
        if (label != LABEL_NONE)
            exposition_label(out, label_key(label), value);
        if (label == LABEL_PHASE_AGE)
            exposition_label(out, "age", age_name(i));
        exposition_u64(out, cells[i]);
    }
}

/* Of cells that most owners never count in, those that have counted. */
static void put_seen(struct exposition *out, const char *name, struct owner owner, enum label label,
                     const uint64_t *cells, uint32_t count)
{
    bool is_first = true;

    for (uint32_t i = 0; i < count; i++) {
        if (cells[i] == 0)
            continue;
        begin_sample(out, name, "", owner, is_first);
        is_first = false;
        exposition_label(out, label_key(label), cell_name(label, i));
        exposition_u64(out, cells[i]);
    }
}

/* The upper bounds of the buckets, as they are written. */
struct bound_texts {
    char of[METRIC_BUCKETS][24];
};

/* Billionths as a decimal number, exact and as short as it can be: 2500000 -> "0.0025". */
static void put_bound(char text[24], int64_t bound)
{
    struct text t = text_over(text, 24);
    int64_t part = bound % 1000000000;

    text_u64(&t, (uint64_t)bound / 1000000000);
    if (part != 0)
        TEXT_LIT(&t, ".");
    for (int64_t unit = 100000000; part != 0; unit /= 10) {
        text_u64(&t, (uint64_t)(part / unit));
        part %= unit;
    }
    POST(!t.overflow && t.len < 24);
    t.ptr[t.len] = '\0';
}

static struct bound_texts write_bounds(const int64_t bounds[METRIC_BUCKETS - 1])
{
    struct bound_texts texts;

    for (uint32_t i = 0; i < METRIC_BUCKETS - 1; i++)
        put_bound(texts.of[i], bounds[i]);
    strcpy(texts.of[METRIC_BUCKETS - 1], "+Inf");
    return texts;
}

static void put_histogram(struct exposition *out, const char *name, struct owner owner,
                          const struct bound_texts *bounds, const struct metric_histogram *histogram)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < METRIC_BUCKETS; i++) {
        count += histogram->bucket[i];
        begin_sample(out, name, "_bucket", owner, i == 0);
        exposition_label(out, "le", bounds->of[i]);
        exposition_u64(out, count);
    }
    exposition_sample(out, name, "_sum");
    put_owner(out, owner);
    exposition_number(out, histogram->sum);
    exposition_sample(out, name, "_count");
    put_owner(out, owner);
    exposition_u64(out, count);
}

static void put_code(struct exposition *out, const char *name, struct owner owner, const char *code,
                     uint64_t count, bool *is_first)
{
    if (count == 0)
        return;
    begin_sample(out, name, "", owner, *is_first);
    *is_first = false;
    exposition_label(out, "code", code);
    exposition_u64(out, count);
}

void metrics_render_histogram(const char *name, const char *help, const int64_t *bounds,
                              const struct metric_histogram *histogram, struct exposition *out)
{
    struct bound_texts texts = write_bounds(bounds);

    exposition_family(out, name, EXPOSITION_HISTOGRAM, help);
    put_histogram(out, name, (struct owner){0}, &texts, histogram);
}

/* Of 500 codes that could be, those that were seen. */
static void put_codes(struct exposition *out, const char *name, struct owner owner,
                      const struct code_counts *counts)
{
    bool is_first = true;

    for (uint32_t code = CODE_MIN; code < CODE_END; code++) {
        const char digits[] = {(char)('0' + code / 100), (char)('0' + code / 10 % 10),
                               (char)('0' + code % 10), '\0'};

        put_code(out, name, owner, digits, code_counts_of(counts, code), &is_first);
    }
    put_code(out, name, owner, "other", counts->other, &is_first);
}

static struct owner upstream_owner(const struct metric_names *names, uint32_t upstream)
{
    return (struct owner){.upstream = names->upstream(names->arg, upstream)};
}

static struct owner route_owner(const struct metric_names *names, uint32_t route)
{
    uint32_t upstream = names->upstream_of_route(names->arg, route);

    return (struct owner){.upstream = names->upstream(names->arg, upstream),
                          .route = names->route(names->arg, route)};
}

/* Of no name: it is no forward proxy, or nobody's number. */
static struct owner forward_owner(const struct metric_names *names, uint32_t upstream)
{
    bool is_one = names->is_forward && names->is_forward(names->arg, upstream);

    return (struct owner){.listener = is_one ? names->upstream(names->arg, upstream) : NULL};
}

static struct owner destination_owner(const struct metric_names *names, uint32_t route)
{
    struct owner owner = {0};

    if (names->route(names->arg, route))
        owner = forward_owner(names, names->upstream_of_route(names->arg, route));
    owner.destination = names->route(names->arg, route);
    return owner;
}

static bool is_any_set(const uint64_t *cells, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (cells[i] != 0)
            return true;
    return false;
}

static void render_routes(const struct metrics *m, const struct metric_names *names, struct exposition *out)
{
#define ROUTE_COUNTER(field, name, label, cells, help)                                                       \
    exposition_family(out, name, EXPOSITION_COUNTER, help);                                                  \
    for (uint32_t i = 0; i < m->route_count; i++)                                                            \
        if (names->route(names->arg, i) != NULL)                                                             \
            put_cells(out, name, route_owner(names, i), LABEL_##label, m->routes[i].field, cells);
#define ROUTE_SEEN(field, name, label, cells, help)                                                          \
    exposition_family(out, name, EXPOSITION_COUNTER, help);                                                  \
    for (uint32_t i = 0; i < m->route_count; i++)                                                            \
        if (names->route(names->arg, i) != NULL)                                                             \
            put_seen(out, name, route_owner(names, i), LABEL_##label, m->routes[i].field, cells);
#define ROUTE_STATE(field, name, label, cells, help)                                                         \
    exposition_family(out, name, EXPOSITION_GAUGE, help);                                                    \
    for (uint32_t i = 0; i < m->route_count; i++)                                                            \
        if (names->route(names->arg, i) != NULL && is_any_set(m->routes[i].field, cells))                    \
            put_cells(out, name, route_owner(names, i), LABEL_##label, m->routes[i].field, cells);
#define REPORT_COUNTER(field, name, label, cells, help)                                                      \
    exposition_family(out, name, EXPOSITION_COUNTER, help);                                                  \
    for (uint32_t i = 0; i < m->route_count; i++)                                                            \
        if (destination_owner(names, i).listener != NULL && is_any_set(m->routes[i].field, cells))           \
            put_cells(out, name, destination_owner(names, i), LABEL_##label, m->routes[i].field, cells);
#include "stats/metrics.def"
}

static bool has_counted(const struct metric_histogram *histogram)
{
    for (uint32_t i = 0; i < METRIC_BUCKETS; i++) {
        if (histogram->bucket[i] != 0)
            return true;
    }
    return false;
}

/* Of all upstreams, or of those alone that have counted something. */
static void render_histogram(const struct metrics *m, const struct metric_names *names,
                             struct exposition *out, const char *name, const int64_t *bounds, size_t offset,
                             bool all)
{
    struct bound_texts texts = write_bounds(bounds);

    for (uint32_t i = 0; i < m->upstream_count; i++) {
        const struct metric_histogram *histogram = (const void *)((const char *)&m->upstreams[i] + offset);

        if (names->upstream(names->arg, i) != NULL && (all || has_counted(histogram)))
            put_histogram(out, name, upstream_owner(names, i), &texts, histogram);
    }
}

/* The sum over the upstream's routes; of a forward proxy each destination by itself. */
static void put_tunnels(const struct metrics *m, const struct metric_names *names, uint32_t upstream,
                        struct exposition *out, const char *name, enum label label, size_t offset,
                        uint32_t cells)
{
    struct owner owner = upstream_owner(names, upstream);
    bool is_forward = forward_owner(names, upstream).listener != NULL;
    uint64_t sum[TUNNEL_END_COUNT] = {0};

    PRE(cells <= TUNNEL_END_COUNT);
    for (uint32_t i = 0; i < m->route_count; i++) {
        const uint64_t *of = (const void *)((const char *)&m->routes[i] + offset);

        if (names->route(names->arg, i) == NULL || names->upstream_of_route(names->arg, i) != upstream)
            continue;
        for (uint32_t cell = 0; cell < cells; cell++)
            sum[cell] = (is_forward ? 0 : sum[cell]) + of[cell];
        owner.destination = is_forward ? names->route(names->arg, i) : NULL;
        if (is_forward)
            put_cells(out, name, owner, label, sum, cells);
    }
    if (!is_forward)
        put_cells(out, name, owner, label, sum, cells);
}

static void render_tunnels(const struct metrics *m, const struct metric_names *names, struct exposition *out)
{
#define TUNNEL_CELLS(type, field, name, label, cells, help)                                                  \
    exposition_family(out, name, type, help);                                                                \
    for (uint32_t i = 0; i < m->upstream_count; i++)                                                         \
        if (names->upstream(names->arg, i) != NULL)                                                          \
            put_tunnels(m, names, i, out, name, LABEL_##label, offsetof(struct route_metrics, field), cells);
#define TUNNEL_GAUGE(field, name, label, cells, help)                                                        \
    TUNNEL_CELLS(EXPOSITION_GAUGE, field, name, label, cells, help)
#define TUNNEL_COUNTER(field, name, label, cells, help)                                                      \
    TUNNEL_CELLS(EXPOSITION_COUNTER, field, name, label, cells, help)
#include "stats/metrics.def"
#undef TUNNEL_CELLS
}

static void render_upstreams(const struct metrics *m, const struct metric_names *names,
                             struct exposition *out)
{
#define UPSTREAM_CELLS(type, field, name, label, cells, help)                                                \
    exposition_family(out, name, type, help);                                                                \
    for (uint32_t i = 0; i < m->upstream_count; i++)                                                         \
        if (names->upstream(names->arg, i) != NULL)                                                          \
            put_cells(out, name, upstream_owner(names, i), LABEL_##label, m->upstreams[i].field, cells);
#define UPSTREAM_COUNTER(field, name, label, cells, help)                                                    \
    UPSTREAM_CELLS(EXPOSITION_COUNTER, field, name, label, cells, help)
#define UPSTREAM_GAUGE(field, name, label, cells, help)                                                      \
    UPSTREAM_CELLS(EXPOSITION_GAUGE, field, name, label, cells, help)
#define UPSTREAM_CELLS_SET(type, field, name, label, cells, help)                                            \
    exposition_family(out, name, type, help);                                                                \
    for (uint32_t i = 0; i < m->upstream_count; i++)                                                         \
        if (names->upstream(names->arg, i) != NULL && is_any_set(m->upstreams[i].field, cells))              \
            put_cells(out, name, upstream_owner(names, i), LABEL_##label, m->upstreams[i].field, cells);
#define UPSTREAM_STATE(field, name, label, cells, help)                                                      \
    UPSTREAM_CELLS_SET(EXPOSITION_GAUGE, field, name, label, cells, help)
#define UPSTREAM_SELDOM(field, name, label, cells, help)                                                     \
    UPSTREAM_CELLS_SET(EXPOSITION_COUNTER, field, name, label, cells, help)
#define FORWARD_COUNTER(field, name, label, cells, help)                                                     \
    exposition_family(out, name, EXPOSITION_COUNTER, help);                                                  \
    for (uint32_t i = 0; i < m->upstream_count; i++)                                                         \
        if (forward_owner(names, i).listener != NULL)                                                        \
            put_cells(out, name, forward_owner(names, i), LABEL_##label, m->upstreams[i].field, cells);
#define UPSTREAM_HISTOGRAM(field, name, bounds, help)                                                        \
    exposition_family(out, name, EXPOSITION_HISTOGRAM, help);                                                \
    render_histogram(m, names, out, name, metric_bounds_##bounds, offsetof(struct upstream_metrics, field),  \
                     true);
#define STREAM_HISTOGRAM(field, name, bounds, help)                                                          \
    exposition_family(out, name, EXPOSITION_HISTOGRAM, help);                                                \
    render_histogram(m, names, out, name, metric_bounds_##bounds, offsetof(struct upstream_metrics, field),  \
                     false);
#define UPSTREAM_CODES(field, name, help)                                                                    \
    exposition_family(out, name, EXPOSITION_COUNTER, help);                                                  \
    for (uint32_t i = 0; i < m->upstream_count; i++)                                                         \
        if (names->upstream(names->arg, i) != NULL)                                                          \
            put_codes(out, name, upstream_owner(names, i), &m->upstreams[i].field);
#include "stats/metrics.def"
#undef UPSTREAM_CELLS
}

static void render_process(const struct metrics *m, struct exposition *out)
{
    const struct owner nobody = {0};

#define PROCESS_CELLS(type, field, name, label, cells, help)                                                 \
    exposition_family(out, name, type, help);                                                                \
    put_cells(out, name, nobody, LABEL_##label, m->process.field, cells);
#define PROCESS_COUNTER(field, name, label, cells, help)                                                     \
    PROCESS_CELLS(EXPOSITION_COUNTER, field, name, label, cells, help)
#define PROCESS_GAUGE(field, name, label, cells, help)                                                       \
    PROCESS_CELLS(EXPOSITION_GAUGE, field, name, label, cells, help)
#include "stats/metrics.def"
#undef PROCESS_CELLS
}

void metrics_render(const struct metrics *metrics, const struct metric_names *names, struct exposition *out)
{
    render_routes(metrics, names, out);
    render_upstreams(metrics, names, out);
    render_tunnels(metrics, names, out);
    render_process(metrics, out);
}
