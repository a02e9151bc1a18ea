#include "view/advise.h"

#include <string.h>

#include "base/invariant.h"
#include "base/number.h"

/* One call in a thousand may find all permits held. */
#define ALL_HELD      0.001
#define PERMITS_MOST  1e6
/* Weights below that add nothing to a sum in which the largest is 1. */
#define WEIGHT_LEAST  1e-18
#define RULE_OF_THREE 3
#define RATE_DECIMALS 4
/* The longest queue that there is. */
#define QUEUE_MAX     1e6
#define PER_TRY_PPM   990000u
#define RATE_MAX_PPM  (ADVISE_PPM / 2)
#define US_PER_S      1e6

/*
 * part of a million of `all`, rounded down: without overflow up to 2^44 calls, more than a year of a million a
 * second
 */
static uint64_t share_of(uint64_t all, uint64_t ppm)
{
    return all / ADVISE_PPM * ppm + all % ADVISE_PPM * ppm / ADVISE_PPM;
}

uint64_t advise_calls(const struct duration_route *route)
{
    return route->completed + route->cut.calls;
}

int64_t advise_round_up(int64_t us)
{
    int64_t unit = 1;

    while (us / unit >= 1000)
        unit *= 10;
    return (us + unit - 1) / unit * unit;
}

/*
 * The end of the first bucket beyond which at most `allowed` calls lie, or just above the longest call, if that is
 * earlier; *beyond is how many do.
 */
static int64_t bound_for(const struct duration_route *route, uint64_t allowed, uint64_t *beyond)
{
    uint64_t left = route->completed;
    int64_t bound_us;

    for (uint32_t i = 0; i < route->bucket_count; i++) {
        left -= route->buckets[i].calls;
        if (left > allowed)
            continue;
        *beyond = left;
        bound_us = route->buckets[i].upto_us;
        return left == 0 && route->longest_us < bound_us ? route->longest_us + 1 : bound_us;
    }
    *beyond = 0;
    return 0;
}

struct advise_deadline advise_deadline(const struct duration_route *route, uint64_t rate_ppm)
{
    struct advise_deadline advice = {.rate_ppm = rate_ppm,
                                     .needed = (RULE_OF_THREE * ADVISE_PPM + rate_ppm - 1) / rate_ppm};
    uint64_t all = advise_calls(route), allowed = share_of(all, rate_ppm), beyond;
    /* What was cut may have been about to complete, but not what has reached the ceiling. */
    uint64_t doubtful = route->observed ? 0 : route->cut.calls;

    if (all < advice.needed || route->completed == 0) {
        advice.answer = ADVISE_TOO_FEW;
        return advice;
    }
    if (doubtful > allowed) {
        advice.answer = ADVISE_BEYOND;
        return advice;
    }
    advice.deadline_us = advise_round_up(bound_for(route, allowed - doubtful, &beyond));
    /* Nothing that has completed took longer than what is in force. */
    if (!route->observed && advice.deadline_us > route->deadline_us)
        advice.deadline_us = route->deadline_us;
    advice.false_share = (double)(beyond + doubtful) / (double)all;
    advice.cut_share = (double)(beyond + route->cut.calls) / (double)all;
    return advice;
}

bool advise_is_in_doubt(const struct duration_route *route, uint64_t rate_ppm)
{
    return route->abandoned.calls > share_of(advise_calls(route), rate_ppm);
}

void advise_present(const struct duration_route *route, double *false_share, double *cut_share)
{
    double all = (double)advise_calls(route);
    uint64_t spared = route->observed ? route->spared : 0;

    *false_share = route->observed || route->cut.calls == 0 ? (double)spared / all : -1;
    *cut_share = (double)(spared + route->cut.calls) / all;
}

int64_t advise_percentile_us(const struct duration_route *route, uint64_t share_ppm)
{
    uint64_t beyond;

    if (route->completed * (ADVISE_PPM - share_ppm) < ADVISE_PPM)
        return 0;
    return bound_for(route, share_of(route->completed, ADVISE_PPM - share_ppm), &beyond);
}

int64_t advise_per_try_us(const struct duration_route *route)
{
    int64_t p99_us = strcmp(route->of, "calls") == 0 ? advise_percentile_us(route, PER_TRY_PPM) : 0;

    return p99_us <= route->deadline_us / 2 ? advise_round_up(p99_us) : 0;
}

/* ---- pools ---------------------------------------------------------------------------------------------------- */

/* Sums of weights that are proportional to the probabilities of a Poisson distribution: 1 at its mode. */
static double sum_below(double mean, uint64_t mode)
{
    double sum = 0, weight = 1;

    for (uint64_t k = mode; k > 0 && weight > WEIGHT_LEAST; k--)
        sum += weight *= (double)k / mean;
    return sum;
}

static double sum_from(double mean, uint64_t mode)
{
    double sum = 0, weight = 1;

    for (uint64_t k = mode; weight > WEIGHT_LEAST; k++) {
        sum += weight;
        weight *= mean / (double)(k + 1);
    }
    return sum;
}

