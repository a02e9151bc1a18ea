#include "admin/calls.h"

#include <event2/event_struct.h>

#include "admin/calls_filter.h"
#include "admin/labels.h"
#include "admin/respond.h"
#include "base/mem.h"
#include "base/number.h"
#include "proxy/call_query.h"
#include "runtime/loop.h"

#define NO_MEMORY "There is not enough memory to ask the workers."

static const struct timeval patience = {.tv_sec = 1};

/* A request that wants a query of the calls in flight. */
struct asked {
    struct list_node node; /* on calls.waiting, until it is its turn */
    struct calls *calls;
    struct evhttp_request *request; /* outlives its client: evhttp frees it when it has been answered */
    struct call_top_filter filter;
    enum call_query_act act;
    struct event patience_over;
};

/* ---- the answer ------------------------------------------------------------------------------------------- */

static json_t *milliseconds(int64_t ns)
{
    return json_integer(ns / NS_PER_MS);
}

/* NULL, which takes `call` along: no memory. */
static json_t *mark_observed(json_t *call)
{
    if (call && json_object_set_new(call, "observed", json_true()) == 0)
        return call;
    json_decref(call);
    return NULL;
}

/* Names of routes and upstreams that are gone meanwhile are null. NULL: no memory. */
static json_t *describe(const struct labels *labels, const struct call_top_entry *entry, int64_t now_ns)
{
    const char *upstream =
        entry->upstream < labels->upstream_count ? labels->upstreams[entry->upstream] : NULL;
    const char *route = entry->route < labels->route_count ? labels->routes[entry->route].name : NULL;
    char block[20];
    struct text id = text_over(block, sizeof(block));
    json_t *call;

    text_hex(&id, entry->id);
    call = json_pack("{s:s%, s:s?, s:s?, s:s%, s:s, s:o, s:o, s:o, s:I, s:I, s:s}", "id", id.ptr, id.len,
                     "upstream", upstream, "route", route, "method", entry->method, (size_t)entry->method_len,
                     "phase", phase_name(entry->phase), "age_ms", milliseconds(now_ns - entry->begun_ns),
                     "left_ms", milliseconds(entry->deadline_ns - now_ns), "phase_ms",
                     milliseconds(now_ns - entry->phase_since_ns), "bytes_up", (json_int_t)entry->bytes_up,
                     "bytes_down", (json_int_t)entry->bytes_down, "sent", sent_name(entry->sent));
    return entry->observed ? mark_observed(call) : call;
}

static json_t *describe_all(const struct labels *labels, const struct call_top *top)
{
    int64_t now_ns = loop_clock_ns();
    json_t *all = json_array();

    for (uint32_t i = 0; i < top->count && all; i++) {
        if (json_array_append_new(all, describe(labels, &top->entries[i], now_ns)) < 0) {
            json_decref(all);
            all = NULL;
        }
    }
    return all;
}

static json_t *describe_phase(const char *upstream, enum phase phase, const struct phase_counts_cell *cell,
                              int64_t now_ns)
{
    return json_pack("{s:s?, s:s, s:I, s:o, s:o}", "upstream", upstream, "phase", phase_name(phase), "calls",
                     (json_int_t)cell->calls, "oldest_ms", milliseconds(now_ns - cell->oldest_begun_ns),
                     "oldest_left_ms", milliseconds(cell->oldest_deadline_ns - now_ns));
}

/* Where there are none, nothing is said. */
static json_t *describe_phases(const struct labels *labels, const struct phase_counts *counts)
{
    int64_t now_ns = loop_clock_ns();
    json_t *all = json_array();

    for (uint32_t i = 0; all && i < counts->upstream_count * PHASE_COUNT; i++) {
        uint32_t upstream = i / PHASE_COUNT;
        enum phase phase = i % PHASE_COUNT;
        const struct phase_counts_cell *cell = phase_counts_at(counts, upstream, phase);
        const char *name = upstream < labels->upstream_count ? labels->upstreams[upstream] : NULL;

        if (cell->calls != 0 && json_array_append_new(all, describe_phase(name, phase, cell, now_ns)) < 0) {
            json_decref(all);
            all = NULL;
        }
    }
    return all;
}

static json_t *write_list(const struct labels *labels, const struct call_query_result *result)
{
    const struct call_top *top = &result->top;

    return json_pack("{s:o, s:o, s:I, s:I, s:f}", "calls", describe_all(labels, top), "phases",
                     describe_phases(labels, &result->counts), "matching", (json_int_t)top->matching,
                     "in_flight", (json_int_t)top->in_flight, "longest_stop_ms",
                     (double)result->longest_ns / NS_PER_MS);
}

static void respond_with(const struct asked *asked, const struct call_query_result *result)
{
    const struct numbering *numbering = &asked->calls->proxy->numbering;
    struct labels labels;
    json_t *answer = NULL;

    if (asked->act == CALL_QUERY_CUT && result->top.count == 0) {
        respond_problem(asked->request, 404, "No call in flight has this id.");
        return;
    }
    if (labels_init(&labels, asked->calls->proxy, numbering->upstreams.count, numbering->routes.count))
        answer = asked->act == CALL_QUERY_LIST
                     ? write_list(&labels, result)
                     : json_pack("{s:o}", "cut", describe(&labels, &result->top.entries[0], loop_clock_ns()));
    labels_fini(&labels);
    respond_json(asked->request, 200, answer);
}

/* ---- a request's way ---------------------------------------------------------------------------------------- */

static void start_next(struct calls *calls);

static void asked_free(struct asked *asked)
{
    event_del(&asked->patience_over);
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
static void give_up(evutil_socket_t fd, short what, void *arg)
{
    struct asked *asked = arg;

    (void)fd;
    (void)what;
    if (asked->calls->asked == asked)
        asked->calls->asked = NULL;
    refuse(asked, 503, "A worker did not answer within 1 s.");
}

static void ask(struct calls *calls, struct evhttp_request *request, const struct call_top_filter *filter,
                enum call_query_act act)
{
    struct asked *asked = mem_zalloc(sizeof(*asked));

    if (asked == NULL || event_assign(&asked->patience_over, calls->base, -1, 0, give_up, asked) < 0 ||
        event_add(&asked->patience_over, &patience) < 0) {
        mem_free(asked);
        respond_problem(request, 503, NO_MEMORY);
        return;
    }
    asked->calls = calls;
    asked->request = request;
    asked->filter = *filter;
    asked->act = act;
    list_push_back(&calls->waiting, &asked->node);
    start_next(calls);
}

void calls_respond(struct calls *calls, struct evhttp_request *request)
{
    const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(request));
    struct call_top_filter filter;
    char why[160];

    if (calls_filter_read(query, calls->proxy, &filter, why, sizeof(why)))
        ask(calls, request, &filter, CALL_QUERY_LIST);
    else
        respond_problem(request, 400, why);
}

void calls_respond_cut(struct calls *calls, struct evhttp_request *request, const char *id)
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
