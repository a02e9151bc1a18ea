#ifndef CURFEW_CORE_ADAPTIVE_H
#define CURFEW_CORE_ADAPTIVE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How many of a pool's permits are given out, when the API itself says by refusing (429, 503) that it has room for
 * fewer: additive increase, multiplicative decrease, as TCP finds its share (RFC 5681 3.1).
 *
 * The limit begins at the pool's size. A refusal makes it seven tenths of what it was, at most once a second, for all
 * the refusals of a second mostly say the same; never less than `min`. It grows by one after as many good tries as the
 * limit allows at once, counted only while the limit was reached: where nobody waits for more, nothing shows that there
 * is room for more. Where answers are quick, that is soon; but within the second in which no refusal lowers it further,
 * it does not come back to where the last one found it, or most of that second would be spent being refused. It never
 * goes down to find something out, so an API that refuses nothing keeps its whole pool.
 *
 * Pure, for one thread at a time: runtime/pool puts its lock around it, so that all workers share what one has learnt.
 */
struct adaptive {
    uint32_t size;    /* the most that the limit may be */
    uint32_t min;     /* the least; 0: off, and the limit is the size */
    uint32_t limit;   /* min <= limit <= size */
    uint32_t good;    /* good tries at the limit since it last changed, or one was refused; < limit */
    uint32_t refused; /* the limit, when a refusal last found it too high */
    int64_t next_ns;  /* before this instant, no refusal lowers it further */
};

/* `min` is 0 (off), or 1 to `size`. */
void adaptive_init(struct adaptive *adaptive, uint32_t size, uint32_t min);

/*
 * New bounds. What has been learnt stays as far as they allow; a limit that was at its most, so that nothing had been
 * learnt, is at its most again.
 */
void adaptive_change(struct adaptive *adaptive, uint32_t size, uint32_t min);

/* The API has refused a call because it is too much. True: the limit is another one now. */
bool adaptive_note_refused(struct adaptive *adaptive, int64_t now_ns);

/* A good try, while so many permits are held, its own included. True: the limit is another one now. */
bool adaptive_note_good(struct adaptive *adaptive, uint32_t held, int64_t now_ns);

/* Can a good try change anything? Else nobody need be asked. */
static inline bool adaptive_is_lowered(const struct adaptive *adaptive)
{
    return adaptive->limit != adaptive->size;
}

#endif
