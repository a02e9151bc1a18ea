#ifndef CURFEW_CORE_PAUSE_H
#define CURFEW_CORE_PAUSE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A pause that an API has asked for (429 with Retry-After), and the way back from it: until its end nothing starts;
 * then one call does, and each good answer doubles how many may be open, until that is no bound any more. Pure: time
 * comes in.
 *
 *   NONE --begin--> PAUSED --its end--> RETURNING --enough good answers--> NONE
 *                     ^  '-begin, later-^   |
 *                     '-------begin---------'
 *
 * Only calls that have started since the end count, on both sides: those from before may hang for long, and what they
 * are answered says nothing of now. Each start bears the round of the pause that it comes after.
 */
struct pause {
    int64_t until_ns; /* the pause's end */
    uint32_t round;   /* of the pause that is on, or is being returned from; 0: NONE */
    uint32_t rounds;  /* pauses so far; of the last, its round */
    uint32_t bound;   /* how many may be open after it */
    uint32_t open;    /* how many are, of this round */
    bool waits;       /* none may be, though it is over: another host has the first call (core/turn) */
    uint64_t count;   /* pauses begun; one that is lengthened is none */
};

static inline bool pause_is_on(const struct pause *pause, int64_t now_ns)
{
    return pause->round != 0 && now_ns < pause->until_ns;
}

/* Nothing starts before `until_ns`. A pause that is on is lengthened by it, never shortened: false, it is as it was. */
bool pause_begin(struct pause *pause, int64_t until_ns, int64_t now_ns);

/* May one more start, as far as the number of those that are open goes? */
static inline bool pause_has_room(const struct pause *pause)
{
    return pause->round == 0 || (pause->open < pause->bound && !pause->waits);
}

/* One starts: the round that it bears from now on, 0 for none. */
uint32_t pause_start(struct pause *pause);
/* One that bears `round` is over, or has never been tried. */
void pause_end(struct pause *pause, uint32_t round);

/* One that bears `round` was answered well. `size` may be open without a pause: with that many, it is over for good. */
void pause_answered(struct pause *pause, uint32_t round, uint32_t size);

/* As if there had never been one. */
void pause_forget(struct pause *pause);

#endif
