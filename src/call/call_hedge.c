/*
 * A call with two tries at once: how the second one begins beside the first, which of them the call is turned to, and
 * how one of them is left.
 */
#include "base/invariant.h"
#include "base/mem.h"
#include "call/call.h"
#include "call/context.h"
#include "call/call_hedge.h"
#include "call/replay.h"
#include "call/upstream.h"
#include "core/budget.h"

static struct call_list *list_of(const struct call *call, const struct try *try)
{
    return &call->context->calls.by_pool[try->plan.route->pool];
}

void call_turn_to_rival(struct call *call)
{
    struct try *rival = call->rival;

    PRE(rival != NULL);
    call->rival = call->try;
    call->try = rival;
}

/* ---- its beginning -------------------------------------------------------------------------------------- */

static void discard(struct call *call, struct call_hedge *hedge)
{
    try_fini(&hedge->try);
    replay_free(hedge->replay);
    outgoing_fini(&hedge->request, &call->context->loop->slab);
    mem_free(hedge);
}

/* False: no memory, or no room for more content. */
static bool copy_request(struct call *call, struct call_hedge *hedge)
{
    const struct outgoing *request = call_has_fallback(call) ? call->fallback : &call->request;
    const struct replay *replay = call->replay;

    if (!outgoing_copy(&hedge->request, &call->context->loop->slab, request))
        return false;
    if (replay != NULL)
        hedge->replay = replay_copy(replay);
    return replay == NULL || hedge->replay != NULL;
}

/* NULL: no memory. */
static struct call_hedge *make(struct call *call)
{
    struct call_hedge *hedge = mem_zalloc(sizeof(*hedge));

    if (hedge == NULL)
        return NULL;
    list_init(&hedge->node);
    try_init(&hedge->try, call->context, &call_try_events, call);
    if (copy_request(call, hedge))
        return hedge;
    discard(call, hedge);
    return NULL;
}

static void be_two(struct call *call, struct call_hedge *hedge)
{
    hedge->before = call->retries->hedges;
    call->retries->hedges = hedge;
    call->rival = call->try;
    call->try = &hedge->try;
}

/* It has not begun. */
static void take_back(struct call *call, struct call_hedge *hedge)
{
    call_try_over(call, CAUSE_CALLER_GONE); /* a probe's place is free again */
    call->try = call->rival;
    call->rival = NULL;
    call->retries->hedges = hedge->before;
    list_remove(&hedge->node);
    discard(call, hedge);
}

/* False: its API's breaker, or its pool, does not let it begin at once. The call may be over. */
static bool begin(struct call *call, struct call_hedge *hedge)
{
    struct try_plan plan;

    call_shun_address(call);
    plan = call_plan_try(call, call_has_fallback(call), (uint8_t)(call->retries->started + 1));
    plan.kind = TRY_HEDGE;
    plan.beside = call->try->upstream != NULL ? call->try->upstream->carrier : NULL;
    plan.fresh = call->try->upstream != NULL && call->try->upstream->addresses > 1;
    if (!call_passes_breaker(call, &hedge->try, &plan)) {
        discard(call, hedge);
        return false;
    }
    if (plan.pool != call->try->plan.pool)
        list_push_back(&call->context->calls.by_pool[plan.route->pool].hedges, &hedge->node);
    be_two(call, hedge);
    call->retries->again_ns = loop_now(call->context->loop);
    if (!try_begin_at_once(&hedge->try, &plan)) {
        take_back(call, hedge);
        return false;
    }
    call_connect_try(call);
    return true;
}

/* On another connection it would be somebody else's, or nobody's. */
static bool belongs_to_connection(const struct call *call)
{
    const struct upstream *upstream = call->try->upstream;

    return call->authenticates || (upstream != NULL && upstream->is_personal);
}

/* Is the request all here, and has the try nothing to send of its content? */
static bool is_all_sent(const struct call *call)
{
    return call->caller->ended && (call->caller->received == 0 || call->try->uploaded);
}

