#include "proxy/call_query.h"

#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "proxy/call.h"
#include "proxy/proxy.h"
#include "proxy/worker.h"

/*
 * Calls that are looked at in one turn; one that is listed takes a few cache misses, one that is cut some system calls.
 */
#define BATCH 256

struct call_query_part {
    struct mail mail; /* the question, then what is deferred from turn to turn */
    struct call_query *query;
    struct worker *worker;
    struct call_top top;
    struct phase_counts counts;
    uint32_t next_pool;
    int64_t longest_ns;
};

struct call_query {
    struct call_top_filter filter;
    enum call_query_act act;
    atomic_uint unanswered;
    struct mailbox *reply_to;
    struct mail reply;
    call_query_fn done;
    void *arg;
    uint32_t part_count;
    struct call_query_part parts[];
};

/* ---- a worker's part -------------------------------------------------------------------------------------- */

/* NULL: all were looked at. */
static struct call *next_call(struct call_query_part *part)
{
    struct worker *pw = part->worker;
    struct list_node *node;

    while (list_is_empty(&pw->unseen)) {
        if (part->next_pool >= pw->pool_places)
            return NULL;
        pw->unseen_pool = part->next_pool++;
        list_append_all(&pw->unseen, &pw->calls[pw->unseen_pool]);
    }
    node = list_take_front(&pw->unseen);
    list_push_back(&pw->calls[pw->unseen_pool], node);
    return CONTAINER_OF(node, struct call, node);
}

static struct call_top_entry describe(const struct call *call)
{
    struct call_top_entry entry = {
        .id = call->id,
        .begun_ns = call->fsm.begun_ns,
        .deadline_ns = call->fsm.deadline_ns,
        .phase_since_ns = call->fsm.phase_since_ns,
        .bytes_up = call->up.content_bytes,
        .bytes_down = call->down.content_bytes,
        .upstream = call->config->index,
        .route = call->route->index,
        .phase = call->fsm.phase,
        .sent = call->fsm.sent,
        .observed = call->fsm.policy_ns != NS_NEVER,
        .method_len = call->method_len < CALL_TOP_METHOD ? call->method_len : CALL_TOP_METHOD,
    };

    /* Without memory for its head, a call ends before anybody looks at it. */
    if (call->head != NULL)
        memcpy(entry.method, call->head, entry.method_len);
    else
        entry.method_len = 0;
    return entry;
}

/* May end the call. */
static void look_at(struct call_query_part *part, struct call *call, int64_t now_ns)
{
    const struct call_query *query = part->query;
    struct call_top *top = &part->top;

    top->in_flight++;
    if (!call_top_matches(&query->filter, call->id, call->config->index, call->fsm.phase,
                          now_ns - call->fsm.begun_ns))
        return;
    top->matching++;
    phase_counts_count(&part->counts, call->config->index, call->fsm.phase, call->fsm.begun_ns,
                       call->fsm.deadline_ns);
    if (call_top_wants(top, call->fsm.begun_ns, call->fsm.deadline_ns)) {
        struct call_top_entry entry = describe(call);

        call_top_add(top, &entry);
    }
    if (query->act == CALL_QUERY_CUT)
        call_end(call, CAUSE_OPERATOR, NULL);
}

static void answer(struct call_query_part *part)
{
    struct call_query *query = part->query;
    struct mailbox *reply_to = query->reply_to;

    part->worker->query = NULL;
    if (atomic_fetch_sub(&query->unanswered, 1) == 1)
        mailbox_post(reply_to, &query->reply);
}

/* True: there are more. */
static bool look_at_some(struct call_query_part *part)
{
    int64_t now_ns = loop_now(&part->worker->loop);

    for (int i = 0; i < BATCH; i++) {
        struct call *call = next_call(part);

        if (call == NULL)
            return false;
        look_at(part, call, now_ns);
    }
    return true;
}

static void take_turn(struct mail *mail)
{
    struct call_query_part *part = CONTAINER_OF(mail, struct call_query_part, mail);
    struct worker *pw = part->worker;
    int64_t from_ns = loop_clock_ns(), took_ns;
    bool more = look_at_some(part);

    took_ns = loop_clock_ns() - from_ns;
    if (took_ns > part->longest_ns)
        part->longest_ns = took_ns;
    pw->query = part;
    if (more)
        loop_defer(&pw->loop, &part->mail);
    else
        answer(part);
}

void call_query_finish(struct worker *pw)
{
    if (pw->query == NULL)
        return;
    loop_undefer(&pw->query->mail);
    answer(pw->query);
}

/* ---- the whole -------------------------------------------------------------------------------------------- */

static void free_query(struct call_query *query)
{
    for (uint32_t i = 0; i < query->part_count; i++) {
        call_top_fini(&query->parts[i].top);
        phase_counts_fini(&query->parts[i].counts);
    }
    mem_free(query);
}

static void all_have_answered(struct mail *mail)
{
    struct call_query *query = CONTAINER_OF(mail, struct call_query, reply);
    struct call_top *sum = &query->parts[0].top;
    int64_t longest_ns = query->parts[0].longest_ns;

    for (uint32_t i = 1; i < query->part_count; i++) {
        call_top_merge(sum, &query->parts[i].top);
        phase_counts_merge(&query->parts[0].counts, &query->parts[i].counts);
        if (query->parts[i].longest_ns > longest_ns)
            longest_ns = query->parts[i].longest_ns;
    }
    call_top_sort(sum);
    query->done(query->arg, sum, &query->parts[0].counts, longest_ns);
    free_query(query);
}

static bool init_parts(struct call_query *query, struct proxy *proxy)
{
    for (uint32_t i = 0; i < proxy->worker_count; i++) {
        struct call_query_part *part = &query->parts[i];

        if (call_top_init(&part->top, query->filter.limit, query->filter.order) != ST_OK)
            return false;
        query->part_count++;
        if (phase_counts_init(&part->counts, proxy->numbering.upstreams.count) != ST_OK)
            return false;
        mail_init(&part->mail, take_turn);
        part->query = query;
        part->worker = proxy->workers[i];
    }
    return true;
}

struct call_query *call_query_start(struct proxy *proxy, const struct call_top_filter *filter,
                                    enum call_query_act act, struct mailbox *reply_to, call_query_fn done,
                                    void *arg)
{
    uint32_t count = proxy->worker_count;
    struct call_query *query = mem_zalloc(sizeof(*query) + count * sizeof(struct call_query_part));

    if (query == NULL)
        return NULL;
    query->filter = *filter;
    query->act = act;
    query->reply_to = reply_to;
    mail_init(&query->reply, all_have_answered);
    query->done = done;
    query->arg = arg;
    if (!init_parts(query, proxy)) {
        free_query(query);
        return NULL;
    }
    atomic_store(&query->unanswered, count);
    for (uint32_t i = 0; i < count; i++)
        mailbox_post(&proxy->loops[i]->mailbox, &query->parts[i].mail);
    return query;
}
