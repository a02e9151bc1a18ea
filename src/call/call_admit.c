/* From the request's head to a try. */
#include "base/invariant.h"
#include "core/budget.h"
#include "http/connection_auth.h"
#include "call/call.h"
#include "call/call_connect.h"
#include "call/call_grpc.h"
#include "call/call_tunnel.h"
#include "call/downstream.h"
#include "call/call_hedge.h"
#include "call/policy.h"
#include "call/pool_wait.h"
#include "call/target.h"
#include "call/context.h"

/* Digits of a number. */
#define NUMBER_ROOM 20

void call_set_route(struct call *call, const struct route_config *route)
{
    struct call_fsm *fsm = &call->fsm;

    call->route = route;
    fsm->deadline_ns = budget_end(fsm->begun_ns, route->deadline_ns);
    call_fsm_set_begin(fsm, budget_end(fsm->begun_ns, route->begin_ns));
    if (route->ceiling_ns != NS_NEVER)
        call_fsm_observe(fsm, budget_end(fsm->begun_ns, route->ceiling_ns), loop_now(call->context->loop));
}

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

static struct forwarded_caller forwarded_caller(const struct downstream *downstream)
{
    return (struct forwarded_caller){downstream_caller(downstream), downstream->tls.server != NULL};
}

/* What changes in the head, on the way that this one takes. */
static const struct forward_rules *rules_of(const struct call *call)
{
    bool is_whole = call->target != NULL && call->target->goes_whole;

    return is_whole ? call->config->forward->way.rules : &call->config->rules;
}

static bool make_room_for_trace(struct call *call)
{
    if (call->trace == NULL)
        call->trace = slab_take(&call->context->loop->slab, sizeof(*call->trace));
    return call->trace != NULL;
}

/*
 * A trace begins here, in place of what came. Without randomness, or memory, it does not. Apart: most calls need no
 * room for it.
 */
static __attribute__((noinline)) void put_head_of_new_trace(struct call *call, const struct http1_head *head,
                                                            struct text *out)
{
    char block[TRACE_LINE_LEN];
    struct text line = text_over(block, sizeof(block));
    uint64_t random[3];

    if (entropy_take(&call->context->entropy, random, 3) && make_room_for_trace(call)) {
        trace_begin(call->trace, random);
        trace_put_line(&line, call->trace);
    }
    forward_request_head(out, head, rules_of(call), forwarded_caller(call->downstream), text_span(&line));
}

/* For the fallback's API: by its rules, and without what the upstream's own take away of what the caller sends. */
static void put_fallback_head(struct call *call, const struct http1_head *head,
                              const struct upstream_config *fallback, bool begins_trace, struct text *out)
{
    char block[TRACE_LINE_LEN];
    struct text line = text_over(block, sizeof(block));

    for (uint32_t i = 0; i < head->field_count; i++)
        if (forward_rules_drop(&call->config->rules, head->fields[i].name))
            head->fields[i].nominated = true;
    if (begins_trace && call->trace != NULL)
        trace_put_line(&line, call->trace);
    forward_request_head(out, head, &fallback->rules, forwarded_caller(call->downstream), text_span(&line));
}

static void put_head(struct call *call, const struct http1_head *head, bool begins_trace, struct text *out)
{
    if (!begins_trace)
        forward_request_head(out, head, rules_of(call), forwarded_caller(call->downstream), SPAN_LIT(""));
    else
        put_head_of_new_trace(call, head, out);
}

/* For the fields that a sending has and another has not: those that this upstream is told by. */
static uint32_t room_for(const struct call *call, const struct upstream_config *config)
{
    uint32_t room = (uint32_t)config->caller_deadline.forward.len + NUMBER_ROOM;

    if (call->config->retry_tell.len != 0)
        room += (uint32_t)call->config->retry_tell.len + NUMBER_ROOM + OUTGOING_FIELD_ROOM;
    if (call->grpc != NULL)
        room += GRPC_TIMEOUT_ROOM;
    return room;
}

/* Without memory for it, or room in a head, there is no fallback. Behind keep_head: fields of the head are marked. */
static void keep_fallback_head(struct call *call, const struct http1_head *head, bool begins_trace)
{
    struct call_context *context = call->context;
    const struct upstream_config *fallback = call->route->retries.fallback;
    struct text text = text_over(context->text, context->text_cap);

    put_fallback_head(call, head, fallback, begins_trace, &text);
    if (!text.overflow)
        (void)outgoing_init(&call->spare->fallback, &context->loop->slab, text_span(&text), head,
                            &fallback->rules, room_for(call, fallback)); /* no memory: no fallback */
}

/* What is sent on, ready but for its end. */
static enum cause keep_head(struct call *call, const struct http1_head *head, bool begins_trace)
{
    struct call_context *context = call->context;
    const struct upstream_config *config = call->config;
    struct text text = text_over(context->text, context->text_cap);
    uint32_t room = room_for(call, config);

    put_head(call, head, begins_trace, &text);
    if (text.overflow)
        return CAUSE_HEAD_TOO_LARGE;
    return outgoing_init(&call->request, &context->loop->slab, text_span(&text), head, &config->rules, room)
               ? CAUSE_NONE
               : CAUSE_INTERNAL;
}

