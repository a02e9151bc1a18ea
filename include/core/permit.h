#ifndef CURFEW_CORE_PERMIT_H
#define CURFEW_CORE_PERMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "core/pause.h"
#include "core/queue.h"
#include "core/rate.h"
#include "core/rate_lent.h"

/*
 * A pool of permits: a cap on concurrent calls and a bounded queue in front of it. Pure logic for one thread at a time:
 * runtime/pool puts a lock around it and carries the news to their threads.
 *
 *            acquire, one may start
 *   FREE ------------------------------> HELD --.
 *    |                                    ^      | give back: to the next waiter,
 *    | acquire, none may                  |      | or to the pool if none waits
 *    '--------------> WAITING ------------'      v
 *                        |       granted        FREE
 *                        |--> FREE (left the queue)
 *                        '--> FREE (put out of it: `refused` says why)
 *
 * A permit given back with waiters present is never put down: it changes hands in one step, so held never dips and
 * nobody overtakes the queue's order (core/queue). A waiter that was granted a permit but has not heard of it yet gives
 * it back like any holder. held <= size at every instant.
 *
 * One may start when a permit is free; and, of a pool with a rate (core/rate), when its slot has come; and, of one that
 * is paused (core/pause), when the pause is over and it is this one's turn after it. All three are asked for the head
 * of the queue, and at the moment of its start: no permit is held for a slot that is still to come, and no slot is
 * taken by who waits for a permit. Nobody waits beside a free permit unless rate or pause hold it back.
 *
 * A waiter that can't start in time is refused rather than kept: on arrival, and when a pause begins, if its slot lies
 * beyond `wait_until_ns`; and when its turn comes, if `start_by_ns` has passed. The permit then goes on to the next one
 * in the same step.
 *
 * A pool may be resized while it is in use. Growing is at once. Shrinking takes nobody's permit or place away: size
 * and queue_size are the bounds in force at this instant, which come down to what was asked for as permits come back
 * and waiters leave, so that held <= size and waiting <= queue_size stay true all the way.
 *
 * After every operation that says so, permit_next has to be called until it returns NULL: others may have news.
 */
enum permit_state { PERMIT_FREE, PERMIT_WAITING, PERMIT_HELD };

enum permit_answer {
    PERMIT_GRANTED,
    PERMIT_QUEUED,
    /* Refused: */
    PERMIT_QUEUE_FULL,
    PERMIT_TOO_LATE, /* too little time is left to begin */
    PERMIT_RATE,     /* its slot comes too late */
    PERMIT_PAUSED,   /* the pause ends too late */
};

/* A call's place at a pool. Zero is FREE, but init it: the node must point to itself. */
struct permit {
    struct queue_place place; /* in the pool's queue while WAITING, else alone */
    enum permit_state state : 8;
    enum permit_answer refused : 8; /* a refusal, if it was refused when it last asked or waited */
    uint16_t worker;                /* index of the thread that owns the call; for the audit */
    uint32_t round;                 /* of the pause after which it started, while HELD */
    int64_t start_by_ns;            /* its turn is of no use later than that; NS_NEVER: it is at any time */
    int64_t wait_until_ns;          /* it does not wait for a slot later than that */
    int64_t slot_ns;                /* refused by rate or pause: when it could have begun */
};

/* What holds back those for whom there is a permit; each asks for more than the one before it. */
enum permit_gate {
    PERMIT_GATE_NONE,
    PERMIT_GATE_RATE, /* a rate of its own, and nothing else: a fresh time is all that it takes */
    PERMIT_GATE_MORE, /* a pause, or the way back from one; or its size, or its rate, is lent */
};

