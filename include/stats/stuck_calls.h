#ifndef CURFEW_STATS_STUCK_CALLS_H
#define CURFEW_STATS_STUCK_CALLS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/call_fsm.h"
#include "core/cause.h"
#include "stats/call_top.h"

/*
 * The calls that got stuck last, in the order of their ends, with what they did with their time; a few, of fixed
 * size. A worker keeps its own, which are taken from it now and then. Pure.
 */
#define STUCK_CALLS 32u

struct stuck_call {
    uint64_t id;
    int64_t begun_ns, ended_ns, deadline_ns;
    int64_t phases_ns[PHASE_COUNT];
    uint32_t upstream, route; /* numbers */
    enum phase phase : 8;
    enum cause cause : 8;
    enum sent sent : 8;
    uint8_t method_len;
    char method[CALL_TOP_METHOD]; /* longer ones are cut */
};

/* Zero is empty. */
struct stuck_calls {
    uint32_t first, count; /* a ring: the oldest is at `first` */
    struct stuck_call list[STUCK_CALLS];
};

/* What became of a call after it was cut: of those as well there are the last few. */
struct late_call {
    uint64_t id;
    int64_t after_ns; /* the call's beginning */
    uint16_t status;  /* 0: no response */
    bool is_whole;    /* of the response */
};

struct late_calls {
    uint32_t first, count;
    struct late_call list[STUCK_CALLS];
};

/* The place of one that has ended now, in place of the oldest if there is no other; the caller fills it. Never NULL. */
struct stuck_call *stuck_calls_next(struct stuck_calls *calls);

/* The call at this place, 0 the oldest. */
const struct stuck_call *stuck_calls_at(const struct stuck_calls *calls, uint32_t place)
    __attribute__((pure));

/* Moves all of `part`, which is empty then, to where they belong in `sum`; the oldest make room. */
void stuck_calls_take(struct stuck_calls *sum, struct stuck_calls *part);

/* Likewise; those of a part come behind those of the sum. */
struct late_call *late_calls_next(struct late_calls *calls);
const struct late_call *late_calls_at(const struct late_calls *calls, uint32_t place) __attribute__((pure));
void late_calls_take(struct late_calls *sum, struct late_calls *part);

#endif
