/* The way out of a call: one door. */
#include <string.h>

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
    if (call->has_retries && call_keeps_for_tries(call))
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
 * A caller who leaves, or is refused, before the request line has been understood was never a call. One that got
 * stuck there was: it held a connection for as long as its deadline allows.
 */
static void count_start(struct call *call, enum outcome outcome)
{
    if (call->counted || (outcome != OUTCOME_STUCK && outcome != OUTCOME_FAILED))
        return;
    call->counted = true;
    call->context->metrics->routes[call->route->index].started[0]++;
}

static void count_outcome(struct call *call, enum cause cause, enum phase phase)
{
    struct metrics *metrics = call->context->metrics;
    struct route_metrics *route = &metrics->routes[call->route->index];

    switch (cause_outcome(cause)) {
    case OUTCOME_COMPLETED:
        route->completed[metric_class(call->status)]++;
        if (call->grpc != NULL)
            route->grpc_completed[call->grpc->code]++;
        if (call->retries != NULL)
            route->saved[0] += call_was_saved(call);
        break;
    case OUTCOME_STUCK: route->stuck[phase]++; break;
    case OUTCOME_FAILED: route->failed[cause]++; break;
    case OUTCOME_REJECTED: route->rejected[cause]++; break;
    case OUTCOME_ABANDONED: route->abandoned[phase]++; break;
    default: IMPOSSIBLE("a call that was counted and ends as none"); break;
    }
    if (call->fsm.spared_cause != CAUSE_NONE)
        route->spared[call->fsm.spared_phase]++;
}

static void count_forward_bytes(struct call *call)
{
    uint64_t *bytes = call->context->metrics->routes[call->route->index].forward_bytes;

    bytes[DIRECTION_UP] += call->caller->received;
    bytes[DIRECTION_DOWN] += call->try->exchange->received;
}

static void observe(struct call *call, enum cause cause, int64_t now_ns)
{
    struct upstream_metrics *metrics = &call->context->metrics->upstreams[call->config->index];
    const struct call_fsm *fsm = &call->fsm;

    metric_observe_seconds(&metrics->duration, now_ns - fsm->begun_ns);
    metric_observe_seconds(&metrics->queue_wait, call_fsm_phase_ns(fsm, PHASE_QUEUE, now_ns));
    metric_observe_ratio(&metrics->used, now_ns - fsm->begun_ns, call_fsm_budget_ns(fsm));
    /* The time of the turn would flatter us: what counts is when the call has really ended. */
    if (cause == CAUSE_DEADLINE)
        metric_observe_overshoot(&metrics->overshoot, loop_clock_ns() - fsm->deadline_ns);
    metrics->http2_calls[SIDE_DOWNSTREAM] += call_comes_by_h2(call);
    metrics->http2_calls[SIDE_UPSTREAM] += call_goes_by_h2(call);
    metrics->bytes[DIRECTION_UP] += call->caller->received;
    metrics->bytes[DIRECTION_DOWN] += call->try->exchange->received;
    if (call->retries != NULL)
        metrics->bytes[DIRECTION_DOWN] += call->retries->received;
    if (call->config->forward != NULL)
        count_forward_bytes(call);
    if (call->retry_stop > RETRY_NOT_MEANT)
        metrics->retries_stopped[call->retry_stop]++;
}

/* The route's histogram; the first call to end makes it. NULL: no memory, or the call's policy is an older one. */
static struct duration_histogram *find_histogram(const struct call *call, enum metric_spread spread)
{
    const struct call_context *context = call->context;
    struct duration_histogram **histogram = metrics_spread(context->metrics, spread, call->route->index);

    if (*histogram == NULL && call->config->snapshot == context->snapshot)
        *histogram = duration_histogram_new(call->route, call->fsm.begun_ns);
    if (*histogram == NULL || (*histogram)->terms == call->route)
        return *histogram;
    return route_has_same_limits((*histogram)->terms, call->route) ? *histogram : NULL;
}

/* Of what ends calls as stuck, all but these are deadlines and limits that the configuration sets. */
static bool is_of_policy(enum cause cause)
{
    return cause != CAUSE_OPERATOR && cause != CAUSE_DRAIN_OVER;
}

static enum duration_histogram_end duration_histogram_end_of(enum cause cause, enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_STUCK: return is_of_policy(cause) ? DURATION_HISTOGRAM_CUT : DURATION_HISTOGRAM_ABANDONED;
    case OUTCOME_REJECTED: return DURATION_HISTOGRAM_REJECTED;
    case OUTCOME_ABANDONED: return DURATION_HISTOGRAM_ABANDONED;
    default: return DURATION_HISTOGRAM_FAILED;
    }
}

/* A time that a limit of streams is for: it came to an end, or `limit` cut it, or something else did. */
static void add_stream_time(const struct call *call, enum metric_spread spread, enum cause limit,
                            enum cause cause, int64_t took_ns, bool is_whole)
{
    struct duration_histogram *histogram = find_histogram(call, spread);

