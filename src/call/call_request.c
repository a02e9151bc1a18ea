/*
 * The request's head as APIs get it. For the upstream's own it is written when the caller's has come, once, and closed
 * with what only a sending knows. To a fallback few calls go: for that, the caller's head is kept as it came, and is
 * read once more by the first that asks for a fallback.
 */
#include "base/invariant.h"
#include "base/mem.h"
#include "core/budget.h"
#include "call/call.h"
#include "call/call_grpc.h"
#include "call/call_hedge.h"
#include "call/call_tunnel.h"
#include "call/context.h"
#include "call/downstream.h"
#include "call/target.h"

/* Digits of a number. */
#define NUMBER_ROOM 20

static struct forwarded_caller forwarded_caller(const struct downstream *downstream)
{
    return (struct forwarded_caller){downstream_caller(downstream), downstream->tls != NULL};
}

/* What changes in the head, on the way that this one takes. */
static const struct forward_rules *rules_of(const struct call *call)
{
    bool is_whole = call->target != NULL && call->target->goes_whole;

    return is_whole ? call->config->forward->way.rules : &call->config->rules;
}

bool call_make_room_for_trace(struct call *call)
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

    if (entropy_take(&call->context->entropy, random, 3) && call_make_room_for_trace(call)) {
        trace_begin(call->trace, random);
        trace_put_line(&line, call->trace);
    }
    forward_request_head(out, head, rules_of(call), forwarded_caller(call->downstream), text_span(&line));
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

enum cause call_keep_head(struct call *call, const struct http1_head *head, bool begins_trace)
{
    struct call_context *context = call->context;
    const struct upstream_config *config = call->config;
    struct text text = text_over(context->text, context->text_cap);
    uint32_t room = room_for(call, config);
    struct span kept = call->has_fallback ? head->whole : SPAN_LIT("");

    put_head(call, head, begins_trace, &text);
    if (text.overflow)
        return CAUSE_HEAD_TOO_LARGE;
    return outgoing_init(&call->request, &context->loop->slab, text_span(&text), head, &config->rules, room,
                         kept)
               ? CAUSE_NONE
               : CAUSE_INTERNAL;
}

/* ---- at a fallback's API -------------------------------------------------------------------------------- */

/* By its rules, and without what the upstream's own take away of what the caller sends. */
static void put_fallback_head(struct call *call, const struct http1_head *head, struct text *out)
{
    const struct upstream_config *fallback = call->route->retries.fallback;
    char block[TRACE_LINE_LEN];
    struct text line = text_over(block, sizeof(block));

    for (uint32_t i = 0; i < head->field_count; i++)
        if (forward_rules_drop(&call->config->rules, head->fields[i].name))
            head->fields[i].nominated = true;
    if (call->begins_trace && call->trace != NULL)
        trace_put_line(&line, call->trace);
    forward_request_head(out, head, &fallback->rules, forwarded_caller(call->downstream), text_span(&line));
}

/* False: the head has no room for what is added to it, or there is no memory. */
static bool write_fallback_head(struct call *call, const struct http1_head *head)
{
    struct call_context *context = call->context;
    const struct upstream_config *fallback = call->route->retries.fallback;
    struct text text = text_over(context->text, context->text_cap);
    struct outgoing *request = mem_zalloc(sizeof(*request));

    if (request == NULL)
        return false;
    put_fallback_head(call, head, &text);
    if (text.overflow || !outgoing_init(request, &context->loop->slab, text_span(&text), head,
                                        &fallback->rules, room_for(call, fallback), SPAN_LIT(""))) {
        mem_free(request);
        return false;
    }
    call->keeps = true;
    call->fallback = request;
    return true;
}

/* It was sound when it came. Not in the context's room for heads, where a response's may be. */
static bool make_fallback_head(struct call *call)
{
    struct span whole = outgoing_kept(&call->request);
    struct http1_head head = {.field_cap = (uint32_t)span_count(whole, '\n')};
    const char *detail;
    enum cause cause;
    bool is_made;

    head.fields = mem_calloc(head.field_cap, sizeof(*head.fields));
    if (head.fields == NULL)
        return false;
    cause = http1_parse_request(whole, &head, &detail);
    POST(cause == CAUSE_NONE);
    if (call_upgrade(call) != NULL)
        head.upgrade = *call_upgrade(call);
    is_made = cause == CAUSE_NONE && write_fallback_head(call, &head);
    mem_free(head.fields);
    return is_made;
}

bool call_has_fallback(struct call *call)
{
    if (!call->has_fallback)
        return false;
    if (call_upgrade(call) != NULL && call->route->retries.fallback->http2.use == HTTP2_ALWAYS)
        call->has_fallback = false; /* no switch of protocols is asked for over HTTP/2 */
    else if (call->fallback == NULL)
        call->has_fallback = make_fallback_head(call);
    return call->has_fallback;
}

/* ---- when it is sent ------------------------------------------------------------------------------------ */

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
    return call->falls_back ? call->fallback : &call->request;
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
    if (call->grpc != NULL || (call->try->plan.number > 1 && call->config->retry_tell.len != 0))
        tell_more(call, request);
    stream_send_head(call->try->exchange, request, told->forward, text_span(&left));
}
