#include "stats/history_quantile.h"

#include "base/number.h"

static uint32_t microseconds(double ns)
{
    double us = ns / (double)NS_PER_US;

    return us < (double)(HISTORY_NONE - 1) ? (uint32_t)us : HISTORY_NONE - 1;
}

/*
 * Upper bound of a bucket. Nothing takes longer than the deadline allows, which makes the bucket that it lies in
 * smaller.
 */
static double upper_bound(uint32_t bucket, double lower_ns, int64_t longest_ns)
{
    int64_t bound_ns = bucket < METRIC_BUCKETS - 1 ? metric_bounds_SECONDS[bucket] : longest_ns;
    double upper_ns = (double)(bound_ns < longest_ns ? bound_ns : longest_ns);

    return upper_ns > lower_ns ? upper_ns : lower_ns;
}

uint32_t history_quantile_us(const uint64_t bucket[METRIC_BUCKETS], double q, int64_t longest_ns)
{
    double rank, all = 0, below = 0, lower_ns = 0;

    for (uint32_t i = 0; i < METRIC_BUCKETS; i++)
        all += (double)bucket[i];
    rank = q * all;
    for (uint32_t i = 0; i < METRIC_BUCKETS && rank > 0; i++) {
        double upper_ns = upper_bound(i, lower_ns, longest_ns), here = (double)bucket[i];

        if (here > 0 && below + here >= rank)
            return microseconds(lower_ns + (upper_ns - lower_ns) * (rank - below) / here);
        below += here;
        lower_ns = upper_ns;
    }
    return HISTORY_NONE;
}
