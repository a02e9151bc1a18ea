/* Heads of responses: from the upstream's bytes to what is written to the caller. */
#include "base/invariant.h"
#include "call/call.h"
#include "call/call_grpc.h"
#include "call/call_progress.h"
#include "call/call_tunnel.h"
#include "call/downstream.h"
#include "call/context.h"
#include "call/target.h"

/* "[address]:port" */
#define AUTHORITY_MAX 64

const struct stream_fault call_no_memory = {.cause = CAUSE_INTERNAL};
const struct stream_fault call_caller_left = {.cause = CAUSE_CALLER_GONE};

/* There is no content before the response: only what there is of 1xx is written. */
const struct stream_fault *call_deliver_interim(struct call *call)
{
    static const struct stream_piece nothing;
    size_t taken;

    switch (stream_send(call->caller, &nothing, &taken)) {
    case STREAM_LOST: return &call_caller_left;
    case STREAM_NOMEM: return &call_no_memory;
    default: return NULL;
    }
}

static const struct stream_fault *hand_over(struct call *call, const struct http1_head *head,
                                            const struct forward_own *own)
{
    switch (stream_send_response(call->caller, head, own)) {
    case STREAM_OK: return NULL;
    case STREAM_BAD: return &call->caller->fault;
    default: return &call_no_memory;
    }
}

/* A 1xx: the wait for the response goes on, and so does its limit. */
static const struct stream_fault *interim_response(struct call *call, const struct http1_head *head)
{
    const struct stream_fault *fault;

    if (head->code == 100 && call->continued) /* said by another try's API: the caller has heard it */
        return NULL;
    if (head->code == 100)
        call->continued = true;
    else
        call->interim_went = true;
    if (call->interim_went && call->rival != NULL) /* what has told the caller something is the one */
        call_cut_rival(call, CAUSE_NONE);
    fault = hand_over(call, head, &(struct forward_own){.rules = &call->try->plan.config->rules});
    return fault == NULL && call->caller->head_waits ? call_deliver_interim(call) : fault;
}

static struct forward_own say_own(const struct call *call, const struct http1_head *head)
{
    struct forward_own own = {.rules = &call->try->plan.config->rules, .call_id = call->id};

    if (head->code == 101 && call_upgrade(call) != NULL)
        own.upgrade = *call_upgrade(call);
    if (!head->has_date)
        own.date = context_date(call->context);
    return own;
}

/* Where the caller finds us: by the host that it used, or at the address that it has connected to. */
static struct span find_authority(struct call *call, char block[AUTHORITY_MAX])
{
    struct text text = text_over(block, AUTHORITY_MAX);

    const struct outgoing *request = call_request_of_try(call);

    if (request->host_len != 0)
        return outgoing_host(request);
    downstream_put_listener(&text, call->downstream);
    return text_span(&text);
}

static bool says_of_retries(const struct call *call)
{
    return retries_had_one(call->retries) && call->route->retries.say;
}

/* What the API says of another try goes no further: it has had that. */
static void hide_should_retry(struct http1_head *head)
{
    for (uint32_t i = 0; i < head->field_count; i++)
        if (span_eq_nocase(head->fields[i].name, SPAN_LIT("X-Should-Retry")) ||
            span_eq_nocase(head->fields[i].name, SPAN_LIT("Stripe-Should-Retry")))
            head->fields[i].nominated = true;
}

/* Apart, so that a response without all that needs no room for the texts. */
static __attribute__((noinline)) const struct stream_fault *hand_over_with_more(struct call *call,
                                                                                struct http1_head *head)
{
    char lines[CALL_TIMING_MAX + RETRIES_LINES_MAX], authority[AUTHORITY_MAX];
    struct text timing = text_over(lines, sizeof(lines));
    struct forward_own own = say_own(call, head);

    if (call->config->server_timing)
        call_fsm_put_timing(&timing, &call->fsm, loop_now(call->context->loop));
    retries_put_lines(&timing, call->retries, call->config->server_timing, call->route->retries.say);
    if (says_of_retries(call))
        hide_should_retry(head);
    if (call->try->plan.config->rules.rewrites_location)
        own.authority = find_authority(call, authority);
    own.is_https = call->downstream->tls != NULL;
    own.lines = text_span(&timing);
    return hand_over(call, head, &own);
}

