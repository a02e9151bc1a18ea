#include "proxy/call_query.h"

#include <string.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "proxy/broadcast.h"
#include "call/call.h"
#include "proxy/proxy.h"
#include "proxy/worker.h"

/*
 * Calls that are looked at in one turn; one that is listed takes a few cache misses, one that is cut some system calls.
 */
#define BATCH 256

/* What a worker has found. */
struct call_query_part {
    struct call_query_result result;
    struct call_cursor cursor; /* among the calls of the pool before next_pool */
    uint32_t next_pool;
};

struct call_query {
    struct broadcast broadcast;
    struct call_top_filter filter;
    enum call_query_act act;
    call_query_fn done;
    void *arg;
    uint32_t part_count;
    struct call_query_part parts[];
};

/* ---- a worker's part -------------------------------------------------------------------------------------- */

/* NULL: all were looked at. */
static struct call *next_call(struct call_query_part *part, struct worker *pw)
{
    struct call_set *set = &pw->context.calls;
    struct call *call;

    while ((call = call_cursor_next(&part->cursor)) == NULL) {
        if (part->next_pool >= set->pool_count)
            return NULL;
        call_cursor_start(&part->cursor, &set->by_pool[part->next_pool++]);
    }
    return call;
}

/* 0: there has been one, and it has not failed. In its back-off, a call has the number of the try to come. */
static uint8_t number_of_try(const struct call *call)
{
    const struct call_retries *retries = call->retries;

    if (!retries_had_one(retries) && call->rival == NULL)
        return 0;
    return (uint8_t)(retries->count == retries->started ? retries->count + 1 : retries->started);
}

static struct call_top_entry describe(const struct call *call)
{
    struct span method = outgoing_method(&call->request);
    struct call_top_entry entry = {
        .id = call->id,
        .begun_ns = call->fsm.begun_ns,
        .deadline_ns = call->fsm.deadline_ns,
        .phase_since_ns = call->fsm.phase_since_ns,
        .bytes_up = call->caller->received,
        .bytes_down = call->try->exchange->received,
        .upstream = call->config->index,
        .route = call->route->index,
        .phase = call->fsm.phase,
        .sent = call->fsm.sent,
        .observed = call->fsm.policy_ns != NS_NEVER,
        .probes = call->try->probes || (call->rival != NULL && call->rival->probes),
        .hedged = call->rival != NULL,
        .comes_by_h2 = call_comes_by_h2(call),
        .goes_by_h2 = call_goes_by_h2(call),
        .try_number = number_of_try(call),
        .method_len = (uint8_t)(method.len < CALL_TOP_METHOD ? method.len : CALL_TOP_METHOD),
    };

    if (entry.method_len != 0)
        memcpy(entry.method, method.ptr, entry.method_len);
    return entry;
}

/* May end the call. */
static void look_at(const struct call_query *query, struct call_query_part *part, struct call *call,
                    int64_t now_ns)
{
    struct call_top *top = &part->result.top;

    top->in_flight++;
    if (!call_top_matches(&query->filter, call->id, call->config->index, call->fsm.phase,
                          now_ns - call->fsm.begun_ns))
        return;
    top->matching++;
    phase_counts_count(&part->result.counts, call->config->index, call->fsm.phase, call->fsm.begun_ns,
                       call->fsm.deadline_ns);
    if (call_top_wants(top, call->fsm.begun_ns, call->fsm.deadline_ns)) {
        struct call_top_entry entry = describe(call);

        call_top_add(top, &entry);
    }
    if (query->act == CALL_QUERY_CUT)
        call_end(call, CAUSE_OPERATOR, NULL);
}

/* True: there are more. */
static bool look_at_some(const struct call_query *query, struct call_query_part *part, struct worker *pw)
{
    int64_t now_ns = loop_now(&pw->loop);

    for (int i = 0; i < BATCH; i++) {
        struct call *call = next_call(part, pw);

        if (call == NULL)
            return false;
        look_at(query, part, call, now_ns);
    }
    return true;
}

static void take_turn(struct broadcast *broadcast, struct worker *pw)
{
    struct call_query *query = CONTAINER_OF(broadcast, struct call_query, broadcast);
    struct call_query_part *part = &query->parts[pw->loop.index];
    int64_t from_ns = loop_clock_ns(), took_ns;

    if (look_at_some(query, part, pw))
        broadcast_run_again(broadcast, pw);
    took_ns = loop_clock_ns() - from_ns;
    if (took_ns > part->result.longest_ns)
        part->result.longest_ns = took_ns;
}

/* ---- the whole -------------------------------------------------------------------------------------------- */

static void free_query(struct call_query *query)
{
    for (uint32_t i = 0; i < query->part_count; i++) {
        call_top_fini(&query->parts[i].result.top);
        phase_counts_fini(&query->parts[i].result.counts);
    }
    broadcast_fini(&query->broadcast);
    mem_free(query);
}

static void all_have_answered(struct broadcast *broadcast)
{
    struct call_query *query = CONTAINER_OF(broadcast, struct call_query, broadcast);
    struct call_query_result *sum = &query->parts[0].result;

    for (uint32_t i = 1; i < query->part_count; i++) {
        struct call_query_result *result = &query->parts[i].result;

        call_top_merge(&sum->top, &result->top);
        phase_counts_merge(&sum->counts, &result->counts);
        if (result->longest_ns > sum->longest_ns)
            sum->longest_ns = result->longest_ns;
    }
    POST(sum->top.count <= sum->top.matching && sum->top.matching <= sum->top.in_flight);
    call_top_sort(&sum->top);
    sum->is_stale = broadcast_is_stale(broadcast);
    query->done(query->arg, sum);
    free_query(query);
}

static bool init_parts(struct call_query *query)
{
    const struct proxy *proxy = query->broadcast.proxy;

    for (uint32_t i = 0; i < proxy->worker_count; i++) {
        struct call_query_result *result = &query->parts[i].result;

        if (call_top_init(&result->top, query->filter.limit, query->filter.order) != ST_OK)
            return false;
        query->part_count++;
        if (phase_counts_init(&result->counts, proxy->numbering.upstreams.count) != ST_OK)
            return false;
    }
    return true;
}

bool call_query_start(struct proxy *proxy, const struct call_top_filter *filter, enum call_query_act act,
                      call_query_fn done, void *arg)
{
    struct call_query *query =
        mem_zalloc(sizeof(*query) + proxy->worker_count * sizeof(struct call_query_part));

    if (query == NULL || broadcast_init(&query->broadcast, proxy) != ST_OK) {
        mem_free(query);
        return false;
    }
    query->filter = *filter;
    query->act = act;
    query->done = done;
    query->arg = arg;
    if (!init_parts(query)) {
        free_query(query);
        return false;
    }
    broadcast_start(&query->broadcast, take_turn, all_have_answered);
    return true;
}
