#ifndef CURFEW_CORE_BREAKER_H
#define CURFEW_CORE_BREAKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/status_set.h"

/*
 * A circuit breaker: when tries at an API go wrong one after the other, or too many of the last ones did, further calls
 * are refused for a moment, and then one of them is let through to see. Pure: it is told when a call comes and what
 * verdict a try got, with the time as an argument. It has no timer: that its time is up is seen when a call comes.
 *
 *               bad, and now there are `failures` in a row,
 *               or `ratio` of at least `volume` in `window`
 *     CLOSED ----------------------------------------------> OPEN <--------------.
 *        ^                                                     |                 | a probe is bad or answered
 *        |                                        a call comes | after until     | with 429, or has no head
 *        |                                                     v                 | within `verdict`
 *        '---------------------------------------------------- HALF -------------'
 *                              a probe is good
 *
 *   pass        What a call carries from being let in to its verdict: the generation of that moment, and if it is a
 *               probe, its place. A verdict from an older generation tells the breaker nothing.
 *   generation  One more for each opening, so that what began before it is told from what has begun since.
 *   place       In HALF there are `probes` of them; a probe keeps its place until its verdict, or until the state is
 *               another one. A neutral verdict, and a call that ended before it became a try, leave it to the next
 *               call. So there are as many places taken as there are probes of this generation on their way, and none
 *               in the other states.
 *   doublings   Each opening from HALF is twice as long as the one before it, up to open_max; a good probe ends that.
 *               The length varies by a tenth, so that instances do not come back in step.
 *
 * A probe that hangs goes on, and so does its call; but the next probe waits no longer for it than `verdict`.
 *
 * The good verdicts of the window are kept in rings beside it (struct breaker_window), so that several threads
 * may count them without meeting; their sum comes in with a bad verdict, when alone it is needed.
 */
enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF, BREAKER_STATE_COUNT };

/* Why it has opened. One that opens again after a probe keeps its reason. */
enum breaker_reason { BREAKER_CONSECUTIVE, BREAKER_RATIO, BREAKER_REASON_COUNT };

const char *breaker_state_name(enum breaker_state state);
const char *breaker_reason_name(enum breaker_reason reason);

#define BREAKER_PROBES_MAX   16u
#define BREAKER_WINDOW_SLOTS 10u
/* Generations are 1 to this, and then 1 again: a word holds one, and two bits. */
#define BREAKER_GENERATIONS  (UINT32_MAX >> 2)

struct breaker_terms {
    uint32_t failures;
    uint32_t ratio_percent, volume;
    int64_t window_ns;
    int64_t open_ns, open_max_ns;
    uint32_t probes; /* 1 to BREAKER_PROBES_MAX */
    int64_t verdict_ns;
    struct status_set statuses; /* that are bad */
};

/*
 * How many verdicts there were in each tenth of the window: a ring of slots, each with the tenth that it is of and a
 * count. One thread counts, any may sum up.
 */
struct breaker_window {
    _Atomic uint64_t slots[BREAKER_WINDOW_SLOTS]; /* the tenth's tag in the upper half */
    /* For the one who counts: the slot of the latest tenth, so that it is found once for each. */
    int64_t window_ns, until_ns;
    uint32_t generation, slot;
};

void breaker_window_count(struct breaker_window *window, int64_t window_ns, uint32_t generation,
                          int64_t now_ns);
/* Those of this generation in the last nine to ten tenths of the window. */
uint64_t breaker_window_sum(const struct breaker_window *window, int64_t window_ns, uint32_t generation,
                            int64_t now_ns);

struct breaker_pass {
    uint32_t generation; /* 0: the call goes without a pass, and its verdict tells nothing */
    uint8_t place;       /* from 1; 0: it is no probe, or is none any more */
};

/* What whoever was refused is told. */
struct breaker_refusal {
    uint32_t left_ms; /* until a call is let in again, rounded up; 0: that hangs on a probe */
    enum breaker_state state : 8;
    enum breaker_reason reason : 8;
};

struct breaker {
    enum breaker_state state;
    enum breaker_reason reason; /* of the latest opening, */
    bool has_opened;            /* if it was one */
    uint32_t generation;        /* from 1 */
    uint32_t consecutive;       /* bad ones since the last good one */
    uint32_t doublings;
    int64_t until_ns; /* OPEN: calls are refused until then */
    struct breaker_window bad;
    uint32_t places;                       /* taken */
    int64_t probe_ns[BREAKER_PROBES_MAX];  /* since when the place is taken, */
    uint32_t probe_of[BREAKER_PROBES_MAX]; /* by a call of which worker, NOBODY: it is free */
    uint64_t random;
};

/* CLOSED. Any seed: no two breakers should have the same. */
void breaker_init(struct breaker *breaker, uint64_t seed);

/* CLOSED, as at first; passes that are out tell nothing. */
void breaker_restart(struct breaker *breaker);

enum breaker_answer {
    BREAKER_LETS,    /* the call in; it has a pass */
    BREAKER_PROBES,  /* likewise, and it is a probe */
    BREAKER_REFUSES, /* it, and the pass is no pass */
};

/*
 * A call of `worker` comes. Before it is answered, the breaker may open anew, because a probe has had its time: then
 * the generation is another one.
 */
enum breaker_answer breaker_ask(struct breaker *breaker, const struct breaker_terms *terms, uint32_t worker,
                                int64_t now_ns, struct breaker_pass *pass)
    __attribute__((warn_unused_result));

/* Would a call that comes now be let in, as a probe if need be? Nothing changes. */
bool breaker_would_let(const struct breaker *breaker, const struct breaker_terms *terms, int64_t now_ns)
    __attribute__((pure));

/* Until a call is let in again: 0 if that may be with the next verdict, or is so. */
int64_t breaker_left_ns(const struct breaker *breaker, int64_t now_ns) __attribute__((pure));

/*
 * The verdicts. Each takes the place off the pass, if it has one. A bad one may open the breaker: `goods` of the
 * window (breaker_window_sum) is how many good ones there were beside. So may a neutral one of a probe, if the API has
 * asked for fewer calls (429).
 */
void breaker_good(struct breaker *breaker, struct breaker_pass *pass);
void breaker_bad(struct breaker *breaker, const struct breaker_terms *terms, uint64_t goods, int64_t now_ns,
                 struct breaker_pass *pass);
void breaker_neutral(struct breaker *breaker, const struct breaker_terms *terms, bool asks_for_less,
                     int64_t now_ns, struct breaker_pass *pass);

/* Is this the pass of a probe whose place is taken still? */
bool breaker_is_live_probe(const struct breaker *breaker, const struct breaker_pass *pass)
    __attribute__((pure));

/* Places that calls of this worker have. */
uint32_t breaker_places_of(const struct breaker *breaker, uint32_t worker) __attribute__((pure));

/* The places are counted right, and there are none but in HALF. */
bool breaker_is_sound(const struct breaker *breaker) __attribute__((pure));

#endif
