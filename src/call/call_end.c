/* The way out of a call: one door. */
#include "base/invariant.h"
#include "base/mem.h"
#include "call/local_reply.h"
#include "call/call.h"
#include "call/call_grpc.h"
#include "call/call_progress.h"
#include "call/call_tunnel.h"
#include "call/downstream.h"
#include "call/pool_wait.h"
#include "call/target.h"
#include "call/context.h"
#include "call/keepalive.h"
#include "call/try_inspect.h"
#include "core/backoff.h"
#include "runtime/tls_transport.h"

static const enum call_state final_states[OUTCOME_COUNT] = {
    [OUTCOME_COMPLETED] = CALL_DONE,   [OUTCOME_STUCK] = CALL_STUCK,    [OUTCOME_FAILED] = CALL_FAILED,
    [OUTCOME_REJECTED] = CALL_REFUSED, [OUTCOME_ABANDONED] = CALL_GONE, [OUTCOME_NOT_A_CALL] = CALL_REFUSED,
};

static void free_deferred(struct deferred_free *deferred_free)
{
    struct call *call = CONTAINER_OF(deferred_free, struct call, deferred_free);
    struct slab *slab = &call->context->loop->slab;

    PRE(call_is_over(call) && call->first.h1.in.data == NULL);
    PRE(call->keeps || (call->replay == NULL && call->fallback == NULL && call->retries == NULL));
    if (call->keeps)
        call_retries_free(call);
    if (call->progress != NULL)
        call_free_progress(call);
    if (call->grpc != NULL)
        call_free_grpc(call, slab);
    mem_free(call->tunnel);
    if (call->trace != NULL)
        slab_give(slab, call->trace, sizeof(*call->trace));
    outgoing_fini(&call->request, slab);
    if (call->target != NULL)
        target_release(&call->target);
    slab_give(slab, call, sizeof(*call));
}

/*
 * The answer is small: a caller that does not take it whole has not read for a long time. The stream may have taken it,
 * and wait for the end of the turn to write it.
 */
static bool send_reply(struct stream *caller, const struct local_response *response)
{
    struct stream_piece piece = {.data = response->content, .last = true};
    enum stream_result result;
    size_t taken;

    if (stream_send_response(caller, &response->head, &response->own) != STREAM_OK)
        return false;
    result = stream_send(caller, &piece, &taken);
    return result == STREAM_OK || (result == STREAM_WAIT && !caller->head_waits && taken == piece.data.len);
}

/* Whole seconds, and never before it is of use. */
static uint64_t retry_after_s_of(const struct try *try, enum cause cause, int64_t now_ns)
{
    uint32_t left_ms = try->refusal.left_ms;

    if (cause != CAUSE_BREAKER_OPEN)
        return pool_wait_retry_after_s(&try->ticket.permit, now_ns);
    return left_ms > 1000 ? (left_ms + 999) / 1000 : 1;
}

/* Where the upstream has refused it, too, the sooner of the two. */
static uint64_t find_retry_after_s(const struct call *call, enum cause cause, int64_t now_ns)
{
    uint64_t after_s = retry_after_s_of(call->try, cause, now_ns), before_s = after_s;

    if (!call->falls_back || retries_had_one(call->retries))
        return after_s;
    if (call->first.refusal.left_ms != 0)
        before_s = retry_after_s_of(&call->first, CAUSE_BREAKER_OPEN, now_ns);
    else if (call->first.ticket.permit.refused >= PERMIT_RATE)
        before_s = retry_after_s_of(&call->first, CAUSE_PAUSED, now_ns);
    return before_s < after_s ? before_s : after_s;
}

/*
 * When to ask again. Whoever asked for a stream does that by itself: browsers of which none got one come back together,
 * but for a spread of a tenth.
 */
static uint64_t draw_retry_after_s(const struct call *call, enum cause cause, int64_t now_ns)
{
    uint64_t after_s = find_retry_after_s(call, cause, now_ns), word;

    if (call->route->streams == NULL || call->request.method != HTTP1_GET ||
        !entropy_take(&call->context->entropy, &word, 1))
        return after_s;
    return (uint64_t)backoff_around((int64_t)after_s, word);
}

static struct local_reply make_reply(const struct call *call, enum cause cause, enum phase phase,
                                     int64_t now_ns, const char *detail)
{
    return (struct local_reply){
        .cause = cause,
        .phase = phase,
        .detail = detail,
        .upstream = call->config->name,
        .fsm = &call->fsm,
        .refusal = cause == CAUSE_BREAKER_OPEN ? &call->try->refusal : NULL,
        .now_ns = now_ns,
        .call_id = call->id,
        .date = context_date(call->context),
        .trace = call->trace,
        .grpc_type = call_grpc_type(call),
        .is_call = cause_outcome(cause) != OUTCOME_NOT_A_CALL,
        .head_only = call->request.method == HTTP1_HEAD,
        .timed = call->config->server_timing,
        .retry_after_s = draw_retry_after_s(call, cause, now_ns),
        .retries = call->retries,
        .retry_stop = call->retry_stop,
        .says = call->route->retries.say,
        .by_proxy = call->config->forward != NULL,
        /* Stripe's library for Node takes for what was asked for whatever has no `error`, whatever its status. */
        .has_api_error = outgoing_has_field(&call->request, SPAN_LIT("Stripe-Version")),
    };
}

