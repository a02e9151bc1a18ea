#ifndef CURFEW_CORE_SPREAD_H
#define CURFEW_CORE_SPREAD_H

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
#define SPREAD_UNIT_NS   INT64_C(64000)
#define SPREAD_STEPS     16u
#define SPREAD_BUCKETS   448u

#define SPREAD_STEP_BITS 4
_Static_assert(1u << SPREAD_STEP_BITS == SPREAD_STEPS, "steps are a power of two");

struct spread_bucket {
    uint64_t calls;
    uint64_t held_ns; /* permits by these calls, all together */
};

/* Only of calls that have completed is it known how long they take; of the others there is one bucket each. */
enum spread_end {
    SPREAD_CUT,       /* at a deadline or limit, or at the ceiling of what is observed */
    SPREAD_REJECTED,  /* never tried */
    SPREAD_ABANDONED, /* before that, by its caller or an operator */
    SPREAD_FAILED,
    SPREAD_ENDS
};

struct spread {
    const void *terms;  /* of whoever counts: the policy that these calls had */
    int64_t since_ns;   /* what ended before is not in it */
    int64_t longest_ns; /* of the completed calls */
    uint64_t cut_ns;    /* those that were cut took so long, all together */
    uint64_t spared;    /* completed, though their policy, observed, would have cut them */
    struct spread_bucket ends[SPREAD_ENDS];
    struct spread_bucket completed[SPREAD_BUCKETS];
};

/* Heap; NULL without memory. mem_free frees it. */
struct spread *spread_new(const void *terms, int64_t since_ns) __attribute__((warn_unused_result));

/* The bucket of a duration, which is not below 0. */
static inline uint32_t spread_bucket_of(int64_t ns)
{
    uint64_t units = (uint64_t)ns / (uint64_t)SPREAD_UNIT_NS;
    uint32_t power, bucket;

    if (units < SPREAD_STEPS)
        return (uint32_t)units;
    power = 63u - (uint32_t)__builtin_clzll(units) - SPREAD_STEP_BITS;
    bucket = power * SPREAD_STEPS + (uint32_t)(units >> power);
    return bucket < SPREAD_BUCKETS ? bucket : SPREAD_BUCKETS - 1;
}

/* Where a bucket ends: it holds what is shorter than that. */
int64_t spread_bound_ns(uint32_t bucket) __attribute__((const));

/* A call has completed; inlined, because every call comes by here. */
static inline void spread_count(struct spread *spread, int64_t took_ns, int64_t held_ns)
{
    struct spread_bucket *bucket = &spread->completed[spread_bucket_of(took_ns)];

    bucket->calls++;
    bucket->held_ns += (uint64_t)held_ns;
    if (took_ns > spread->longest_ns)
        spread->longest_ns = took_ns;
}

/* A call has ended in another way. */
void spread_count_end(struct spread *spread, enum spread_end end, int64_t took_ns, int64_t held_ns);

/* sum += part; `since` is the earlier of both. */
void spread_add(struct spread *sum, const struct spread *part);

#endif
