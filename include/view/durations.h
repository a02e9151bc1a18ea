#ifndef CURFEW_VIEW_DURATIONS_H
#define CURFEW_VIEW_DURATIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/* What GET /durations has said, of one process since it began to count. Times are microseconds. */
struct duration_bucket {
    int64_t upto_us; /* took less than that; rising */
    uint64_t calls;
    double held_us; /* permits by them, all together */
};

/* Calls that did not complete. */
struct duration_end {
    uint64_t calls;
    double held_us;
    double took_us; /* all together; only of those that were cut */
};

struct duration_route {
    const char *upstream, *route, *pool; /* terminated; pool may be "?" */
    const char *of; /* what is counted: "calls", "streams"; of streams "first_event", "idle". Terminated */
    int64_t deadline_us;
    int64_t longest_allowed_us; /* the deadline, or the ceiling while it is observed */
    bool observed;
    int64_t for_us; /* how long it has been counted; 0: no call has ended yet */
    int64_t longest_us;
    uint64_t completed; /* the buckets' */
    uint64_t spared;    /* completed, though the policy, which is observed, would have cut them */
    struct duration_end cut, rejected, abandoned, failed;
    struct duration_bucket *buckets;
    uint32_t bucket_count;
};

struct duration_pool {
    const char *name;
    uint64_t size, held_peak;
};

struct durations {
    struct duration_route *routes;
    struct duration_pool *pools;
    uint32_t route_count, pool_count;
    void *json; /* holds the texts */
};

/* False: this is not what GET /durations says, or there is no memory. durations_free is due in any case. */
bool durations_read(struct durations *durations, struct span json) __attribute__((warn_unused_result));
void durations_free(struct durations *durations);

#endif
