#include "admin/calls.h"

#include "admin/calls_filter.h"
#include "admin/labels.h"
#include "admin/respond.h"
#include "base/mem.h"
#include "base/number.h"
#include "proxy/call_query.h"
#include "runtime/loop.h"

#define NO_MEMORY   "There is not enough memory to ask the workers."

#define PATIENCE_NS NS_PER_S

/* A request that wants a query of the calls in flight. */
struct asked {
    struct list_node node; /* on calls.waiting, until it is its turn */
    struct calls *calls;
    struct admin_request *request;
    struct call_top_filter filter;
    enum call_query_act act;
    struct timer patience;
};

/* ---- the answer ------------------------------------------------------------------------------------------- */

static void put_ms(struct jsonw *json, const char *key, int64_t ns)
{
    jsonw_i64(json, key, ns / NS_PER_MS);
}

/* Names of routes and upstreams that are gone meanwhile are null. */
static void put_call(struct jsonw *json, const char *key, const struct labels *labels,
                     const struct call_top_entry *entry, int64_t now_ns)
{
    jsonw_open_object(json, key);
    jsonw_hex(json, "id", entry->id);
    jsonw_text(json, "upstream", labels_upstream(labels, entry->upstream));
    jsonw_text(json, "route", labels_route(labels, entry->route));
    jsonw_string(json, "method", (struct span){entry->method, entry->method_len});
    jsonw_text(json, "phase", phase_name(entry->phase));
    put_ms(json, "age_ms", now_ns - entry->begun_ns);
    put_ms(json, "left_ms", entry->deadline_ns - now_ns);
    put_ms(json, "phase_ms", now_ns - entry->phase_since_ns);
    jsonw_u64(json, "bytes_up", entry->bytes_up);
    jsonw_u64(json, "bytes_down", entry->bytes_down);
    jsonw_text(json, "sent", sent_name(entry->sent));
    if (entry->try_number != 0)
        jsonw_u64(json, "try", entry->try_number);
    if (entry->hedged)
        jsonw_bool(json, "hedged", true);
    if (entry->probes)
        jsonw_text(json, "breaker", "probe");
    if (entry->comes_by_h2)
        jsonw_text(json, "caller_protocol", "h2");
    if (entry->goes_by_h2)
        jsonw_text(json, "upstream_protocol", "h2");
    if (entry->observed)
        jsonw_bool(json, "observed", true);
    jsonw_close_object(json);
}

static void put_phase(struct jsonw *json, const char *upstream, enum phase phase,
                      const struct phase_counts_cell *cell, int64_t now_ns)
{
    jsonw_open_object(json, NULL);
    jsonw_text(json, "upstream", upstream);
    jsonw_text(json, "phase", phase_name(phase));
    jsonw_u64(json, "calls", cell->calls);
    put_ms(json, "oldest_ms", now_ns - cell->oldest_begun_ns);
    put_ms(json, "oldest_left_ms", cell->oldest_deadline_ns - now_ns);
    jsonw_close_object(json);
}

/* Where there are none, nothing is said. */
static void put_phases(struct jsonw *json, const struct labels *labels, const struct phase_counts *counts,
                       int64_t now_ns)
{
    jsonw_open_array(json, "phases");
    for (uint32_t i = 0; i < counts->upstream_count * PHASE_COUNT; i++) {
        uint32_t upstream = i / PHASE_COUNT;
        enum phase phase = i % PHASE_COUNT;
        const struct phase_counts_cell *cell = phase_counts_at(counts, upstream, phase);

        if (cell->calls != 0)
            put_phase(json, labels_upstream(labels, upstream), phase, cell, now_ns);
    }
    jsonw_close_array(json);
}

static void put_list(struct jsonw *json, const struct labels *labels, const struct call_query_result *result,
                     int64_t now_ns)
{
    const struct call_top *top = &result->top;

    jsonw_open_array(json, "calls");
    for (uint32_t i = 0; i < top->count; i++)
        put_call(json, NULL, labels, &top->entries[i], now_ns);
    jsonw_close_array(json);
    put_phases(json, labels, &result->counts, now_ns);
    jsonw_u64(json, "matching", top->matching);
    jsonw_u64(json, "in_flight", top->in_flight);
    jsonw_real(json, "longest_stop_ms", (double)result->longest_ns / NS_PER_MS, JSON_ANSWER_DIGITS);
}

