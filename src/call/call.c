#include "call/call.h"

#include <assert.h>
#include <stdio.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "core/budget.h"
#include "call/downstream.h"
#include "call/context.h"
#include "call/pool_wait.h"
#include "call/try_inspect.h"
#include "runtime/log_error.h"

/* Its retry waits for a permit. */
static bool is_newcomer(const struct call *call)
{
    return retries_had_one(call->retries) && call->fsm.state == CALL_TRYING && call->try->granted_ns == 0;
}

static bool is_limit_of(const struct try *try, enum cause cause, int64_t now_ns)
{
    return try->fsm.limit_ns <= now_ns && cause == try->fsm.limit_cause;
}

/* A first try that has waited for what nobody lends did not wait for others: that is no deadline in a queue. */
static enum cause true_cause(const struct call *call, enum cause cause)
{
    if (call->fsm.state != CALL_TRYING || call->try->fsm.state != TRY_QUEUED || is_newcomer(call))
        return cause;
    return pool_wait_true_cause(call->try->plan.pool, cause);
}

static void limit_is_up(struct call *call, enum cause cause, int64_t now_ns)
{
    if (call->rival != NULL && !is_limit_of(call->try, cause, now_ns) &&
        is_limit_of(call->rival, cause, now_ns))
        call_turn_to_rival(call);
    if (call->fsm.state == CALL_TUNNEL && cause == CAUSE_IDLE_LIMIT && call_tunnel_lives(call, now_ns))
        return;
    if (is_newcomer(call) && cause == CAUSE_DEADLINE)
        call_end_as_before(call, RETRY_STOP_QUEUE);
    else if (true_cause(call, cause) == CAUSE_FLEET_UNAVAILABLE)
        try_fail(call->try, &(struct stream_fault){.cause = CAUSE_FLEET_UNAVAILABLE});
    else if (call->fsm.state != CALL_TUNNEL && is_limit_of(call->try, cause, now_ns))
        try_fail(call->try, &(struct stream_fault){.cause = cause});
    else
        call_end(call, cause, NULL);
}

/* Nothing has to end: a wait is over, or a try has been silent for long, or what is observed has been noted. */
static void go_on(struct call *call, int64_t now_ns)
{
    if (call->fsm.state == CALL_BACKOFF && call->fsm.limit_ns <= now_ns) {
        call_begin_again(call);
        return;
    }
    if (call->try->fsm.limit_ns <= now_ns) /* an observed call's: it has been noted */
        try_fsm_set_limit(&call->try->fsm, NS_NEVER, CAUSE_NONE);
    if (!call->has_retries || call->per_try_ns > now_ns || !call_try_is_too_long(call))
        call_set_timer(call);
}

static void time_is_up(struct timer *timer, int64_t now_ns)
{
    struct call *call = CONTAINER_OF(timer, struct call, timer);
    enum cause cause = call_fsm_timer(&call->fsm, now_ns);

    if (cause == CAUSE_NONE)
        go_on(call, now_ns);
    else
        limit_is_up(call, cause, now_ns);
    POST(call_is_over(call) || call_is_sound(call));
}

void call_set_route(struct call *call, const struct route_config *route)
{
    struct call_fsm *fsm = &call->fsm;

    call->route = route;
    fsm->deadline_ns = budget_end(fsm->begun_ns, route->deadline_ns);
    call_fsm_set_begin(fsm, budget_end(fsm->begun_ns, route->begin_ns));
    if (route->ceiling_ns != NS_NEVER)
        call_fsm_observe(fsm, budget_end(fsm->begun_ns, route->ceiling_ns), loop_now(call->context->loop));
}

/* One that is larger would be asked of the heap for each request. */
_Static_assert(sizeof(struct call) <= SLAB_MAX, "a call is a block of the slab");

