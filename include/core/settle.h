#ifndef CURFEW_CORE_SETTLE_H
#define CURFEW_CORE_SETTLE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * When to act on something that changes several times in a row, as a file does that is written piece by piece, or a
 * certificate and its key: once it has been still for a while, and if it never is, every now and then. Zero: nothing
 * has changed.
 */
#define SETTLE_STILL_NS INT64_C(500000000)
#define SETTLE_MOST_NS  INT64_C(10000000000)

struct settle {
    bool has_changed;
    int64_t first_ns, last_ns; /* when it changed, since it was last acted on */
};

void settle_changed(struct settle *settle, int64_t now_ns);

/* Is it time? Then it counts as acted on. */
bool settle_take(struct settle *settle, int64_t now_ns);

#endif