uint64_t advise_permits(double mean)
{
    uint64_t n;
    double all, left, weight = 1;

    if (!(mean > 0))
        return 1;
    if (mean > PERMITS_MOST)
        mean = PERMITS_MOST;
    n = (uint64_t)mean;
    left = sum_from(mean, n);
    all = sum_below(mean, n) + left;
    /* From the mode up: left / all is the probability that n or more are held. */
    while (left / all > ALL_HELD) {
        left -= weight;
        weight *= mean / (double)++n;
    }
    return n > 0 ? n : 1;
}

/* By calls that no deadline of ours ended, and that did not complete. */
static double held_by_others(const struct duration_route *route)
{
    return route->abandoned.held_us + route->failed.held_us + route->rejected.held_us;
}

static double held_by_all(const struct duration_route *route)
{
    double held_us = route->cut.held_us + held_by_others(route);

    for (uint32_t i = 0; i < route->bucket_count; i++)
        held_us += route->buckets[i].held_us;
    return held_us;
}

static double smaller(double a, double b)
{
    return a < b ? a : b;
}

/* With a deadline, a call that takes longer holds its permit for as long as that at most. */
static double held_within(const struct duration_route *route, int64_t deadline_us)
{
    double held_us = held_by_others(route);

    for (uint32_t i = 0; i < route->bucket_count; i++) {
        const struct duration_bucket *bucket = &route->buckets[i];

        held_us += smaller(bucket->held_us, (double)bucket->calls * (double)deadline_us);
    }
    return held_us + smaller(route->cut.held_us, (double)route->cut.calls * (double)deadline_us);
}

static void add_route(const struct duration_route *route, uint64_t rate_ppm, struct advise_pool *out)
{
    struct advise_deadline deadline = advise_deadline(route, rate_ppm);
    double for_us = (double)route->for_us, held_us = held_by_all(route);
    bool has_deadline = deadline.answer == ADVISE_KNOWN;
    uint64_t calls = advise_calls(route) + route->abandoned.calls + route->failed.calls;

    out->rate += (double)calls / for_us * US_PER_S;
    out->mean_held += held_us / for_us;
    out->mean_held_then += (has_deadline ? held_within(route, deadline.deadline_us) : held_us) / for_us;
    out->with_deadlines = out->with_deadlines || has_deadline;
    out->rejected += route->rejected.calls;
}

uint64_t advise_queue(uint64_t size, int64_t deadline_us, int64_t p95_us)
{
    double places = (double)size * (double)(deadline_us - p95_us) / (double)p95_us;

    PRE(p95_us > 0);
    return (uint64_t)(places < 0 ? 0 : places > QUEUE_MAX ? QUEUE_MAX : places);
}

static void add_queue(const struct duration_route *route, uint64_t size, struct advise_pool *out)
{
    int64_t p95_us = advise_percentile_us(route, ADVISE_QUEUE_PPM);
    uint64_t places;

    if (p95_us <= 0)
        return;
    places = advise_queue(size, route->deadline_us, p95_us);
    if (!out->with_queue || places < out->queue)
        out->queue = places;
    if (p95_us < route->deadline_us && (out->least_us == 0 || p95_us < out->least_us))
        out->least_us = p95_us;
    out->with_queue = true;
}

bool advise_pool(const struct durations *durations, const struct duration_pool *pool, uint64_t rate_ppm,
                 struct advise_pool *out)
{
    *out = (struct advise_pool){0};
    for (uint32_t i = 0; i < durations->route_count; i++) {
        const struct duration_route *route = &durations->routes[i];

        if (strcmp(route->pool, pool->name) != 0 || route->for_us <= 0)
            continue;
        add_route(route, rate_ppm, out);
        add_queue(route, pool->size, out);
    }
    if (out->rate <= 0)
        return false;
    out->held_s = out->mean_held / out->rate;
    out->size = advise_permits(out->mean_held);
    out->size_then = advise_permits(out->mean_held_then);
    return true;
}

/* ---- rates ---------------------------------------------------------------------------------------------------- */

bool advise_read_rate(struct span text, uint64_t *rate_ppm)
{
    struct span whole, decimals = {"", 0};
    const char *point;
    uint64_t percent, part = 0;

    if (text.len < 2 || text.ptr[text.len - 1] != '%')
        return false;
    text.len--;
    point = memchr(text.ptr, '.', text.len);
    whole = (struct span){text.ptr, point != NULL ? (size_t)(point - text.ptr) : text.len};
    if (point != NULL)
        decimals = (struct span){point + 1, text.len - whole.len - 1};
    if (number_u64(whole, &percent) != NUMBER_OK || percent > 100 || decimals.len > RATE_DECIMALS ||
        (point != NULL && number_u64(decimals, &part) != NUMBER_OK))
        return false;
    for (size_t i = decimals.len; i < RATE_DECIMALS; i++)
        part *= 10;
    *rate_ppm = percent * 10000 + part;
    return *rate_ppm > 0 && *rate_ppm <= RATE_MAX_PPM;
}
