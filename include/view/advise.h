#ifndef CURFEW_VIEW_ADVISE_H
#define CURFEW_VIEW_ADVISE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "view/durations.h"

/*
 * What `curfew advise` works out of how long calls took: deadlines for a chosen rate of false timeouts, and sizes of
 * pools.
 *
 * A false timeout is a call that is cut though it would have completed. Calls that were cut are taken as such as
 * long as it is not known better: without observe, what was cut may have been about to complete; with it, what has
 * not completed by the ceiling never would have. So all figures are bounds: a deadline is never shorter than the
 * rate asks for, and at most 1/16, and rounding up to three digits, longer.
 */

/* Rates are parts per million. */
#define ADVISE_PPM UINT64_C(1000000)

enum advise_answer {
    ADVISE_KNOWN,
    ADVISE_TOO_FEW, /* calls, to tell so small a rate */
    ADVISE_BEYOND,  /* the present deadline has cut more than that: what it cut may have completed later */
};

struct advise_deadline {
    uint64_t rate_ppm;
    enum advise_answer answer;
    uint64_t needed;     /* calls that have to be seen to tell this rate at all */
    int64_t deadline_us; /* the rest: if it is known */
    double
        false_share; /* of all calls that completed or were cut: those that completed, but not within it; at most that */
    double cut_share; /* likewise: those that it would have cut, whether they ever completed or not */
};

/* Calls that tell something about deadlines. */
uint64_t advise_calls(const struct duration_route *route);

/*
 * The shortest deadline that makes at most rate_ppm of the calls false timeouts. By the rule of three, 3 / rate
 * calls are the fewest in which not to have seen one says (with 95 % confidence) that there are no more than that.
 */
struct advise_deadline advise_deadline(const struct duration_route *route, uint64_t rate_ppm);

/*
 * Were more calls than the rate given up before they ended, by their callers or an operator? They may be the slow
 * ones, and count neither as completed nor as cut.
 */
bool advise_is_in_doubt(const struct duration_route *route, uint64_t rate_ppm);

/* The present deadline and limits: what they cut, or would cut. A share of false timeouts below 0: it is not known. */
void advise_present(const struct duration_route *route, double *false_share, double *cut_share);

/*
 * The time within which this share of the completed calls had completed, at most 1/16 above it; 0 if fewer than 1 /
 * (1 - share) completed.
 */
int64_t advise_percentile_us(const struct duration_route *route, uint64_t share_ppm);

/*
 * `per_try` for retries: the time within which 99 of 100 completed calls had completed, waits for a permit included, so
 * that no more than one in a hundred is tried again for it. 0: fewer than 100 have completed, or these are no calls, or
 * two such tries do not fit into the deadline.
 */
int64_t advise_per_try_us(const struct duration_route *route);

struct advise_pool {
    double rate;      /* calls a second that got a permit, */
    double held_s;    /* each for so long on average: */
    double mean_held; /* rate * held_s, Little's law: permits held on average */
    /* So that all but one call in a thousand find a permit free, if they come independently of each other. */
    uint64_t size;
    bool with_deadlines; /* there are deadlines for `rate_ppm` for some of its routes; with them: */
    double mean_held_then;
    uint64_t size_then;
    uint64_t rejected; /* calls: the demand is higher than what was measured */
    bool with_queue;   /* of one of its routes it is known how long calls take; by that: */
    uint64_t queue;    /* so many may wait and still have time for their own call behind the others */
    /*
     * 19 of 20 calls of its quickest route take no longer: who has less left is too late. 0: not known, or as long as
     * the deadline.
     */
    int64_t least_us;
};

/* Of all routes that use the pool. False: no call has held a permit of it. */
bool advise_pool(const struct durations *durations, const struct duration_pool *pool, uint64_t rate_ppm,
                 struct advise_pool *out);

/* The share of a route's calls that a place in a queue is to leave time for. */
#define ADVISE_QUEUE_PPM 950000u

/*
 * How many may wait for `size` permits that calls hold for p95_us, so that the last of them has p95_us of its deadline
 * left: size * (deadline - p95) / p95.
 */
uint64_t advise_queue(uint64_t size, int64_t deadline_us, int64_t p95_us);

/*
 * The smallest number of permits of which all are held when a call comes with a probability of at most one in a
 * thousand, if `mean` are held on average: without a queue, and with calls that come independently, the number is
 * Poisson distributed, whatever the distribution of their durations (M/G/infinity).
 */
uint64_t advise_permits(double mean);

/* Rounded up to three digits. */
int64_t advise_round_up(int64_t us);

/* "1%", "0.1%", "0.0001%" to parts per million; at most 50 %, above 0. */
bool advise_read_rate(struct span text, uint64_t *rate_ppm) __attribute__((warn_unused_result));

#endif
