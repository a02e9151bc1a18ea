#ifndef CURFEW_STATS_START_TIMES_H
#define CURFEW_STATS_START_TIMES_H

#include <stdint.h>

/*
 * How long the calls of a route have lately taken from the permit on: what a call that is still to begin needs. The
 * wait for a permit is not in it, or a queue that grows would make calls look slow, and a wait too short, for which the
 * queue alone is to blame.
 *
 * A call that is cut says that it would have taken longer. Left out, it would make calls look the quicker the less time
 * they are left, and what waits for less than they need is cut even more often: such a call counts as one of those that
 * took longer than it had (Efron's redistribution to the right).
 *
 * A histogram that forgets: each time it is full, all counts are halved, so that the last few thousand calls count
 * most. Its buckets are those of stats/duration_histogram. The median and the 95th percentile are found anew for each
 * hundred calls. A plain block, about 1 KiB, that one thread writes.
 */
#define START_TIMES_KNOWN 100u  /* with fewer calls nothing is said; after so many more it is found anew */
#define START_TIMES_FULL  2000u /* calls that are counted before they are halved */

struct start_times;

/* Heap; NULL without memory. mem_free frees it. */
struct start_times *start_times_new(void) __attribute__((warn_unused_result));

/* One has completed. */
void start_times_count(struct start_times *times, int64_t took_ns);
/* The same, of which the bucket in stats/duration_histogram is known. */
void start_times_count_in(struct start_times *times, uint32_t bucket);

/* One was cut by its deadline when it had had so long. */
void start_times_count_cut(struct start_times *times, int64_t had_ns);

/* The end of the bucket that has it; -1: not enough calls are known, or `times` is NULL. */
int64_t start_times_median_ns(const struct start_times *times) __attribute__((pure));
int64_t start_times_p95_ns(const struct start_times *times) __attribute__((pure));

#endif
