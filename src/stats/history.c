#include "stats/history.h"

#include "base/invariant.h"
#include "stats/history_quantile.h"

static const struct history_sample gap = {
    .p50_us = HISTORY_NONE,
    .p99_us = HISTORY_NONE,
    .held = HISTORY_NONE,
    .waiting = HISTORY_NONE,
};

void history_begin(struct history *history, const struct history_totals *totals)
{
    history->last = *totals;
    history->newest = -1;
    history->count = 0;
    /* All of its memory is touched now, so that it does not seem to grow for 15 minutes. */
    for (uint32_t i = 0; i < HISTORY_SECONDS; i++)
        history->samples[i] = gap;
}

/* ---- counters --------------------------------------------------------------------------------------------- */

void history_add_route(struct history_totals *totals, const struct route_metrics *route)
{
    totals->completed += metric_sum(route->completed, CLASS_COUNT);
    totals->failed += metric_sum(route->failed, CAUSE_COUNT);
    totals->rejected += metric_sum(route->rejected, CAUSE_COUNT);
    totals->abandoned += metric_sum(route->abandoned, PHASE_COUNT);
    for (uint32_t phase = 0; phase < PHASE_COUNT; phase++)
        totals->stuck[phase] += route->stuck[phase];
}

void history_add_upstream(struct history_totals *totals, const struct upstream_metrics *upstream)
{
    totals->server_errors += code_counts_server_errors(&upstream->responses);
    totals->too_many += code_counts_of(&upstream->responses, 429);
    for (uint32_t i = 0; i < METRIC_BUCKETS; i++)
        totals->duration.bucket[i] += upstream->duration.bucket[i];
}

static bool have_begun_anew(const struct history_totals *now, const struct history_totals *last)
{
    bool anew = now->completed < last->completed || now->failed < last->failed ||
                now->rejected < last->rejected || now->abandoned < last->abandoned ||
                now->server_errors < last->server_errors || now->too_many < last->too_many;

    for (uint32_t phase = 0; phase < PHASE_COUNT; phase++)
        anew |= now->stuck[phase] < last->stuck[phase];
    for (uint32_t i = 0; i < METRIC_BUCKETS; i++)
        anew |= now->duration.bucket[i] < last->duration.bucket[i];
    return anew;
}

/* ---- samples ------------------------------------------------------------------------------------------------ */

static uint32_t clipped(uint64_t count)
{
    return count < HISTORY_NONE ? (uint32_t)count : HISTORY_NONE - 1;
}

static struct history_sample difference(const struct history_totals *now, const struct history_totals *last,
                                        const struct history_state *state)
{
    struct history_sample sample = {
        .completed = clipped(now->completed - last->completed),
        .failed = clipped(now->failed - last->failed),
        .rejected = clipped(now->rejected - last->rejected),
        .abandoned = clipped(now->abandoned - last->abandoned),
        .server_errors = clipped(now->server_errors - last->server_errors),
        .too_many = clipped(now->too_many - last->too_many),
        .held = state->held,
        .waiting = state->waiting,
    };
    uint64_t ended[METRIC_BUCKETS];

    PRE(!have_begun_anew(now, last)); /* counters only grow */
    for (uint32_t phase = 0; phase < PHASE_COUNT; phase++)
        sample.stuck[phase] = clipped(now->stuck[phase] - last->stuck[phase]);
    for (uint32_t i = 0; i < METRIC_BUCKETS; i++)
        ended[i] = now->duration.bucket[i] - last->duration.bucket[i];
    sample.p50_us = history_quantile_us(ended, 0.5, state->longest_ns);
    sample.p99_us = history_quantile_us(ended, 0.99, state->longest_ns);
    return sample;
}

static uint64_t calls_in(const struct history_sample *sample)
{
    uint64_t calls = (uint64_t)sample->completed + sample->failed + sample->rejected + sample->abandoned;

    for (uint32_t phase = 0; phase < PHASE_COUNT; phase++)
        calls += sample->stuck[phase];
    return calls;
}

static uint32_t higher(uint32_t a, uint32_t b)
{
    if (a == HISTORY_NONE || b == HISTORY_NONE)
        return a == HISTORY_NONE ? b : a;
    return a > b ? a : b;
}

/* The mean of two medians, weighted by their calls. */
static uint32_t between(const struct history_sample *a, const struct history_sample *b)
{
    uint64_t a_calls = calls_in(a), b_calls = calls_in(b);

    if (a->p50_us == HISTORY_NONE || b->p50_us == HISTORY_NONE || a_calls + b_calls == 0)
        return a->p50_us == HISTORY_NONE ? b->p50_us : a->p50_us;
    return (uint32_t)(((double)a->p50_us * (double)a_calls + (double)b->p50_us * (double)b_calls) /
                      (double)(a_calls + b_calls));
}

static void add(struct history_sample *sum, const struct history_sample *part)
{
    sum->p50_us = between(sum, part); /* while the sum has its own calls alone */
    sum->p99_us = higher(sum->p99_us, part->p99_us);
    sum->held = higher(sum->held, part->held);
    sum->waiting = higher(sum->waiting, part->waiting);
    sum->completed = clipped((uint64_t)sum->completed + part->completed);
    sum->failed = clipped((uint64_t)sum->failed + part->failed);
    sum->rejected = clipped((uint64_t)sum->rejected + part->rejected);
    sum->abandoned = clipped((uint64_t)sum->abandoned + part->abandoned);
    sum->server_errors = clipped((uint64_t)sum->server_errors + part->server_errors);
    sum->too_many = clipped((uint64_t)sum->too_many + part->too_many);
    for (uint32_t phase = 0; phase < PHASE_COUNT; phase++)
        sum->stuck[phase] = clipped((uint64_t)sum->stuck[phase] + part->stuck[phase]);
}

/* ---- the ring ------------------------------------------------------------------------------------------------ */

static void push(struct history *history, const struct history_sample *sample)
{
    history->newest++;
    history->samples[history->newest % HISTORY_SECONDS] = *sample;
    if (history->count < HISTORY_SECONDS)
        history->count++;
}

static void skip_to(struct history *history, int64_t second)
{
    if (history->count == 0)
        history->newest = second - 1;
    else if (second - history->newest > (int64_t)HISTORY_SECONDS)
        history->newest = second - (int64_t)HISTORY_SECONDS - 1; /* all that the ring holds is gap */
    while (history->newest < second - 1)
        push(history, &gap);
    POST(history->newest == second - 1);
}

void history_put(struct history *history, int64_t second, const struct history_totals *totals,
                 const struct history_state *state)
{
    static const struct history_totals nothing;
    bool anew = have_begun_anew(totals, &history->last);
    struct history_sample sample = difference(totals, anew ? &nothing : &history->last, state);

    history->last = *totals;
    if (history->count != 0 && second <= history->newest) {
        add(&history->samples[history->newest % HISTORY_SECONDS], &sample);
        return;
    }
    skip_to(history, second);
    push(history, &sample);
}

int64_t history_oldest(const struct history *history)
{
    PRE(history->count <= HISTORY_SECONDS);
    return history->count != 0 ? history->newest - history->count + 1 : 0;
}

struct history_sample history_sum(const struct history *history, int64_t from, int64_t to)
{
    struct history_sample sum = gap;
    int64_t oldest = history_oldest(history);

    for (int64_t second = from > oldest ? from : oldest;
         history->count != 0 && second < to && second <= history->newest; second++)
        add(&sum, &history->samples[second % HISTORY_SECONDS]);
    return sum;
}
