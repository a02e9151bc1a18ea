/* What stays of a call that has ended: counters, how long it took, and its place among those that got stuck. */
#include <string.h>

#include "base/invariant.h"
#include "call/call.h"
#include "call/call_grpc.h"
#include "call/call_progress.h"
#include "call/call_tunnel.h"
#include "call/context.h"

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

/* Does the pool of its last try ask how long calls take from their permits on, and has it had one? */
static bool times_its_start(const struct call *call)
{
    return call->try->granted_ns != 0 && call->try->plan.route->times_starts;
}

/* NULL: no memory. */
static struct start_times *find_start_times(const struct call *call)
{
    struct start_times **times = &call->context->metrics->start_times[call->try->plan.route->index];

    if (*times == NULL)
        *times = start_times_new();
    return *times;
}

/* `bucket`: of how long it took in all, which is the same where it has not waited. */
static void count_start_time(const struct call *call, uint32_t bucket, int64_t now_ns)
{
    struct start_times *times = find_start_times(call);

    if (times == NULL)
        return;
    if (call->try->granted_ns == call->fsm.begun_ns)
        start_times_count_in(times, bucket);
    else
        start_times_count(times, now_ns - call->try->granted_ns);
}

static void count_cut_start(const struct call *call, int64_t now_ns)
{
    struct start_times *times = find_start_times(call);

    if (times != NULL)
        start_times_count_cut(times, now_ns - call->try->granted_ns);
}

static void add_to_histogram(const struct call *call, enum cause cause, enum outcome outcome, int64_t now_ns)
{
    struct duration_histogram *histogram =
        find_histogram(call, call_is_stream(call) ? SPREAD_STREAMS : SPREAD_CALLS);
    int64_t took_ns = now_ns - call->fsm.begun_ns;
    int64_t held_ns = try_held_ns(call->try, now_ns) + (call->retries != NULL ? call->retries->held_ns : 0);
    uint32_t bucket = duration_histogram_bucket_of(took_ns);

    if (outcome == OUTCOME_COMPLETED) {
        if (times_its_start(call))
            count_start_time(call, bucket, now_ns);
        if (histogram == NULL)
            return;
        duration_histogram_count_in(histogram, bucket, took_ns, held_ns);
        if (call->fsm.spared_cause != CAUSE_NONE)
            histogram->spared++;
    } else {
        if (cause == CAUSE_DEADLINE && times_its_start(call))
            count_cut_start(call, now_ns);
        if (histogram != NULL)
            duration_histogram_count_end(histogram, duration_histogram_end_of(cause, outcome), took_ns,
                                         held_ns);
    }
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

void call_count(struct call *call, enum cause cause, enum phase phase, int64_t now_ns)
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