bool call_hedge(struct call *call)
{
    struct call_hedge *hedge;
    struct retry_case facts;

    PRE(call->rival == NULL && call->fsm.state == CALL_TRYING);
    if (!is_all_sent(call) || belongs_to_connection(call) || !call_make_room(call))
        return false;
    facts = call_retry_case(call, NULL, NULL);
    if (retry_ask(&call->route->retries.policy, &facts).stop != RETRY_GOES_ON)
        return false;
    hedge = make(call);
    if (hedge == NULL || !begin(call, hedge))
        retry_tokens_put_back(call->config->retry_tokens);
    return call_is_over(call);
}

/* ---- its end -------------------------------------------------------------------------------------------- */

/* What the one that is left sends of the content is what later ones send. */
static void keep_one_content(struct call *call, struct call_hedge *hedge)
{
    struct replay *goes = hedge->replay;

    if (call->try == &hedge->try) {
        goes = call->replay;
        call->replay = hedge->replay;
    }
    replay_free(goes);
    hedge->replay = NULL;
}

/* One that is left alone may be silent for per_try once more. */
static void limit_anew(struct call *call)
{
    const struct retries_config *config = &call->route->retries;
    int64_t now_ns = loop_now(call->context->loop);
    int64_t due_ns = budget_end(call->try->granted_ns, config->per_try_ns);

    if (call->retries->started < config->policy.attempts)
        call->per_try_ns = due_ns > now_ns ? due_ns : budget_end(now_ns, config->per_try_ns);
}

/* The one at hand is the only one. */
static void be_one(struct call *call)
{
    struct call_hedge *hedge = call->retries->hedges;

    call->rival = NULL;
    keep_one_content(call, hedge);
    if (!list_is_empty(&hedge->node)) {
        list_remove(&hedge->node);
        if (call->try == &hedge->try)
            call_list_push(list_of(call, call->try), &call->place);
    }
}

/* The one that is left may be silent for a while still. */
static void go_on_alone(struct call *call)
{
    limit_anew(call);
    call_follow_phase(call);
    call_set_timer(call);
}

bool call_go_on_with_rival(struct call *call, const struct try_result *result, const struct http1_head *head)
{
    if (!call_give_up_try(call, result, head))
        return true;
    call_turn_to_rival(call);
    be_one(call);
    go_on_alone(call);
    return true;
}

bool call_leave_it_to_first(struct call *call, uint16_t status)
{
    bool is_second = call->rival != NULL && call->try == &call->retries->hedges->try;

    if (!is_second || retry_hedge_counts(status, http1_method_is_safe(call->request.method)))
        return false;
    call_turn_to_rival(call);
    call_cut_rival(call, CAUSE_NONE);
    go_on_alone(call);
    return true;
}

void call_cut_rival(struct call *call, enum cause cause)
{
    bool has_lost = cause == CAUSE_NONE;

    call_turn_to_rival(call);
    call_cut_try(call,
                 has_lost ? CAUSE_CALLER_GONE : cause); /* nobody waits for it any more: it says nothing */
    call_record_try(call, cause, has_lost ? TRY_LOST : TRY_ENDED);
    call_add_figures(call);
    call_turn_to_rival(call);
    be_one(call);
}

void call_fini_hedges(struct call *call)
{
    PRE(call->rival == NULL);
    for (struct call_hedge *hedge = call->retries->hedges; hedge != NULL; hedge = hedge->before)
        try_fini(&hedge->try);
}

void call_free_hedges(struct call *call)
{
    while (call->retries->hedges != NULL) {
        struct call_hedge *hedge = call->retries->hedges;

        call->retries->hedges = hedge->before;
        discard(call, hedge);
    }
}

uint32_t hedges_count(const struct call_list *list)
{
    uint32_t count = 0;

    LIST_FOREACH(node, &list->hedges)
        count += try_has_permit(&hedge_of_node(node)->try);
    return count;
}
