#ifndef CURFEW_CORE_RATE_LENT_H
#define CURFEW_CORE_RATE_LENT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Slots of a rate that a fleet of curfews shares, as far as its store has lent them to this host (core/turn): a run of
 * them, a period apart, the first ones all at once if the fleet had not used its burst. A slot is used in time or not
 * at all: used late, it would come beside somebody else's. So in any window of length w the fleet has at most
 * burst + (w + how late slots may be) / period starts. Pure: time comes in.
 */
struct rate_lent {
    bool is_on; /* starts take slots that were lent; else, they have the rate of the host's own */
    uint32_t left;
    int64_t got_ns;    /* when the run was lent, before which none of its slots is, */
    int64_t next_ns;   /* and its next one is due; */
    int64_t period_ns; /* and the one after it, so much later */
    int64_t beyond_ns; /* no slot that is not lent yet comes before that, as the store last said, */
    int64_t pace_ns;   /* and this host gets one in so long, as many hosts as want some */
    int64_t last_ns;   /* when one last started; 0: none has */
    uint32_t unused;   /* slots that nobody took in time */
    uint32_t owed;     /* starts without a slot of the store's */
};

/* How late a slot may be taken. */
#define RATE_LENT_LATE_NS (5 * INT64_C(1000000))

/* The store lends `count` slots, the first `due_ns` from now, which may be negative; of the run before none is left. */
void rate_lent_put(struct rate_lent *lent, uint32_t count, int64_t due_ns, int64_t period_ns, int64_t now_ns);

/* How many slots are left that may be used now, or later. */
uint32_t rate_lent_left(const struct rate_lent *lent, int64_t now_ns) __attribute__((pure));
/* Those that are too old are not used any more. */
void rate_lent_age(struct rate_lent *lent, int64_t now_ns);

/* May one start now? */
bool rate_lent_is_open(const struct rate_lent *lent, int64_t now_ns) __attribute__((pure));
/*
 * The instant, not before now, for a start behind `ahead` others: by what is lent, and then by what the store lets
 * expect.
 */
int64_t rate_lent_slot_ns(const struct rate_lent *lent, uint32_t ahead, int64_t now_ns) __attribute__((pure));
/* One starts now, whether its slot has come or not. */
void rate_lent_take(struct rate_lent *lent, int64_t now_ns);

#endif