    if (histogram == NULL)
        return;
    if (!is_whole || cause == limit) {
        duration_histogram_count_end(
            histogram, cause == limit ? DURATION_HISTOGRAM_CUT : DURATION_HISTOGRAM_ABANDONED, took_ns, 0);
        return;
    }
    duration_histogram_count(histogram, took_ns, 0);
    histogram->spared += call->fsm.spared_cause == limit;
}

static void observe_stream(struct call *call, enum cause cause, int64_t now_ns)
{
    struct upstream_metrics *metrics = &call->context->metrics->upstreams[call->config->index];
    const struct progress *progress = &call->progress->progress;
    int64_t gap_ns = progress_longest_gap_ns(progress, now_ns);

    if (progress->events == 0) {
        add_stream_time(call, SPREAD_FIRST_EVENTS, CAUSE_FIRST_EVENT_LIMIT, cause, now_ns - progress->sent_ns,
                        false);
        return;
    }
    metric_observe_seconds(&metrics->first_event, progress_first_event_ns(progress));
    metric_observe_seconds(&metrics->longest_gap, gap_ns);
    add_stream_time(call, SPREAD_FIRST_EVENTS, CAUSE_FIRST_EVENT_LIMIT, CAUSE_NONE,
                    progress_first_event_ns(progress), true);
    add_stream_time(call, SPREAD_GAPS, CAUSE_IDLE_LIMIT, cause, gap_ns, true);
}

/* How long a call takes from its last permit on, whose pool asks for it; of one that is cut, how long it had. */
static void count_start_time(const struct call *call, bool is_cut, int64_t now_ns)
{
    const struct try *try = call->try;
    struct start_times **times = &call->context->metrics->start_times[try->plan.route->index];

    if (*times == NULL)
        *times = start_times_new();
    if (*times != NULL && is_cut)
        start_times_count_cut(*times, now_ns - try->granted_ns);
    else if (*times != NULL)
        start_times_count(*times, now_ns - try->granted_ns);
}

static void add_to_histogram(const struct call *call, enum cause cause, enum outcome outcome, int64_t now_ns)
{
    struct duration_histogram *histogram =
        find_histogram(call, call_is_stream(call) ? SPREAD_STREAMS : SPREAD_CALLS);
    int64_t took_ns = now_ns - call->fsm.begun_ns;
    int64_t held_ns = try_held_ns(call->try, now_ns) + (call->retries != NULL ? call->retries->held_ns : 0);

    if (call->try->granted_ns != 0 && call->try->plan.route->times_starts &&
        (outcome == OUTCOME_COMPLETED || cause == CAUSE_DEADLINE))
        count_start_time(call, outcome != OUTCOME_COMPLETED, now_ns);
    if (histogram == NULL)
        return;
    if (outcome != OUTCOME_COMPLETED) {
        duration_histogram_count_end(histogram, duration_histogram_end_of(cause, outcome), took_ns, held_ns);
        return;
    }
    duration_histogram_count(histogram, took_ns, held_ns);
    if (call->fsm.spared_cause != CAUSE_NONE)
        histogram->spared++;
}

static void remember_stuck(struct call *call, enum cause cause, enum phase phase, int64_t now_ns)
{
    struct stuck_call *stuck = stuck_calls_next(&call->context->stuck);
    struct span method = outgoing_method(&call->request);
    const struct call_fsm *fsm = &call->fsm;

    *stuck = (struct stuck_call){
        .id = call->id,
        .begun_ns = fsm->begun_ns,
        .ended_ns = now_ns,
        .deadline_ns = fsm->deadline_ns,
        .upstream = call->config->index,
        .route = call->route->index,
        .phase = phase,
        .cause = cause,
        .sent = fsm->sent,
    };
    for (enum phase each = 0; each < PHASE_COUNT; each++)
        stuck->phases_ns[each] = call_fsm_phase_ns(fsm, each, now_ns);
    stuck->method_len = (uint8_t)(method.len < CALL_TOP_METHOD ? method.len : CALL_TOP_METHOD);
    if (stuck->method_len != 0)
        memcpy(stuck->method, method.ptr, stuck->method_len);
}

static void count(struct call *call, enum cause cause, enum phase phase, int64_t now_ns)
{
    enum outcome outcome = cause_outcome(cause);

    count_start(call, outcome);
    if (outcome == OUTCOME_NOT_A_CALL) {
        call->context->metrics->process.refused[cause]++;
        if (call->config->forward != NULL)
            call->context->metrics->upstreams[call->config->index].forward_refused[cause]++;
    } else if (call->counted) {
        count_outcome(call, cause, phase);
        observe(call, cause, now_ns);
        if (call_is_stream(call))
            observe_stream(call, cause, now_ns);
        if (!call_was_tunnel(call)) /* how long that is says nothing of the API, or of what a call needs */
            add_to_histogram(call, cause, outcome, now_ns);
    }
    if (cause == CAUSE_SNI)
        call->context->metrics->upstreams[call->config->index].forward_refused[cause]++;
    if (outcome == OUTCOME_STUCK)
        remember_stuck(call, cause, phase, now_ns);
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
    count(call, cause, phase, now_ns);
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
