#ifndef CURFEW_CORE_BACKOFF_H
#define CURFEW_CORE_BACKOFF_H

#include <stdint.h>

/*
 * How long to wait before the `nth` retry (from 1 on): drawn evenly from 0 to the lesser of max_ns and
 * base_ns * (2^nth - 1), both ends included ("full jitter"), so that calls that failed together do not come back
 * together. `random` is 64 random bits.
 */
int64_t backoff_draw(int64_t base_ns, int64_t max_ns, unsigned nth, uint64_t random);

/* The longest that may be drawn. */
int64_t backoff_bound(int64_t base_ns, int64_t max_ns, unsigned nth);

/* Evenly from 0 to `bound`, included. */
int64_t backoff_within(int64_t bound, uint64_t random);

/* Evenly from a tenth (rounded) before to a tenth after `value`, included: of less than 5, `value` itself. */
int64_t backoff_around(int64_t value, uint64_t random);

#endif
