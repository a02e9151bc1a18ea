/* The way out of a call: one door. */
#include <string.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "call/local_reply.h"
#include "call/call.h"
#include "call/downstream.h"
#include "call/context.h"
#include "call/ghost.h"
#include "call/upstream.h"
#include "runtime/tls_transport.h"

static const enum call_state final_states[OUTCOME_COUNT] = {
    [OUTCOME_COMPLETED] = CALL_DONE,   [OUTCOME_STUCK] = CALL_STUCK,    [OUTCOME_FAILED] = CALL_FAILED,
    [OUTCOME_REJECTED] = CALL_REFUSED, [OUTCOME_ABANDONED] = CALL_GONE, [OUTCOME_NOT_A_CALL] = CALL_REFUSED,
};

static void free_deferred(struct deferred_free *deferred_free)
{
    struct call *call = CONTAINER_OF(deferred_free, struct call, deferred_free);

    PRE(call_is_over(call) && call->upstream == NULL && call->h1.in.data == NULL);
    PRE(call->ticket.permit.state == PERMIT_FREE && list_is_empty(&call->place.node));
    h1_writer_fini(&call->response);
    mem_free(call->kept_head);
    mem_free(call->progress);
    mem_free(call->head);
    mem_free(call);
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
    case OUTCOME_COMPLETED: route->completed[metric_class(call->status)]++; break;
    case OUTCOME_STUCK: route->stuck[phase]++; break;
    case OUTCOME_FAILED: route->failed[cause]++; break;
    case OUTCOME_REJECTED: route->rejected[cause]++; break;
    case OUTCOME_ABANDONED: route->abandoned[phase]++; break;
    default: IMPOSSIBLE("a call that was counted and ends as none"); break;
    }
    if (call->fsm.spared_cause != CAUSE_NONE)
        route->spared[call->fsm.spared_phase]++;
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
    metrics->bytes[DIRECTION_UP] += call->request.content_bytes;
    metrics->bytes[DIRECTION_DOWN] += call->exchange->received;
}

/* The route's histogram; the first call to end makes it. NULL: no memory, or the call's policy is an older one. */
static struct duration_histogram *find_histogram(const struct call *call)
{
    const struct call_context *context = call->context;
    struct duration_histogram **histogram = &context->metrics->histograms[call->route->index];

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

static void add_to_histogram(const struct call *call, enum cause cause, enum outcome outcome, int64_t now_ns)
{
    struct duration_histogram *histogram = find_histogram(call);
    int64_t released_ns = call->released_ns != 0 ? call->released_ns : now_ns;
    int64_t took_ns = now_ns - call->fsm.begun_ns;
    int64_t held_ns = call->granted_ns != 0 ? released_ns - call->granted_ns : 0;

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
    if (call->head == NULL)
        return;
    stuck->method_len = call->method_len < CALL_TOP_METHOD ? call->method_len : CALL_TOP_METHOD;
    memcpy(stuck->method, call->head, stuck->method_len);
}

static void count(struct call *call, enum cause cause, enum phase phase, int64_t now_ns)
{
    enum outcome outcome = cause_outcome(cause);

    count_start(call, outcome);
    if (outcome == OUTCOME_NOT_A_CALL) {
        call->context->metrics->process.refused[cause]++;
    } else if (call->counted) {
        count_outcome(call, cause, phase);
        observe(call, cause, now_ns);
        add_to_histogram(call, cause, outcome, now_ns);
    }
    if (outcome == OUTCOME_STUCK)
        remember_stuck(call, cause, phase, now_ns);
}

/* The answer is small: a socket that does not take it whole belongs to a caller who has not read for a long time. */
static size_t write_once(struct transport *transport, struct span text)
{
    struct iovec piece = {(char *)(uintptr_t)text.ptr, text.len};
    size_t written;

    PRE(text.len != 0);
    return transport_write(transport, &piece, 1, &written) == ST_OK ? written : 0;
}

/* A connection that is not kept lingers if the caller may still be talking. */
static enum downstream_next close_or_linger(const struct downstream *downstream, bool request_is_whole)
{
    bool silent = request_is_whole && buffer_len(&downstream->in) == 0 && !downstream->transport.can_read;

