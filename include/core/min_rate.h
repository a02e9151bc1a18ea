#ifndef CURFEW_CORE_MIN_RATE_H
#define CURFEW_CORE_MIN_RATE_H

#include <stdint.h>

/*
 * A least rate: from the first byte on, each full stretch of `per_ns` must bring `bytes`. Whatever stretch that is: not
 * only those that begin at multiples of it.
 *
 * The last arrivals are remembered, those within a sixteenth of `per_ns` together, as if they had all come with the
 * last of them: so it is never broken too early, and found broken at most a sixteenth too late. Times are those of one
 * clock, which may stand still. Pure; one thread.
 */
#define MIN_RATE_SLOTS 17u

struct min_rate_terms {
    uint64_t bytes; /* 0: there is no least rate */
    int64_t per_ns;
};

struct min_rate_slot {
    int64_t last_ns;
    uint64_t bytes;
};

struct min_rate {
    int64_t begun_ns;      /* the first byte; NS_NEVER: none has come */
    int64_t slot_began_ns; /* of the newest slot */
    uint32_t newest;
    struct min_rate_slot slots[MIN_RATE_SLOTS];
};

void min_rate_begin(struct min_rate *rate);

/* So many bytes have come now. */
void min_rate_add(struct min_rate *rate, const struct min_rate_terms *terms, uint64_t bytes, int64_t now_ns);

/* When it is broken if nothing more comes; NS_NEVER before the first byte. */
int64_t min_rate_end_ns(const struct min_rate *rate, const struct min_rate_terms *terms)
    __attribute__((pure));

#endif
