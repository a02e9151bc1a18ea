#include "call/call.h"

#include <assert.h>
#include <stdio.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "core/budget.h"
#include "call/downstream.h"
#include "call/keepalive.h"
#include "call/context.h"
#include "call/upstream.h"
#include "runtime/log_error.h"

static void time_is_up(struct timer *timer, int64_t now_ns)
{
    struct call *call = CONTAINER_OF(timer, struct call, timer);
    enum cause cause = call_fsm_timer(&call->fsm, now_ns);

    if (cause != CAUSE_NONE)
        call_end(call, cause, NULL);
    else
        call_set_timer(call);
    POST(call_is_over(call) || call_is_sound(call));
}

static void permit_granted(struct mail *mail)
{
    struct call *call = CONTAINER_OF(mail, struct call, ticket.news);

    PRE(call->fsm.state == CALL_QUEUED); /* who has left the queue is not told any more */
    call_granted(call);
    POST(call_is_over(call) || call_is_sound(call));
}

bool call_begin(struct downstream *downstream, struct stream *caller, int64_t now_ns)
{
    struct call_context *context = downstream->context;
    struct call *call = mem_zalloc(sizeof(*call));
    int64_t head_limit_ns = budget_end(now_ns, context->snapshot->limits.request_head_timeout_ns);

    if (call == NULL || timer_init(&context->loop->timers, &call->timer, time_is_up) != ST_OK) {
        mem_free(call);
        return false;
    }
    caller->ready = call_caller_ready;
    caller->user = call;
    call->context = context;
    call->downstream = downstream;
    call->caller = caller;
    call->terms = downstream->terms;
    call->terms->users++;
    call->config = downstream->upstream;
    call->id = context->next_call++;
    h1_exchange_init(&call->h1, context->loop, &context->head);
    call->exchange = &call->h1.stream;
    pool_ticket_init(&call->ticket, context->loop, permit_granted);
    call_fsm_begin(&call->fsm, now_ns, NS_NEVER);
    call_set_route(call, &call->config->default_route);
    call_fsm_set_limit(&call->fsm, head_limit_ns, CAUSE_HEAD_LIMIT);
    call_set_timer(call);
    list_init(&call->place.node);
    call->place.call = call;
    call_list_push(&context->calls.reading, &call->place);
    return true;
}

void call_set_timer(struct call *call)
{
    timer_set(&call->context->loop->timers, &call->timer, call_fsm_next_ns(&call->fsm));
}

/* For the next call: anybody's, or this caller's, on whose connection it must come. */
static void keep_upstream(struct call *call)
{
    struct keepalive *keepalive = call->context->keepalive[call->config->index];
    int64_t now_ns = loop_now(call->context->loop);

    if (!call->upstream->is_personal)
        keepalive_put(keepalive, &call->upstream, now_ns);
    else if (call->caller->persistent)
        keepalive_reserve(keepalive, &call->upstream, &call->downstream->reserved, now_ns);
    else
        upstream_close(&call->upstream);
}

/* True: the permit goes with it. */
static bool give_back_upstream(struct call *call, unsigned holds)
{
    struct upstream *upstream = call->upstream;

    PRE(upstream->user == call);
    call->peer = upstream->connect != NULL ? upstream->connect->peer : upstream->peer;
    if (call->reusable) {
        keep_upstream(call);
    } else if (call->fsm.state == CALL_DELIVERING && call->uploaded) {
        upstream_close(&call->upstream);
    } else if (upstream->connect != NULL || (holds & HOLD_PERMIT) == 0) {
        upstream_cut(&call->upstream);
    } else {
        upstream_cut_with_permit(&call->upstream, call->context->pools[call->route->pool], &call->ticket);
        return true;
    }
    return false;
}

/*
 * The connection before the permit: nobody else may use the permit while the upstream still sees this call. Inlined,
 * because every call comes by here several times.
 */
static inline __attribute__((always_inline)) void give_back(struct call *call, unsigned holds)
{
    struct call_context *context = call->context;
    bool has_upstream = (holds & (HOLD_CONNECT | HOLD_UPSTREAM)) != 0 && call->upstream != NULL;
    bool passed_on = has_upstream && give_back_upstream(call, holds);

    if ((holds & (HOLD_PERMIT | HOLD_QUEUE)) != 0 && !passed_on)
        pool_give_back(context->pools[call->route->pool], &call->ticket);
    if ((holds & HOLD_TIMER) != 0)
        timer_fini(&context->loop->timers, &call->timer);
    POST(!has_upstream || call->upstream == NULL); /* it is somebody else's now */
}

/* Apart, so that the way of every call needs no room for the text. */
static __attribute__((cold, noinline)) void refuse_move(struct call *call, enum call_state to)
{
    char what[64];

    snprintf(what, sizeof(what), "it can't go on to %s", call_state_name(to));
    call_break(call, what);
}

bool call_move(struct call *call, enum call_state to)
{
    unsigned holds;

    if (!call_fsm_move(&call->fsm, to, loop_now(call->context->loop), &holds)) {
        refuse_move(call, to);
        return false;
    }
    give_back(call, holds);
    return true;
}

void call_break(struct call *call, const char *what)
{
    char detail[128];

    snprintf(detail, sizeof(detail), "in state %s: %s", call_state_name(call->fsm.state), what);
    call->context->metrics->process.broken_invariants[0]++;
    log_error("broken invariant: call %llx of upstream %s %s", (unsigned long long)call->id,
              call->config->name, detail);
    assert(false); /* builds with asserts end here */
    if (call_is_over(call))
        return;
    call->reusable = false;
    give_back(call, HOLD_CONNECT | HOLD_UPSTREAM | HOLD_PERMIT | HOLD_QUEUE);
    call_end(call, CAUSE_BROKEN, detail);
}

bool call_is_sound(const struct call *call)
{
    unsigned holds = call_state_holds(call->fsm.state);
    bool connected = (holds & (HOLD_CONNECT | HOLD_UPSTREAM)) != 0;

    if (connected != (call->upstream != NULL) || (connected && call->upstream->user != call))
        return false;
    /* Of one in the queue, other threads may change the state, under the pool's lock: the audit sees to it. */
    if ((holds & HOLD_QUEUE) == 0 &&
        call->ticket.permit.state != ((holds & HOLD_PERMIT) != 0 ? PERMIT_HELD : PERMIT_FREE))
        return false;
    return call->timer.due_ns <= call_fsm_next_ns(&call->fsm);
}

void call_caller_gone(struct call *call)
{
    call_end(call, CAUSE_CALLER_GONE, NULL);
}
