#ifndef CURFEW_STATS_DURATION_HISTOGRAM_H
#define CURFEW_STATS_DURATION_HISTOGRAM_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How long the calls of a route took, and for how long they held permits: fine enough to choose a deadline by one
 * call in a thousand, which curfew_call_duration_seconds is not. Log-linear: up to 1 ms in steps of 64 us, then 16
 * steps for each power of two, so a bucket's end is at most 1/16 above what is in it; up to 38 hours, the last
 * bucket takes what is longer.
 *
 * A plain block, about 7 KiB, that one thread writes.
 */
#define DURATION_HISTOGRAM_UNIT_NS   INT64_C(64000)
#define DURATION_HISTOGRAM_STEPS     16u
#define DURATION_HISTOGRAM_BUCKETS   448u

#define DURATION_HISTOGRAM_STEP_BITS 4
_Static_assert(1u << DURATION_HISTOGRAM_STEP_BITS == DURATION_HISTOGRAM_STEPS, "steps are a power of two");

struct duration_histogram_bucket {
    uint64_t calls;
    uint64_t held_ns; /* permits by these calls, all together */
};

/* Only of calls that have completed is it known how long they take; of the others there is one bucket each. */
enum duration_histogram_end {
    DURATION_HISTOGRAM_CUT,       /* at a deadline or limit, or at the ceiling of what is observed */
    DURATION_HISTOGRAM_REJECTED,  /* never tried */
    DURATION_HISTOGRAM_ABANDONED, /* before that, by its caller or an operator */
    DURATION_HISTOGRAM_FAILED,
    DURATION_HISTOGRAM_ENDS
};

struct duration_histogram {
    const void *terms;  /* of whoever counts: the policy that these calls had */
    int64_t since_ns;   /* what ended before is not in it */
    int64_t longest_ns; /* of the completed calls */
    uint64_t cut_ns;    /* those that were cut took so long, all together */
    uint64_t spared;    /* completed, though their policy, observed, would have cut them */
    struct duration_histogram_bucket ends[DURATION_HISTOGRAM_ENDS];
    struct duration_histogram_bucket completed[DURATION_HISTOGRAM_BUCKETS];
};

/* Heap; NULL without memory. mem_free frees it. */
struct duration_histogram *duration_histogram_new(const void *terms, int64_t since_ns)
    __attribute__((warn_unused_result));

/* The bucket of a duration, which is not below 0. */
static inline uint32_t duration_histogram_bucket_of(int64_t ns)
{
    uint64_t units = (uint64_t)ns / (uint64_t)DURATION_HISTOGRAM_UNIT_NS;
    uint32_t power, bucket;

    if (units < DURATION_HISTOGRAM_STEPS)
        return (uint32_t)units;
    power = 63u - (uint32_t)__builtin_clzll(units) - DURATION_HISTOGRAM_STEP_BITS;
    bucket = power * DURATION_HISTOGRAM_STEPS + (uint32_t)(units >> power);
    return bucket < DURATION_HISTOGRAM_BUCKETS ? bucket : DURATION_HISTOGRAM_BUCKETS - 1;
}

/* Where a bucket ends: it holds what is shorter than that. */
int64_t duration_histogram_bound_ns(uint32_t bucket) __attribute__((const));

/* A call has completed, whose bucket is known; inlined, because every call comes by here. */
static inline void duration_histogram_count_in(struct duration_histogram *histogram, uint32_t index,
                                               int64_t took_ns, int64_t held_ns)
{
    struct duration_histogram_bucket *bucket = &histogram->completed[index];

    bucket->calls++;
    bucket->held_ns += (uint64_t)held_ns;
    if (took_ns > histogram->longest_ns)
        histogram->longest_ns = took_ns;
}

/* A call has completed. */
static inline void duration_histogram_count(struct duration_histogram *histogram, int64_t took_ns,
                                            int64_t held_ns)
{
    duration_histogram_count_in(histogram, duration_histogram_bucket_of(took_ns), took_ns, held_ns);
}

/* A call has ended in another way. */
void duration_histogram_count_end(struct duration_histogram *histogram, enum duration_histogram_end end,
                                  int64_t took_ns, int64_t held_ns);

/* sum += part; `since` is the earlier of both. */
void duration_histogram_add(struct duration_histogram *sum, const struct duration_histogram *part);

#endif