/* From here on it counts as a call. False: it is over. */
static bool become_call(struct call *call)
{
    struct call_context *context = call->context;

    PRE(!call->counted && call->fsm.state == CALL_READING);
    call->counted = true;
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

/* Of a pool in which nobody has to wait at the moment, it does not matter. */
static void find_bucket(struct call *call, const struct http1_head *head)
{
    const struct pool_config *waits = call->route->waits;
    struct pool *pool = call->context->pools[call->route->pool];

    if (pool_is_shared(waits) && pool_is_busy(pool))
        call->bucket = pool_bucket(pool, pool_wait_key(waits, head, downstream_caller(call->downstream)));
}

static void apply(struct call *call, const struct http1_head *head, const struct policy *policy)
{
    /* Mostly the whole head has come at once, and is for the route that was taken at first. */
    if (policy->route != call->route)
        call_set_route(call, policy->route);
    *call_fsm_policy_deadline(&call->fsm) = policy->deadline_ns;
    call->caller_end_ns = policy->caller_ns;
    if (trace_is_set(&policy->trace) && make_room_for_trace(call))
        *call->trace = policy->trace;
    if (call->route->waits != NULL)
        find_bucket(call, head);
}

/* Without memory for them there are none. */
static void prepare_retries(struct call *call, const struct http1_head *head)
{
    call->may_repeat = policy_may_repeat(&call->route->retries, head);
    call->spare = slab_take(&call->context->loop->slab, sizeof(*call->spare));
    if (call->spare != NULL)
        *call->spare = (struct call_spare){.per_try_ns = NS_NEVER};
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

    note(call, head);
    if (call->config->forward != NULL)
        call_aim(call, head);
    policy_decide(&policy, call->config, head, call->fsm.begun_ns, call->grpc != NULL);
    if (policy.route != NULL)
        apply(call, head, &policy);
    *detail = policy.detail;
    if (policy.refused != CAUSE_NONE)
        return refuse(call, head, policy.refused);
    if (call_is_connect(call))
        return connect_to(call, head, detail);
    if (retries_are_on(&call->route->retries))
        prepare_retries(call, head);
    if ((head->known & HTTP1_BIT(UPGRADE)) != 0) {
        cause = call_ask_for_upgrade(call, head);
        if (cause != CAUSE_NONE)
            return cause == CAUSE_PROTOCOL ? refuse(call, head, cause) : cause;
    }
    cause = keep_head(call, head, policy.begins_trace);
    if (cause == CAUSE_HEAD_TOO_LARGE)
        return refuse(call, head, cause);
    if (cause == CAUSE_NONE && call->spare != NULL && call->route->retries.fallback != NULL)
        keep_fallback_head(call, head, policy.begins_trace);
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

    while (result == STREAM_OK) {
        switch (stream_head(caller, &head)) {
        case STREAM_OK: return start(call, head, detail);
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

void call_read_head(struct call *call)
{
    const char *detail = NULL;
    enum cause cause;

    PRE(call->fsm.state == CALL_READING);
    if (call->vetting) { /* the head is read */
        if (call->caller->lost)
            call_caller_gone(call);
        return;
    }
    cause = read_head(call, &detail);
    if (cause != CAUSE_NONE)
        call_end(call, cause, detail);
}

/* Which try it is. */
static void tell_number(struct call *call, struct outgoing *request)
{
    char digits[NUMBER_ROOM];
    struct text number = text_over(digits, sizeof(digits));

    text_u64(&number, call->try->plan.number);
    outgoing_tell(request, call->config->retry_tell, text_span(&number));
}

struct outgoing *call_request_of_try(struct call *call)
{
    if (call->try->plan.kind == TRY_HEDGE)
        return &hedge_of(call->try)->request;
    return call->falls_back ? &call->spare->fallback : &call->request;
}

static int64_t left_ns(const struct call *call)
{
    return call->fsm.deadline_ns - loop_now(call->context->loop);
}

static void tell_timeout(struct call *call, struct outgoing *request)
{
    const struct upstream_config *config = call->try->plan.config;
    char block[GRPC_TIMEOUT_ROOM];
    struct text left = text_over(block, sizeof(block));

    if (config->owns_grpc_timeout || config->caller_deadline.forwards_grpc)
        return;
    grpc_put_timeout_value(&left, left_ns(call));
    outgoing_tell(request, SPAN_LIT("grpc-timeout"), text_span(&left));
}

/* Fields that most calls have not. */
static __attribute__((noinline)) void tell_more(struct call *call, struct outgoing *request)
{
    outgoing_untell(request);
    if (call->grpc != NULL)
        tell_timeout(call, request);
    if (call->config->retry_tell.len != 0 && call->try->plan.number > 1)
        tell_number(call, request);
}

/* A field may tell the upstream what is left; that is taken when it is sent. */
void call_close_head(struct call *call)
{
    char digits[NUMBER_ROOM];
    struct text left = text_over(digits, sizeof(digits));
    const struct caller_deadline_config *told = &call->try->plan.config->caller_deadline;
    struct outgoing *request = call_request_of_try(call);

    if (told->forwards_grpc)
        grpc_put_timeout_value(&left, left_ns(call));
    else if (told->forward.len != 0)
        text_u64(&left, budget_left_ms(call->fsm.deadline_ns, loop_now(call->context->loop)));
    if (call->grpc != NULL || (call->config->retry_tell.len != 0 && call->try->plan.number > 1))
        tell_more(call, request);
    stream_send_head(call->try->exchange, request, told->forward, text_span(&left));
}
