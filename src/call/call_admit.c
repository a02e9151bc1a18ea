/* From the request's head to a try. */
#include "base/invariant.h"
#include "http/connection_auth.h"
#include "call/call.h"
#include "call/call_connect.h"
#include "call/call_grpc.h"
#include "call/call_tunnel.h"
#include "call/downstream.h"
#include "call/policy.h"
#include "call/pool_wait.h"
#include "call/context.h"

static void route_early(struct call *call, const struct http1_head *line)
{
    call_set_route(call, policy_route(call->config, line));
    call_set_timer(call);
}

static void note(struct call *call, const struct http1_head *head)
{
    call->request.method = head->method_id;
    call->authenticates = connection_auth_in_request(head);
    if (call->caller->carries_grpc)
        call_note_grpc(call, head);
}

/* From here on it counts as a call. False: it is over. */
static bool become_call(struct call *call)
{
    struct call_context *context = call->context;

    PRE(!call->counted && call->fsm.state == CALL_READING);
    call->counted = true;
    call->caller->ready = call_caller_ready;
    context->metrics->routes[call->route->index].started[0]++;
    call_list_push(&context->calls.by_pool[call->route->pool], &call->place);
    return call_move(call, CALL_TRYING);
}

/* It never becomes a call, for a reason that is given back. */
static enum cause refuse(struct call *call, const struct http1_head *head, enum cause cause)
{
    PRE(!call->counted && call->request.bytes == NULL);
    outgoing_note(&call->request, &call->context->loop->slab, head->method, head->target);
    return cause;
}

void call_find_bucket(struct call *call, const struct route_config *route)
{
    const struct pool_config *waits = route->waits;
    struct call_context *context = call->context;

    PRE(call->arrives);
    if (waits != NULL && pool_is_shared(waits))
        call->bucket = pool_bucket(context->pools[route->pool],
                                   pool_wait_key(waits, &context->head, downstream_caller(call->downstream)));
}

static void apply(struct call *call, const struct policy *policy)
{
    /* Mostly the whole head has come at once, and is for the route that was taken at first. */
    if (policy->route != call->route)
        call_set_route(call, policy->route);
    *call_fsm_policy_deadline(&call->fsm) = policy->deadline_ns;
    call->caller_end_ns = policy->caller_ns;
    if (trace_is_set(&policy->trace) && call_make_room_for_trace(call))
        *call->trace = policy->trace;
}

static void prepare_retries(struct call *call, const struct http1_head *head, bool begins_trace)
{
    call->has_retries = true;
    call->per_try_ns = NS_NEVER;
    if (policy_may_repeat(&call->route->retries, head))
        call->may_repeat = true;
    if (call->route->retries.fallback != NULL)
        call->has_fallback = true;
    if (begins_trace)
        call->begins_trace = true;
}

enum cause call_admit(struct call *call)
{
    enum cause cause;

    if (!become_call(call))
        return CAUSE_NONE;
    cause = call_fsm_expired(&call->fsm, loop_now(call->context->loop));
    if (cause == CAUSE_NONE && call->caller->lost)
        cause = CAUSE_CALLER_GONE;
    if (cause == CAUSE_NONE)
        call_begin_try(call, 1);
    return cause;
}

/* CONNECT has nothing that is sent on. */
static enum cause connect_to(struct call *call, const struct http1_head *head, const char **detail)
{
    outgoing_note(&call->request, &call->context->loop->slab, head->method, head->target);
    return call_ask_for_connect(call) ? call_vet(call, detail) : CAUSE_INTERNAL;
}

/* What it ends by; CAUSE_NONE: it goes on, or has ended. *detail is for people, and may be left as it is. */
static enum cause start(struct call *call, struct http1_head *head, const char **detail)
{
    struct policy policy;
    enum cause cause;

    PRE(head == &call->context->head);
    note(call, head);
    if (call->config->forward != NULL)
        call_aim(call, head);
    policy_decide(&policy, call->config, head, call->fsm.begun_ns, call->grpc != NULL);
    if (policy.route != NULL)
        apply(call, &policy);
    *detail = policy.detail;
    if (policy.refused != CAUSE_NONE)
        return refuse(call, head, policy.refused);
    if (call_is_connect(call))
        return connect_to(call, head, detail);
    if (retries_are_on(&call->route->retries))
        prepare_retries(call, head, policy.begins_trace);
    if ((head->known & HTTP1_BIT(UPGRADE)) != 0) {
        cause = call_ask_for_upgrade(call, head);
        if (cause != CAUSE_NONE)
            return cause == CAUSE_PROTOCOL ? refuse(call, head, cause) : cause;
    }
    cause = call_keep_head(call, head, policy.begins_trace);
    if (cause == CAUSE_HEAD_TOO_LARGE)
        return refuse(call, head, cause);
    if (cause != CAUSE_NONE)
        return become_call(call) ? cause : CAUSE_NONE;
    return call->config->forward == NULL ? call_admit(call) : call_vet(call, detail);
}

/* As start. */
static enum cause read_head(struct call *call, const char **detail)
{
    struct stream *caller = call->caller;
    enum stream_result result = STREAM_OK;
    struct http1_head *head;
    enum cause cause;

    while (result == STREAM_OK) {
        switch (stream_head(caller, &head)) {
        case STREAM_OK:
            call->arrives = true;
            cause = start(call, head, detail);
            call->arrives = false;
            return cause;
        case STREAM_LINE: route_early(call, head); break;
        case STREAM_WAIT: break;
        default: *detail = caller->fault.detail; return caller->fault.cause;
        }
        result = stream_receive(caller);
    }
    if (result == STREAM_WAIT)
        return CAUSE_NONE;
    return result == STREAM_NOMEM ? CAUSE_INTERNAL : CAUSE_CALLER_GONE;
}

static void head_is_due(struct call *call)
{
    const char *detail = NULL;
    enum cause cause = read_head(call, &detail);

    if (cause != CAUSE_NONE)
        call_end(call, cause, detail);
}

void call_head_ready(struct stream *caller)
{
    struct call *call = caller->user;

    PRE(call->caller == caller && call->fsm.state == CALL_READING);
    if (!call->vetting)
        head_is_due(call);
    else if (caller->lost)
        call_caller_gone(call);
    POST(call_is_over(call) || call_is_sound(call));
}
