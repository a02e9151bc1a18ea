#ifndef CURFEW_CORE_RATE_H
#define CURFEW_CORE_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/invariant.h"

/*
 * A rate of starts with a burst: the generic cell rate algorithm (ITU-T I.371, Annex A), which is a token bucket that
 * keeps one instant in place of a count. Starts are `period` apart on average; after a rest, up to `burst` of them come
 * at once. In any window of length w there are at most burst + w / period of them. Pure: time comes in, and may come
 * in a little out of order.
 */
struct rate {
    int64_t period_ns; /* 0: no rate, every start is in its slot */
    int64_t slack_ns;  /* how far starts may run ahead of the period: (burst - 1) * period */
    int64_t next_ns;   /* when a start is due by the period alone (the "theoretical arrival time") */
};

#define RATE_BURST_MAX UINT32_C(1000000)

/* Between two starts, rounded up: `limit` of them, at least 1, in `per_ns`, an hour at most. */
int64_t rate_period_ns(uint32_t limit, int64_t per_ns) __attribute__((const));

/*
 * From now on this is the rate; period 0: none. When the next start is due stays as it was, so that a reload is no
 * second burst, but is never later than after a whole burst under the new rate.
 */
void rate_set(struct rate *rate, int64_t period_ns, uint32_t burst, int64_t now_ns);

/* The earliest instant, not before `now_ns`, for a start that comes behind `ahead` others. */
int64_t rate_slot_ns(const struct rate *rate, uint32_t ahead, int64_t now_ns) __attribute__((pure));

/* May one start now? */
static inline bool rate_is_open(const struct rate *rate, int64_t now_ns)
{
    return rate->period_ns == 0 || rate->next_ns - rate->slack_ns <= now_ns;
}

/* One starts now, whether its slot has come or not. */
void rate_take(struct rate *rate, int64_t now_ns);

/* Of a rate that there is: one starts now, if it may; rate_is_open and rate_take in one. */
static inline __attribute__((warn_unused_result)) bool rate_try(struct rate *rate, int64_t now_ns)
{
    PRE(rate->period_ns != 0);
    if (rate->next_ns - rate->slack_ns > now_ns)
        return false;
    rate->next_ns = (rate->next_ns > now_ns ? rate->next_ns : now_ns) + rate->period_ns;
    return true;
}

#endif