bool call_begin(struct downstream *downstream, struct stream *caller, int64_t now_ns)
{
    struct call_context *context = downstream->context;
    struct call *call = slab_take_zeroed(&context->loop->slab, sizeof(*call));
    int64_t head_limit_ns = budget_end(now_ns, context->snapshot->limits.request_head_timeout_ns);

    if (call == NULL || timer_init(&context->loop->timers, &call->timer, time_is_up) != ST_OK) {
        slab_give(&context->loop->slab, call, sizeof(*call));
        return false;
    }
    caller->ready = call_head_ready;
    caller->user = call;
    call->context = context;
    call->downstream = downstream;
    call->caller = caller;
    call->terms = downstream->terms;
    call->terms->users++;
    call->config = downstream->upstream;
    call->id = context->next_call++;
    call->try = &call->first;
    try_init(call->try, context, &call_try_events, call);
    call_fsm_begin(&call->fsm, now_ns, NS_NEVER);
    call_set_route(call, &call->config->default_route);
    call_fsm_set_limit(&call->fsm, head_limit_ns, CAUSE_HEAD_LIMIT);
    call_set_timer(call);
    list_init(&call->place.node);
    call->place.call = call;
    call_list_push(&context->calls.reading, &call->place);
    return true;
}

/* The other try's, and how long the one at hand may be silent. */
static int64_t heed_tries(struct call *call, int64_t due_ns)
{
    const struct try *rival = call->rival;

    if (rival != NULL && rival->fsm.limit_ns < call->fsm.limit_ns) {
        call_fsm_set_limit(&call->fsm, rival->fsm.limit_ns, rival->fsm.limit_cause);
        due_ns = call_fsm_next_ns(&call->fsm);
    }
    return call->per_try_ns < due_ns ? call->per_try_ns : due_ns;
}

void call_set_timer(struct call *call)
{
    int64_t due_ns;

    if ((call_state_holds(call->fsm.state) & HOLD_TRY) != 0)
        call_fsm_set_limit(&call->fsm, call->try->fsm.limit_ns, call->try->fsm.limit_cause);
    due_ns = call_fsm_next_ns(&call->fsm);
    if (call->has_retries)
        due_ns = heed_tries(call, due_ns);
    timer_set(&call->context->loop->timers, &call->timer, due_ns);
}

void call_refuse_move(struct call *call, enum call_state to)
{
    char what[64];

    snprintf(what, sizeof(what), "it can't go on to %s", call_state_name(to));
    call_break(call, what);
}

void call_break(struct call *call, const char *what)
{
    char detail[128];

    snprintf(detail, sizeof(detail), "in state %s: %s",
             call->fsm.state == CALL_TRYING ? try_state_name(call->try->fsm.state)
                                            : call_state_name(call->fsm.state),
             what);
    call->context->metrics->process.broken_invariants[0]++;
    log_error("broken invariant: call %llx of upstream %s %s", (unsigned long long)call->id,
              call->config->name, detail);
    assert(false); /* builds with asserts end here */
    if (call_is_over(call))
        return;
    call_end(call, CAUSE_BROKEN, detail);
}

bool call_is_sound(const struct call *call)
{
    bool tries = (call_state_holds(call->fsm.state) & HOLD_TRY) != 0;

    if (call->rival != NULL && (!tries || !try_fsm_is_alive(&call->rival->fsm) || !try_is_sound(call->rival)))
        return false;
    return try_fsm_is_alive(&call->try->fsm) == tries && try_is_sound(call->try) &&
           call->timer.due_ns <= call_fsm_next_ns(&call->fsm);
}

void call_caller_gone(struct call *call)
{
    if (call->fsm.state == CALL_BACKOFF || is_newcomer(call))
        call->retry_stop = RETRY_STOP_GONE;
    call_end(call, CAUSE_CALLER_GONE, NULL);
}

void call_turn_away(struct call *call)
{
    if (call->fsm.state == CALL_BACKOFF || is_newcomer(call))
        call_end_as_before(call, RETRY_STOP_DRAINING);
    else if (call->try->fsm.state == TRY_QUEUED)
        call_end(call, CAUSE_DRAINING, NULL);
}
