#include "proxy/roll.h"

#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "proxy/call.h"
#include "proxy/proxy.h"
#include "proxy/proxy_worker.h"

/*
 * Calls that are looked at in one turn; one that is listed takes a few cache misses, one that is cut some system calls.
 */
#define BATCH 256

struct roll_leg {
    struct mail mail; /* the question, then what is deferred from turn to turn */
    struct roll *roll;
    struct proxy_worker *worker;
    struct call_top top;
    struct phase_counts counts;
    uint32_t next_pool;
    int64_t longest_ns;
};

struct roll {
    struct call_top_filter filter;
    enum roll_act act;
    atomic_uint unanswered;
    struct mailbox *reply_to;
    struct mail reply;
    roll_fn done;
    void *arg;
    uint32_t leg_count;
    struct roll_leg legs[];
};

/* ---- a worker's part -------------------------------------------------------------------------------------- */

/* NULL: all were looked at. */
static struct call *next_call(struct roll_leg *leg)
{
    struct proxy_worker *pw = leg->worker;
    struct list_node *node;

    while (list_is_empty(&pw->unseen)) {
        if (leg->next_pool >= pw->pool_places)
            return NULL;
        pw->unseen_pool = leg->next_pool++;
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
static void look_at(struct roll_leg *leg, struct call *call, int64_t now_ns)
{
    const struct roll *roll = leg->roll;
    struct call_top *top = &leg->top;

    top->in_flight++;
    if (!call_top_matches(&roll->filter, call->id, call->config->index, call->fsm.phase,
                          now_ns - call->fsm.begun_ns))
        return;
    top->matching++;
    phase_counts_count(&leg->counts, call->config->index, call->fsm.phase, call->fsm.begun_ns,
                       call->fsm.deadline_ns);
    if (call_top_wants(top, call->fsm.begun_ns, call->fsm.deadline_ns)) {
        struct call_top_entry entry = describe(call);

        call_top_add(top, &entry);
    }
    if (roll->act == ROLL_CUT)
        call_end(call, CAUSE_OPERATOR, NULL);
}

static void answer(struct roll_leg *leg)
{
    struct roll *roll = leg->roll;
    struct mailbox *reply_to = roll->reply_to;

    leg->worker->roll = NULL;
    if (atomic_fetch_sub(&roll->unanswered, 1) == 1)
        mailbox_post(reply_to, &roll->reply);
}

/* True: there are more. */
static bool look_at_some(struct roll_leg *leg)
{
    int64_t now_ns = worker_now(&leg->worker->worker);

    for (int i = 0; i < BATCH; i++) {
        struct call *call = next_call(leg);

        if (call == NULL)
            return false;
        look_at(leg, call, now_ns);
    }
    return true;
}

static void take_turn(struct mail *mail)
{
    struct roll_leg *leg = CONTAINER_OF(mail, struct roll_leg, mail);
    struct proxy_worker *pw = leg->worker;
    int64_t from_ns = worker_clock_ns(), took_ns;
    bool more = look_at_some(leg);

    took_ns = worker_clock_ns() - from_ns;
    if (took_ns > leg->longest_ns)
        leg->longest_ns = took_ns;
    pw->roll = leg;
    if (more)
        worker_defer(&pw->worker, &leg->mail);
    else
        answer(leg);
}

void roll_finish(struct proxy_worker *pw)
{
    if (pw->roll == NULL)
        return;
    worker_undefer(&pw->roll->mail);
    answer(pw->roll);
}

/* ---- the whole -------------------------------------------------------------------------------------------- */

static void free_roll(struct roll *roll)
{
    for (uint32_t i = 0; i < roll->leg_count; i++) {
        call_top_fini(&roll->legs[i].top);
        phase_counts_fini(&roll->legs[i].counts);
    }
    mem_free(roll);
}

static void all_have_answered(struct mail *mail)
{
    struct roll *roll = CONTAINER_OF(mail, struct roll, reply);
    struct call_top *sum = &roll->legs[0].top;
    int64_t longest_ns = roll->legs[0].longest_ns;

    for (uint32_t i = 1; i < roll->leg_count; i++) {
        call_top_merge(sum, &roll->legs[i].top);
        phase_counts_merge(&roll->legs[0].counts, &roll->legs[i].counts);
        if (roll->legs[i].longest_ns > longest_ns)
            longest_ns = roll->legs[i].longest_ns;
    }
    call_top_sort(sum);
    roll->done(roll->arg, sum, &roll->legs[0].counts, longest_ns);
    free_roll(roll);
}

static bool init_legs(struct roll *roll, struct proxy *proxy)
{
    for (uint32_t i = 0; i < proxy->worker_count; i++) {
        struct roll_leg *leg = &roll->legs[i];

        if (call_top_init(&leg->top, roll->filter.limit, roll->filter.order) != ST_OK)
            return false;
        roll->leg_count++;
        if (phase_counts_init(&leg->counts, proxy->numbering.upstreams.count) != ST_OK)
            return false;
        mail_init(&leg->mail, take_turn);
        leg->roll = roll;
        leg->worker = proxy->workers[i];
    }
    return true;
}

struct roll *roll_start(struct proxy *proxy, const struct call_top_filter *filter, enum roll_act act,
                        struct mailbox *reply_to, roll_fn done, void *arg)
{
    uint32_t count = proxy->worker_count;
    struct roll *roll = mem_zalloc(sizeof(*roll) + count * sizeof(struct roll_leg));

    if (roll == NULL)
        return NULL;
    roll->filter = *filter;
    roll->act = act;
    roll->reply_to = reply_to;
    mail_init(&roll->reply, all_have_answered);
    roll->done = done;
    roll->arg = arg;
    if (!init_legs(roll, proxy)) {
        free_roll(roll);
        return NULL;
    }
    atomic_store(&roll->unanswered, count);
    for (uint32_t i = 0; i < count; i++)
        mailbox_post(&proxy->loops[i]->mailbox, &roll->legs[i].mail);
    return roll;
}