static void respond_with(const struct asked *asked, const struct call_query_result *result)
{
    const struct numbering *numbering = &asked->calls->proxy->numbering;
    int64_t now_ns = loop_clock_ns();
    struct json_answer answer;
    struct labels labels;
    struct jsonw *json;

    if (asked->act == CALL_QUERY_CUT && result->top.count == 0) {
        respond_problem(asked->request, 404, "No call in flight has this id.");
        return;
    }
    json = json_answer_begin(&answer);
    if (!labels_init(&labels, asked->calls->proxy, numbering->upstreams.count, numbering->routes.count))
        answer.content.is_incomplete = true;
    else if (asked->act == CALL_QUERY_LIST)
        put_list(json, &labels, result, now_ns);
    else
        put_call(json, "cut", &labels, &result->top.entries[0], now_ns);
    labels_fini(&labels);
    json_answer_send(&answer, asked->request, 500);
}

/* ---- a request's way ---------------------------------------------------------------------------------------- */

static void start_next(struct calls *calls);

static void asked_free(struct asked *asked)
{
    timer_fini(&asked->calls->loop->timers, &asked->patience);
    list_remove(&asked->node);
    mem_free(asked);
}

static void refuse(struct asked *asked, int status, const char *detail)
{
    respond_problem(asked->request, status, detail);
    asked_free(asked);
}

static void call_query_done(void *arg, const struct call_query_result *result)
{
    struct calls *calls = arg;
    struct asked *asked = calls->asked;

    calls->asked = NULL;
    calls->is_under_way = false;
    if (asked && asked->act == CALL_QUERY_LIST && result->is_stale) {
        list_push_front(&calls->waiting, &asked->node);
    } else if (asked) {
        respond_with(asked, result);
        asked_free(asked);
    }
    start_next(calls);
}

static void start_next(struct calls *calls)
{
    struct list_node *node;

    while (!calls->is_under_way && (node = list_take_front(&calls->waiting)) != NULL) {
        struct asked *asked = CONTAINER_OF(node, struct asked, node);

        calls->is_under_way =
            call_query_start(calls->proxy, &asked->filter, asked->act, call_query_done, calls);
        if (calls->is_under_way)
            calls->asked = asked;
        else
            refuse(asked, 503, NO_MEMORY);
    }
}

/* A late answer of the workers is dropped. */
static void give_up(struct timer *timer, int64_t now_ns)
{
    struct asked *asked = CONTAINER_OF(timer, struct asked, patience);

    (void)now_ns;
    if (asked->calls->asked == asked)
        asked->calls->asked = NULL;
    refuse(asked, 503, "A worker did not answer within 1 s.");
}

static void ask(struct calls *calls, struct admin_request *request, const struct call_top_filter *filter,
                enum call_query_act act)
{
    struct asked *asked = mem_zalloc(sizeof(*asked));

    if (asked == NULL || timer_init(&calls->loop->timers, &asked->patience, give_up) != ST_OK) {
        mem_free(asked);
        respond_problem(request, 503, NO_MEMORY);
        return;
    }
    asked->calls = calls;
    asked->request = request;
    asked->filter = *filter;
    asked->act = act;
    timer_set(&calls->loop->timers, &asked->patience, loop_now(calls->loop) + PATIENCE_NS);
    list_push_back(&calls->waiting, &asked->node);
    start_next(calls);
}

void calls_respond(struct calls *calls, struct admin_request *request)
{
    const char *query = request->query;
    struct call_top_filter filter;
    char why[160];

    if (calls_filter_read(query, calls->proxy, &filter, why, sizeof(why)))
        ask(calls, request, &filter, CALL_QUERY_LIST);
    else
        respond_problem(request, 400, why);
}

void calls_respond_cut(struct calls *calls, struct admin_request *request, const char *id)
{
    struct call_top_filter filter;

    if (calls_filter_read_id(id, &filter))
        ask(calls, request, &filter, CALL_QUERY_CUT);
    else
        respond_problem(request, 400, "An id is up to 16 hexadecimal digits, as GET /calls shows it.");
}

/* ---- all ----------------------------------------------------------------------------------------------------- */

void calls_init(struct calls *calls)
{
    list_init(&calls->waiting);
}

void calls_fini(struct calls *calls)
{
    struct list_node *node;

    if (calls->asked)
        list_push_back(&calls->waiting, &calls->asked->node);
    calls->asked = NULL;
    while ((node = list_take_front(&calls->waiting)) != NULL)
        refuse(CONTAINER_OF(node, struct asked, node), 503, "curfew is shutting down.");
    /* The workers' answers to the query that may be under way are in. */
    mailbox_deliver(calls->proxy->home);
}
