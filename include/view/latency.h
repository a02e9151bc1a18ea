#ifndef CURFEW_VIEW_LATENCY_H
#define CURFEW_VIEW_LATENCY_H

#include "view/durations.h"

/*
 * How long the calls to an upstream took that ended between two pages of GET /durations: those that completed, at most
 * 1/16 above it, and those that were cut, on the average of their route; none above the longest that its policy
 * allows. Calls that failed, were refused or given up say nothing of how long the API takes.
 */
struct latency {
    double p50, p99; /* seconds; NaN: no call has ended, or there is no memory */
};

/*
 * `of` says what took so long, as GET /durations names it: "calls", or of streams "first_event". `before` may be NULL:
 * since they are counted; `now` may be: nothing is known.
 */
struct latency latency_between(const struct durations *now, const struct durations *before,
                               const char *upstream, const char *of);

#endif
