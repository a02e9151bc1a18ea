/* A call's tries at the API: what each of them says about it. */
#include "base/invariant.h"
#include "call/call.h"
#include "call/context.h"
#include "core/verdict.h"

static struct route_metrics *metrics_of(struct call *call)
{
    return &call->context->metrics->routes[call->route->index];
}

void call_try_begins(struct call *call)
{
    PRE(!call->try->has_no_verdict && call->try->granted_ns != 0);
    call->try->has_no_verdict = true;
    metrics_of(call)->tries_started[TRY_FIRST]++;
}

/* Is it the API that has to do the next thing, and not the caller, who is slow to give or to take? */
static bool api_is_to_move(const struct call *call)
{
    switch (call->try->fsm.state) {
    case TRY_CONNECTING:
    case TRY_WAITING: return true;
    case TRY_SENDING: return call->try->exchange->blocked;
    case TRY_STREAMING: return !call->caller->blocked;
    default: return false;
    }
}

void call_try_over(struct call *call, enum cause cause)
{
    struct try *try = call->try;
    struct try_end end = {.cause = cause, .status = try->status, .deadline_ns = call->route->deadline_ns};

    if (!try->has_no_verdict)
        return;
    try->has_no_verdict = false;
    end.api_to_move = api_is_to_move(call);
    end.took_ns = loop_now(call->context->loop) - try->granted_ns;
    metrics_of(call)->tries_ended[verdict_of(&end, &verdict_bad_statuses)]++;
}