    return silent ? DOWNSTREAM_CLOSE : DOWNSTREAM_LINGER;
}

/* Throws away what has come of the request. True: that was the whole rest. */
static bool discard_request(struct call *call)
{
    struct buffer *in = &call->downstream->in;

    buffer_consume(in, h1_reader_discard(&call->request, buffer_span(in)));
    return call->request.ended;
}

static enum downstream_next say(struct call *call, enum cause cause, enum phase phase, int64_t now_ns,
                                const char *detail)
{
    struct call_context *context = call->context;
    struct downstream *downstream = call->downstream;
    bool whole = call->request.open && discard_request(call);
    bool keep = whole && call->keep_alive && !cause_is_shutdown(cause);
    struct text text = text_over(context->text, context->text_cap);
    size_t written;
    struct local_reply reply = {
        .cause = cause,
        .phase = phase,
        .detail = detail,
        .upstream = call->config->name,
        .fsm = &call->fsm,
        .now_ns = now_ns,
        .call_id = call->id,
        .date = context_date(context),
        .trace = trace_is_set(&call->trace) ? &call->trace : NULL,
        .is_call = cause_outcome(cause) != OUTCOME_NOT_A_CALL,
        .head_only = call->method == HTTP1_HEAD && call->request.open,
        .keep_alive = keep,
        .minor = call->minor,
        .timed = call->config->server_timing,
    };

    local_reply_put(&text, &reply);
    POST(!text.overflow); /* the scratch text has room for it */
    written = write_once(&downstream->transport, text_span(&text));
    call->status = written != 0 ? cause_status(cause) : 0;
    if (written != text.len)
        return DOWNSTREAM_RESET;
    return keep ? DOWNSTREAM_KEEP : close_or_linger(downstream, whole);
}

/* An upstream that answered early may not have taken all of the content: what it left behind is no request. */
static enum downstream_next after_response(struct call *call)
{
    bool whole = call->uploaded || discard_request(call);

    if (whole && call->keep_alive)
        return DOWNSTREAM_KEEP;
    return close_or_linger(call->downstream, whole);
}

/* Nothing has gone that an answer would contradict: nothing of the final response, no half of an interim one. */
static bool can_be_told(const struct call *call)
{
    return call->response.head.len == (call->answering ? call->answer_len : 0);
}

static enum downstream_next tell_caller(struct call *call, enum cause cause, enum phase phase, int64_t now_ns,
                                        const char *detail)
{
    if (cause == CAUSE_NONE)
        return after_response(call);
    if (!call_has_answered(call))
        call->status = 0;
    if (cause == CAUSE_CALLER_GONE || !can_be_told(call))
        return DOWNSTREAM_RESET;
    return say(call, cause, phase, now_ns, detail);
}

/* As far as the request has come, which is in the buffer still. */
static void note_request(struct call *call)
{
    struct span bytes = buffer_span(&call->downstream->in), method, target;
    uint32_t start = call->downstream->scan.start;

    if (bytes.len <= start)
        return;
    http1_request_words((struct span){bytes.ptr + start, bytes.len - start}, &method, &target);
    call_note_request(call, method, target);
}

/* Where nobody knows better: what has become of TLS on the connection, of which the call is still in possession. */
static const char *find_detail(const struct call *call, const char *detail, char why[TLS_WHY_MAX])
{
    if (detail == NULL && call->upstream != NULL &&
        tls_transport_why(&call->upstream->transport, why, TLS_WHY_MAX))
        return why;
    return detail;
}

void call_end(struct call *call, enum cause cause, const char *detail)
{
    call_end_over(call, cause, detail, SPAN_LIT(""));
}

void call_end_over(struct call *call, enum cause cause, const char *detail, struct span odd)
{
    struct call_context *context = call->context;
    int64_t now_ns = loop_now(context->loop);
    enum phase phase = call->fsm.phase;
    enum downstream_next next;
    char why[TLS_WHY_MAX];

    PRE(cause < CAUSE_COUNT && !call_is_over(call)); /* there is one way out, once */
    call_try_over(call, cause);
    if (cause != CAUSE_NONE) {
        call_count_unfinished_head(call);
        call_doubt_connections(call, cause);
        call->reusable = false;
        detail = find_detail(call, detail, why);
        ghost_follow(call, cause);
    }
    if (!call_move(call, final_states[cause_outcome(cause)]))
        return;
    if (call->head == NULL && !call->request.open)
        note_request(call);
    next = tell_caller(call, cause, phase, now_ns, detail);
    count(call, cause, phase, now_ns);
    if (context->log != NULL && (call->counted || cause != CAUSE_CALLER_GONE))
        call_log(call, cause, phase, now_ns, detail, odd);
    PRE(call->terms->users > 0);
    list_remove(&call->place.node);
    call->terms->users--;
    h1_exchange_fini(&call->h1);
    loop_free_later(context->loop, &call->deferred_free, free_deferred);
    downstream_call_over(call->downstream, next);
}
