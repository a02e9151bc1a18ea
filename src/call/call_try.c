/* A call and its tries: what one is to do, what it tells, and whether another one follows. */
#include "base/invariant.h"
#include "core/retry.h"
#include "call/call.h"
#include "call/call_connect.h"
#include "call/call_tunnel.h"
#include "call/context.h"
#include "call/downstream.h"
#include "call/ghost.h"
#include "call/pool_wait.h"
#include "call/try_doubt.h"

/*
 * A request that can be sent again if its connection turns out to have been closed (RFC 9110 9.2.2): all of it is there
 * still. No content is no content, whether the head has no framing, or says "Content-Length: 0", or the last chunk was
 * the first one.
 */
static bool is_repeatable(const struct call *call)
{
    return http1_method_is_idempotent(call->request.method) &&
           (call->caller->ended || call->tunnel != NULL) && call->caller->received == 0;
}

static enum try_kind kind_of(bool falls_back, uint8_t number)
{
    if (falls_back)
        return TRY_FALLBACK;
    return number > 1 ? TRY_RETRY : TRY_FIRST;
}

/* A fallback has its own limits of time within the call's deadline, its pool and its breaker. */
struct try_plan call_plan_try(struct call *call, bool falls_back, uint8_t number)
{
    struct call_context *context = call->context;
    const struct upstream_config *config = falls_back ? call->route->retries.fallback : call->config;
    const struct route_config *route = falls_back ? &config->default_route : call->route;
    const struct breaker_terms *breaker = route->breaker;

    return (struct try_plan){.terms = call->terms,
                             .config = config,
                             .target = call->target,
                             .pool = context->pools[route->pool],
                             .route = route,
                             .breaker = breaker,
                             .circuit = breaker != NULL ? context->circuits[route->circuit] : NULL,
                             .shunned = call->retries != NULL ? &call->retries->shunned : NULL,
                             .reserved_at = &call->downstream->reserved,
                             .deadline_ns = call_fsm_next_ns(&call->fsm),
                             .policy_ns = call->fsm.policy_ns,
                             .upgrade = call_upgrade(call),
                             .method = call->request.method,
                             .number = number,
                             .kind = kind_of(falls_back, number),
                             .repeatable = is_repeatable(call),
                             .fresh = call->renews || call_is_connect(call),
                             .authenticates = call->authenticates};
}

static void wait(struct call *call)
{
    call_follow_phase(call);
    call_set_timer(call);
}

/* Its exchange has begun. */
static void send_request(struct call *call)
{
    call_follow_phase(call);
    if (call_is_connect(call)) {
        call_open_connect(call);
        return;
    }
    call_close_head(call);
    call_pump(call);
}

/* Goes on by what came of a step. */
static void go_on_connecting(struct call *call, enum try_step step)
{
    switch (step) {
    case TRY_IS_THERE: send_request(call); break;
    case TRY_WAITS: wait(call); break;
    case TRY_FAILED: break;
    }
    POST(call_is_over(call) || call_is_sound(call));
}

static uint8_t bucket(struct try *try)
{
    struct call *call = try->user;

    if (call->arrives && try->plan.number == 1)
        call_find_bucket(call, try->plan.route);
    return call->bucket;
}

/* An observed call has waited for longer than its pool's `least` would have let it. */
static void note_too_late(struct call *call, int64_t now_ns)
{
    const struct call_context *context = call->context;
    const struct route_config *route = call->try->plan.route;

    if (call->fsm.phase == PHASE_QUEUE &&
        pool_wait_is_too_late(route, context->metrics->start_times[route->index], call->fsm.policy_ns,
                              now_ns))
        call_fsm_spare(&call->fsm, CAUSE_TOO_LATE, now_ns);
}

void call_connect_try(struct call *call)
{
    struct try *try = call->try;
    int64_t now_ns = loop_now(call->context->loop);

    PRE(!try->has_no_verdict && try->granted_ns == 0);
    if (call->fsm.policy_ns != NS_NEVER && try->plan.route->waits != NULL)
        note_too_late(call, now_ns);
    call_fsm_admit(&call->fsm);
    try->has_no_verdict = true;
    call->context->metrics->routes[call->route->index].tries_started[try->plan.kind]++;
    if (call->has_retries)
        call_limit_try(call, now_ns);
    go_on_connecting(call, try_connect(try, now_ns));
}

void call_begin_try(struct call *call, uint8_t number)
{
    struct try_plan plan = call_plan_try(call, call->falls_back, number);

    if (call->has_retries && pool_may_be_paused(plan.pool) && call_is_better_off_there(call) &&
        call_fall_back(call))
        return;
    if (!call_passes_breaker(call, call->try, &plan)) {
        try_fail(call->try, &(struct stream_fault){.cause = CAUSE_BREAKER_OPEN});
        return;
    }
    switch (try_begin(call->try, &plan)) {
    case TRY_IS_THERE: call_connect_try(call); return;
    case TRY_WAITS: wait(call); return;
    case TRY_FAILED: return;
    }
}

void call_cut_try(struct call *call, enum cause cause)
{
    struct try *try = call->try;

    if (try->fsm.state == TRY_OVER) /* it has had its verdict */
        return;
    call_note_sent(call);
    call_try_over(call, cause);
    try_doubt_connections(try, cause);
    ghost_follow(call, try, cause);
    try_cut(try, cause == CAUSE_BROKEN);
}

/* ---- what it tells of ----------------------------------------------------------------------------------- */

static void admitted(struct try *try)
{
    if (call_may_go_on(try->user, try))
        call_connect_try(call_of_event(try));
}

static void entered(struct try *try)
{
    call_follow_phase(call_of_event(try));
}

static void begun(struct try *try)
{
    struct call *call = call_of_event(try);

    send_request(call);
    POST(call_is_over(call) || call_is_sound(call));
}

static void reconnect(struct call *call)
{
    try_doubt_connections(call->try, CAUSE_TERMINATED);
    go_on_connecting(call, try_reconnect(call->try));
}

/* The one place where it is decided whether another try follows, and what the call ends by if none does. */
static void over(struct try *try, const struct try_result *result)
{
    struct call *call = call_of_event(try);
    struct retry_facts facts = {.repeatable = is_repeatable(call),
                                .whole = try->h2 != NULL && h2_exchange_is_whole(try->h2),
                                .tries = try->reconnected ? 2 : 1};

    call_follow_phase(call);
    call_note_sent(call);
    if (result->refused && (!try->reconnected || try->was_refused) && call_tries_started(call) == 1)
        call->fsm.sent = SENT_NONE;
    try->was_refused = result->refused;

    if (result->cause == CAUSE_BROKEN)
        call_break(call, result->detail);
    else if (retry_decide(&facts, result) == RETRY_AT_ONCE)
        reconnect(call);
    else if ((result->cause == CAUSE_BREAKER_OPEN || result->cause == CAUSE_PAUSED) && call_fall_back(call))
        return;
    else if (!call_try_again(call, result, NULL)) {
        /* What has gone of its content is not here any more: the caller can send it again, who has it. */
        call->caller->refused = result->refused && !facts.whole && call->fsm.sent == SENT_NONE;
        call_end_tries(call, result);
    }
}

const struct try_events call_try_events = {
    .bucket = bucket,
    .admitted = admitted,
    .entered = entered,
    .begun = begun,
    .ready = call_try_ready,
    .over = over,
};