static const struct stream_fault *hand_over_final(struct call *call, struct http1_head *head)
{
    const struct forward_own own = say_own(call, head);

    if (call->config->server_timing || call->try->plan.config->rules.rewrites_location ||
        says_of_retries(call))
        return hand_over_with_more(call, head);
    return hand_over(call, head, &own);
}

static const struct stream_fault *begin_answer(struct call *call, struct http1_head *head)
{
    PRE(!call->answering && !http1_is_interim(head->code)); /* of final responses there is one */
    call->status = head->code;
    if (call->grpc != NULL)
        call_note_grpc_head(call, head);
    return hand_over_final(call, head);
}

/* The head that was handed over is on its way: no other response can follow. */
static void answer(struct call *call)
{
    call->answering = true;
    if (call->has_retries)
        call_end_of_tries(call);
}

void call_adopt_response(struct call *call)
{
    answer(call);
    if (!try_adopt(call->try))
        return;
    call_follow_phase(call);
    (void)call_move(call, CALL_RESPONDING); /* if it can't be, the call is over */
}

const struct stream_fault *call_deliver_parked(struct call *call, struct http1_head *head)
{
    const struct stream_fault *fault = begin_answer(call, head);

    if (fault != NULL)
        return fault;
    answer(call);
    if (call_move(call, CALL_DELIVERING))
        call_set_timer(call);
    return NULL;
}

/* Does a limit ask how its content gets on? */
static bool is_to_be_watched(const struct call *call, const struct http1_head *head)
{
    const struct route_config *route = call->route;

    return (route->streams != NULL || route->min_rate.bytes != 0) && head->framing != HTTP1_NO_CONTENT;
}

static const struct stream_fault *final_response(struct call *call, struct http1_head *head)
{
    const struct stream_fault *fault = begin_answer(call, head);

    if (fault != NULL)
        return fault;
    if (head->code == 101) {
        answer(call);
        call_open_tunnel(call);
        return NULL;
    }
    if (is_to_be_watched(call, head) && !call_watch_progress(call, head))
        return &call_no_memory;
    if (!call_holds(call))
        call_adopt_response(call);
    else if (!stream_keep_response(call->caller))
        return &call_no_memory;
    else if (call->has_retries)
        call->per_try_ns = NS_NEVER;
    return NULL;
}

const struct stream_fault *call_answer_connect(struct call *call)
{
    struct http1_head head = {.code = 200,
                              .minor = 1,
                              .reason = SPAN_LIT("Connection established"),
                              .framing = HTTP1_NO_CONTENT,
                              .described = HTTP1_NO_CONTENT};
    const struct stream_fault *fault;

    call->try->status = head.code; /* as good as one */
    call_try_answered(call);
    fault = begin_answer(call, &head);
    if (fault != NULL)
        return fault;
    answer(call);
    call_open_tunnel(call);
    return NULL;
}

/* Only what is listed is asked about: a response that is as it should be costs a look at a bit. */
static bool is_to_be_tried_again(const struct call *call, uint16_t code)
{
    const struct retries_config *retries = &call->route->retries;

    return call->has_retries && retry_when_has_status(&retries->policy.when, code);
}

/*
 * The proxy on the way of a forward proxy wants credentials: a caller who is told so by a 407 takes its own proxy for
 * the one that asks, and sends those that it has.
 */
static const struct stream_fault *asks_for_credentials(const struct call *call, const struct http1_head *head)
{
    static const struct stream_fault fault = {.cause = CAUSE_PROXY_REFUSED,
                                              .detail = "the proxy answered 407"};

    return head->code == 407 && call->target != NULL && call->target->goes_whole ? &fault : NULL;
}

bool call_take_response_head(struct call *call, const struct stream_fault **fault)
{
    struct try *try = call->try;
    struct http1_head *head;

    switch (try_head(try, &head)) {
    case STREAM_OK: break;
    case STREAM_WAIT: return false;
    default: *fault = &try->exchange->fault; return false;
    }
    *fault = asks_for_credentials(call, head);
    if (*fault != NULL)
        return false;
    if (!http1_is_interim(head->code))
        call_try_answered(call);
    if (is_to_be_tried_again(call, head->code) && call_try_again(call, NULL, head))
        return false;
    if (!http1_is_interim(head->code) && call->rival != NULL) {
        if (call_leave_it_to_first(call, head->code))
            return false;
        call_cut_rival(call, CAUSE_NONE);
    }
    *fault = http1_is_interim(head->code) ? interim_response(call, head) : final_response(call, head);
    return *fault == NULL && !call_is_over(call);
}
