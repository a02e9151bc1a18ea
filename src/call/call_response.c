/* Heads of responses: from the upstream's bytes to what is written to the caller. */
#include "base/invariant.h"
#include "call/call.h"
#include "call/downstream.h"
#include "call/context.h"

/* "[address]:port" */
#define AUTHORITY_MAX 64

/* There is no content before the response: only what there is of 1xx is written. */
bool call_deliver_interim(struct call *call)
{
    static const struct stream_piece nothing;
    size_t taken;

    switch (stream_send(call->caller, &nothing, &taken)) {
    case STREAM_LOST: call_caller_gone(call); break;
    case STREAM_NOMEM: call_end(call, CAUSE_INTERNAL, NULL); break;
    default: break;
    }
    return !call_is_over(call);
}

/* False: it can't be, and the call is over. */
static bool hand_over(struct call *call, const struct http1_head *head, const struct forward_own *own)
{
    const struct stream_fault *fault = &call->caller->fault;

    switch (stream_send_response(call->caller, head, own)) {
    case STREAM_OK: return true;
    case STREAM_BAD: call_end(call, fault->cause, fault->detail); break;
    default: call_end(call, CAUSE_INTERNAL, NULL); break;
    }
    return false;
}

/* A 1xx: the wait for the response goes on, and so does its limit. */
static void interim_response(struct call *call, const struct http1_head *head)
{
    if (hand_over(call, head, &(struct forward_own){.rules = &call->config->rules}) &&
        call->caller->head_waits)
        (void)call_deliver_interim(call);
}

static struct forward_own say_own(const struct call *call, const struct http1_head *head)
{
    struct forward_own own = {.rules = &call->config->rules, .call_id = call->id};

    if (!head->has_date)
        own.date = context_date(call->context);
    return own;
}

/* Where the caller finds us: by the host that it used, or at the address that it has connected to. */
static struct span find_authority(const struct call *call, char block[AUTHORITY_MAX])
{
    struct text text = text_over(block, AUTHORITY_MAX);

    if (call->host_len != 0)
        return call_host(call);
    downstream_put_listener(&text, call->downstream);
    return text_span(&text);
}

/* Apart, so that a response without all that needs no room for the texts. */
static __attribute__((noinline)) bool hand_over_with_more(struct call *call, const struct http1_head *head)
{
    char lines[CALL_TIMING_MAX], authority[AUTHORITY_MAX];
    struct text timing = text_over(lines, sizeof(lines));
    struct forward_own own = say_own(call, head);

    if (call->config->server_timing)
        call_fsm_put_timing(&timing, &call->fsm, loop_now(call->context->loop));
    if (call->config->rules.rewrites_location)
        own.authority = find_authority(call, authority);
    own.is_https = call->downstream->tls.server != NULL;
    own.lines = text_span(&timing);
    return hand_over(call, head, &own);
}

static bool hand_over_final(struct call *call, const struct http1_head *head)
{
    const struct forward_own own = say_own(call, head);

    if (call->config->server_timing || call->config->rules.rewrites_location)
        return hand_over_with_more(call, head);
    return hand_over(call, head, &own);
}

static void final_response(struct call *call, const struct http1_head *head)
{
    PRE(!call->answering && head->code >= 200); /* of final responses there is one */
    call->status = head->code;
    if (!hand_over_final(call, head))
        return;
    if (!call_watch_progress(call, head)) {
        call_end(call, CAUSE_INTERNAL, NULL);
        return;
    }
    call->answering = true;
    if (try_adopt(call->try))
        call_move(call, CALL_RESPONDING);
}

bool call_take_response_head(struct call *call)
{
    struct try *try = call->try;
    struct http1_head *head;

    switch (try_head(try, &head)) {
    case STREAM_OK: break;
    case STREAM_WAIT: return false;
    default: try_fail(try, &try->exchange->fault, false); return false;
    }
    if (head->code < 200)
        interim_response(call, head);
    else
        final_response(call, head);
    return !call_is_over(call);
}