struct permit_pool {
    uint32_t size;
    uint32_t queue_size;
    uint32_t held;
    uint32_t held_peak;
    uint64_t acquired; /* permits handed out, by acquire or by hand-over */
    uint64_t released; /* acquired - released = held */
    struct queue queue;
    struct list_node put_out;  /* refused while they waited; permit_next tells of them */
    uint32_t size_asked;       /* where size is going, */
    uint32_t queue_size_asked; /* and queue_size */
    bool shrinking;            /* they are not there yet */
    enum permit_gate gate : 8;
    bool leased;           /* its size is lent for a time, which whoever has the clock looks at */
    bool shares_pause;     /* after a pause, a fleet says when this host may begin (core/turn) */
    struct rate rate;      /* its own; */
    struct rate_lent lent; /* or, while it is on, what a fleet has lent of its rate */
    struct pause pause;
    uint64_t rate_started; /* starts counted by a rate */
};

void permit_pool_init(struct permit_pool *pool, uint32_t size, uint32_t queue_size);
void permit_init(struct permit *permit, uint32_t worker);

/*
 * `permit` is FREE, and says how long it can wait. A newcomer never overtakes a waiter of its own bucket. Of a pool
 * with neither rate nor pause, and permits that can start at any time, the time does not matter. Others may have news.
 */
/* PERMIT_GRANTED, if that is the answer without a wait; false: nothing has changed. */
bool permit_acquire_at_once(struct permit_pool *pool, struct permit *permit, int64_t now_ns)
    __attribute__((warn_unused_result));
enum permit_answer permit_acquire(struct permit_pool *pool, struct permit *permit, int64_t now_ns);

/*
 * Gives back whatever it has: a permit (HELD), a place in the queue (WAITING), or nothing (FREE). Returns what
 * permit_next does; others may have news.
 */
struct permit *permit_give_back(struct permit_pool *pool, struct permit *permit, int64_t now_ns)
    __attribute__((warn_unused_result));

/* What `from` holds is `to`'s from now on, which is FREE and of the same worker. */
void permit_pass_on(struct permit *from, struct permit *to);

/* The next one that has news: HELD, it has a permit now; or FREE, it was refused. NULL: nobody has. */
struct permit *permit_next(struct permit_pool *pool, int64_t now_ns) __attribute__((warn_unused_result));

/* From now on this is the cap, and the length of the queue. Others may have news. */
void permit_pool_resize(struct permit_pool *pool, uint32_t size, uint32_t queue_size);

/* From now on starts have this rate; period 0: none. Others may have news. */
void permit_pool_set_rate(struct permit_pool *pool, int64_t period_ns, uint32_t burst, int64_t now_ns);

/* After its pause, its rate, or what is lent has changed: what holds those back for whom there is a permit. */
void permit_pool_find_gate(struct permit_pool *pool);

/* It is on no queue: refused, which the next permit_next tells of. Others may have news. */
void permit_put_out(struct permit_pool *pool, struct permit *permit, enum permit_answer why, int64_t at_ns);
/* After waiters were taken out of the queue: its bounds come nearer to what was asked for. */
void permit_pool_settle(struct permit_pool *pool);

/* From now on its size is lent, or its own. */
void permit_pool_set_leased(struct permit_pool *pool, bool leased);

/* A holder begins once more, on a fresh connection: it takes a slot, and does not wait for it. */
void permit_start_again(struct permit_pool *pool, int64_t now_ns);

/* Nothing starts until then. Never shortens a pause that is on. Others may have news. */
void permit_pool_pause(struct permit_pool *pool, int64_t until_ns, int64_t now_ns);
/* The pool has no pauses any more. Others may have news. */
void permit_pool_unpause(struct permit_pool *pool);
/* A holder was answered well, in time or not. Others may have news. */
void permit_answered(struct permit_pool *pool, const struct permit *permit);

/*
 * When the next waiter may start though nothing but time passes, at the earliest `now_ns`; NS_NEVER: not by time alone,
 * or nobody waits.
 */
int64_t permit_pool_due_ns(const struct permit_pool *pool, int64_t now_ns) __attribute__((pure));

/*
 * held <= size, acquired - released = held, the queue is sound and no longer than it may be, nobody is put out and not
 * told, no waiter beside a free permit that nothing holds back.
 */
bool permit_pool_is_sound(const struct permit_pool *pool);

#endif
