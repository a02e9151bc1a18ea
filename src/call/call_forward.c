/*
 * A forward proxy's call: from its head to an address that may be dialled.
 *
 *   READING --head--> is the destination one that is allowed? --> are its addresses? --lookup--> TRYING ...
 *
 * The addresses are looked up and judged before it becomes a call: what is refused is none, takes no permit, and does
 * not wait for one. What the guard has let pass goes with the call (call/target), and is all that its tries dial.
 */
#include "base/invariant.h"
#include "call/call.h"
#include "call/context.h"
#include "call/downstream.h"
#include "call/policy.h"
#include "call/target.h"
#include "core/budget.h"

/* What the guard has come to; CAUSE_NONE: it goes on, or has ended. */
static enum cause heed(struct call *call, enum status status, const char **detail)
{
    const struct dns_query *query = &call->target->query;

    if (!call->target->origin.host_is_ip && status != ST_NOMEM)
        call->context->metrics->upstreams[call->config->index].dns_answers[query->result]++;
    call->try->dns_is_stale = call->target->is_stale;
    switch (status) {
    case ST_OK: return call_admit(call);
    case ST_BAD: return CAUSE_ADDRESS;
    case ST_NOMEM: return CAUSE_INTERNAL;
    default: *detail = query->why; return CAUSE_DNS;
    }
}

/* Its addresses have been looked up. */
static void found(void *waiter, enum status status)
{
    struct call *call = waiter;
    const char *detail = NULL;
    enum cause cause;

    PRE(call->fsm.state == CALL_READING && call->target != NULL);
    call->vetting = false;
    call_fsm_set_limit(&call->fsm, NS_NEVER, CAUSE_NONE);
    cause = heed(call, status, &detail);
    if (cause != CAUSE_NONE)
        call_end(call, cause, detail);
}

static void wait(struct call *call)
{
    int64_t now_ns = loop_now(call->context->loop);

    call_find_bucket(call, call->route); /* its head will not be there any more */
    call->vetting = true;
    call_fsm_enter_phase(&call->fsm, PHASE_DNS, now_ns);
    call_fsm_set_limit(&call->fsm, budget_end(now_ns, call->route->connect_ns), CAUSE_CONNECT_LIMIT);
    call_set_timer(call);
}

void call_aim(struct call *call, const struct http1_head *head)
{
    struct proxy_target where;

    PRE(call->config->forward != NULL && call->target == NULL);
    if (proxy_target_read(head, &where) == PROXY_TARGET_OK)
        call->target = target_new(call->config, &where, head->method_id == HTTP1_CONNECT);
}

enum cause call_vet(struct call *call, const char **detail)
{
    const struct forward_config *forward = call->config->forward;
    const struct destination_config *destination = &forward->destinations[call->route - call->config->routes];
    enum status status;

    if (call->caller->lost)
        return CAUSE_CALLER_GONE;
    if (call->target == NULL)
        return CAUSE_INTERNAL; /* no memory */
    if (destination->action == DESTINATION_REPORT)
        call->context->metrics->routes[call->route->index].forward_reported[0]++;
    status = target_vet(call->target, &destination->guard, call->context->resolver, found, call);
    if (status != ST_AGAIN)
        return heed(call, status, detail);
    wait(call);
    return CAUSE_NONE;
}
