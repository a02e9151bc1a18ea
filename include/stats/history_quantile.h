#ifndef CURFEW_STATS_HISTORY_QUANTILE_H
#define CURFEW_STATS_HISTORY_QUANTILE_H

#include <stdint.h>

#include "stats/metric.h"

/* Of a figure that nobody knows: in a gap, or a percentile of no calls. */
#define HISTORY_NONE UINT32_MAX

/*
 * The quantile q of durations in the buckets of metric_bounds_SECONDS, in microseconds: interpolated within its bucket,
 * as Prometheus does, and never above the longest that any of them may have been. HISTORY_NONE: there are none.
 */
uint32_t history_quantile_us(const uint64_t bucket[METRIC_BUCKETS], double q, int64_t longest_ns);

#endif