/* False: not all of it has gone. */
static bool say(struct call *call, const struct local_reply *reply)
{
    struct stream *caller = call->caller;
    struct local_response response;
    bool said;

    stream_discard(caller);
    if (cause_is_shutdown(reply->cause))
        caller->persistent = false;
    local_reply_make(&response, reply);
    said = send_reply(caller, &response);
    call->status = caller->answered ? response.head.code : 0;
    return said;
}

/*
 * A gRPC response that has begun can still tell how it ended; if its own end is on its way, by a deadline that the API
 * has kept to, that is what the caller gets. False: neither.
 */
static bool say_in_trailers(struct call *call, const struct local_reply *reply)
{
    char block[LOCAL_REPLY_MAX];
    struct text lines = text_over(block, sizeof(block));
    enum stream_result result;

    stream_discard(call->caller);
    local_reply_put_trailers(&lines, reply);
    result = stream_trail(call->caller, text_span(&lines));
    if (result == STREAM_OK)
        call->grpc->code = grpc_code_of_cause(reply->cause);
    return result == STREAM_OK || result == STREAM_WAIT;
}

/* False: the caller has not been told in a way that can be taken for complete; it is to see that. */
static bool tell_caller(struct call *call, enum cause cause, enum phase phase, int64_t now_ns,
                        const char *detail)
{
    struct local_reply reply;
    bool is_told;

    if (cause == CAUSE_NONE)
        return true;
    if (!call_has_answered(call))
        call->status = 0;
    if (cause == CAUSE_CALLER_GONE || call->caller->lost || (call->caller->committed && call->grpc == NULL) ||
        (call->caller->refused && call->grpc == NULL && call_comes_by_h2(call)))
        return false;
    reply = make_reply(call, cause, phase, now_ns, detail);
    if (call->caller->committed) {
        is_told = say_in_trailers(call, &reply);
    } else {
        call->answering = false; /* nothing of the upstream's response has gone, and nothing will */
        is_told = say(call, &reply);
        if (call->grpc != NULL)
            call->grpc->code = is_told ? grpc_code_of_cause(cause) : GRPC_NONE;
    }
    return is_told;
}

static void leave_caller(struct call *call, bool told)
{
    if (!call->caller->persistent)
        keepalive_end_reservation(&call->downstream->reserved);
    if (told)
        stream_finish(call->caller);
    else
        stream_cut(call->caller);
}

/* As far as the request has come, if its head has not. */
static void note_request(struct call *call)
{
    struct stream_start start = {0};

    if (!stream_read_start(call->caller, &start))
        return;
    outgoing_note(&call->request, &call->context->loop->slab, start.method, start.target);
    if (start.grpc_type.len != 0 && call->grpc == NULL)
        call_note_grpc_type(call, start.grpc_type);
}

static void end(struct call *call, enum cause cause, enum phase phase, const char *detail, struct span odd)
{
    struct call_context *context = call->context;
    int64_t now_ns = loop_now(context->loop);
    bool told;
    char why[TLS_WHY_MAX];

    PRE(cause < CAUSE_COUNT && !call_is_over(call)); /* there is one way out, once */
    if (call->fsm.state == CALL_TUNNEL)
        cause = call_close_tunnel(call, cause);
    if (detail == NULL && cause != CAUSE_NONE) /* where nobody knows better */
        detail = try_tls_why(call->try, why);
    if (call->rival != NULL)
        call_cut_rival(call, cause);
    call->ends = true;
    if (call->try->fsm.state != TRY_OVER)
        call_cut_try(call, cause);
    if (call->vetting)
        dns_cancel(&call->target->query);
    if (call->retries != NULL)
        call_record_last(call, cause);
    if (!call_move(call, final_states[cause_outcome(cause)]))
        return;
    if (call->request.bytes == NULL)
        note_request(call);
    told = tell_caller(call, cause, phase, now_ns, detail);
    call_count(call, cause, phase, now_ns);
    if (context->log != NULL && (call->counted || cause != CAUSE_CALLER_GONE))
        call_log(call, cause, phase, now_ns, detail, odd);
    PRE(call->terms->users > 0);
    list_remove(&call->place.node);
    call->terms->users--;
    try_fini(&call->first);
    if (call->retries != NULL) {
        try_fini(&call->retries->other);
        call_fini_hedges(call);
    }
    loop_free_later(context->loop, &call->deferred_free, free_deferred);
    leave_caller(call, told);
}

void call_end(struct call *call, enum cause cause, const char *detail)
{
    end(call, cause, call->fsm.phase, detail, SPAN_LIT(""));
}

void call_end_over(struct call *call, enum cause cause, const char *detail, struct span odd)
{
    end(call, cause, call->fsm.phase, detail, odd);
}

void call_end_in(struct call *call, enum cause cause, enum phase phase, const char *detail)
{
    end(call, cause, phase, detail, SPAN_LIT(""));
}
