#ifndef CURFEW_CORE_FRESH_CUTS_H
#define CURFEW_CORE_FRESH_CUTS_H

#include <stdint.h>

/*
 * Calls of a pool that were cut a moment ago: what cuts them may still be on its way to the API. Their permits may be
 * used again on the same way there, which keeps the order, but not go to another host, whose request could arrive first
 * (core/block). Each counts for as long as the way takes, and twice that at most. Pure: time comes in.
 */
struct fresh_cuts {
    uint32_t now, before; /* in the span of time that has begun at since_ns, and in the one before it */
    int64_t since_ns, span_ns;
};

/* The longest that one counts, whatever was measured. */
#define FRESH_CUTS_SPAN_NS (INT64_C(1000) * 1000 * 1000)

/* One is cut now, and hears of it in way_ns. */
void fresh_cuts_note(struct fresh_cuts *cuts, int64_t way_ns, int64_t now_ns);
uint32_t fresh_cuts_count(const struct fresh_cuts *cuts, int64_t now_ns) __attribute__((pure));
/* When they are fewer, if no other comes; INT64_MAX: there are none. */
int64_t fresh_cuts_next_ns(const struct fresh_cuts *cuts, int64_t now_ns) __attribute__((pure));

#endif
