#ifndef CURFEW_RUNTIME_POOL_LOCKED_H
#define CURFEW_RUNTIME_POOL_LOCKED_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/number.h"
#include "core/adaptive.h"
#include "core/fresh_cuts.h"
#include "core/permit.h"
#include "core/permit_lent.h"
#include "core/timer.h"
#include "runtime/loop.h"
#include "runtime/mailbox.h"

/* What of a pool's permits may be out (runtime/pool_lease). */
struct pool_lease {
    uint32_t size;
    int64_t until_ns; /* CLOCK_BOOTTIME; NS_NEVER: until another one is set */
    uint32_t after;   /* and then at most so many */
    bool is_void;     /* nothing is lent, and whoever waits is to be told so */
    bool listens;     /* the lender wants to know when permits come back */
};

/*
 * A permit pool shared by all loops: core/permit under a lock. Operations lock, change, put the news into mailboxes,
 * unlock, and ring; nothing else with an effect happens under the lock. held <= size over all threads at every instant.
 *
 * Where rate or pause hold waiters back, somebody has to wake up when they no longer do: that is the pool's home, one
 * of the loops, which has a timer for it. Whoever finds that it has to ring earlier than `armed_ns` posts `wake` to it.
 */
struct pool {
    pthread_mutex_t lock;
    struct permit_pool permits; /* under lock */
    uint32_t *held_by;          /* permits held, by loop; under lock */
    struct loop *const *workers;
    uint32_t worker_count;
    uint32_t ghosts;                  /* of the permits held, those without a call; under lock */
    uint64_t audit_errors;            /* under lock */
    struct adaptive adaptive;         /* how many permits are given out; under lock */
    atomic_bool lowered;              /* fewer than the size */
    uint32_t rate_per_hour;           /* its own; 0: no rate; under lock */
    uint32_t fleet_per_hour;          /* and its fleet's, while that lends it slots; under lock */
    bool pauses;                      /* it may be paused; under lock */
    _Atomic(int64_t) paused_until_ns; /* the end of the latest pause, for who has no lock; 0: there is none */
    struct pool_shares *shares;       /* room for a queue that is shared; NULL: there is none */
    bool timed;                       /* what may start depends on the time; under lock */
    struct loop *home;
    struct timer timer; /* the home's thread */
    struct mail wake;
    bool keeps_time;          /* the home does; under lock */
    bool waking;              /* wake is on its way; under lock */
    int64_t armed_ns;         /* when the home looks next, or NS_NEVER; under lock */
    atomic_bool is_leased;    /* permits.leased, for who has no lock */
    struct fresh_cuts cuts;   /* while it is leased; by CLOCK_BOOTTIME; under lock */
    struct pool_lease lease;  /* while permits.leased; under lock */
    atomic_bool is_void;      /* the lease is */
    struct mailbox *lender;   /* whom it asks for more; set once, before there is: */
    struct mail *asks;        /* by this; NULL: it asks nobody; under lock */
    bool asking;              /* it is on its way; under lock */
    uint32_t peak_before;     /* the most that were held before the lender last looked; under lock */
    uint64_t acquired_before; /* and how often; under lock */
};

/* A call's ticket at a pool. */
struct pool_ticket {
    struct permit permit;
    struct mail news; /* its function tells the owner that the wait is over */
    bool mailed;      /* news may be in the owner's mailbox; under the pool's lock */
};

/*
 * What an operation on a pool is made of; the pool's own (src/runtime/pool*.c): lock, look at the clock, change, put
 * the news into mailboxes and note whom to ring, unlock, ring.
 */

/* Whom to ring after the unlock: a bit for each loop, of which there may be as many as processors in a cpu_set_t. */
#define POOL_LOOPS_MAX 1024u
struct bells {
    bool any;
    bool lender; /* of no meaning before there is any; this too: */
    uint64_t loops[POOL_LOOPS_MAX / 64];
};

/* CLOCK_BOOTTIME: it never steps, and counts what a machine was suspended for. */
int64_t pool_lease_clock_ns(void);
/* If its time is over. */
void pool_end_lease_locked(struct pool *pool);

/*
 * The time of an operation that may grant, if it matters to the pool; a lease that is over by then ends here. By the
 * clock itself: the time of a turn may be old, and a slot taken by it would let the next one come early. (The time of
 * the event that is being served is not: pool_acquire_at_once.)
 */
static inline int64_t pool_now_locked(struct pool *pool)
{
    if (pool->permits.leased)
        pool_end_lease_locked(pool);
    return pool->timed ? loop_clock_ns() : 0;
}

/* `first` has news, and whoever else has. */
void pool_tell_all_locked(struct pool *pool, struct permit *first, int64_t now_ns, struct bells *bells);
/* If the home has to look earlier than it means to. */
void pool_wake_home_locked(struct pool *pool, int64_t now_ns, struct bells *bells);
/* A pause has begun, or is forgotten. */
void pool_note_pause_locked(struct pool *pool);
/* After a change: whoever has news of it is told, and whether it is paused. */
void pool_spread_news_locked(struct pool *pool, int64_t now_ns, struct bells *bells);
/* As many permits as the API takes, and as are lent, are given out. */
void pool_obey_limit_locked(struct pool *pool, uint32_t queue_size);

/* Has it run out of what was lent of its rate, and somebody waits for more? */
static inline bool pool_wants_slots_locked(const struct pool *pool, int64_t now_ns)
{
    return pool->permits.lent.is_on &&
           permit_pool_wants_slots(&pool->permits, pool->permits.size, now_ns) > 0;
}

/* The lender is to look at the pool. */
void pool_ask_locked(struct pool *pool, struct bells *bells);

/* `own` is the loop of this thread, which looks into its mailbox without a bell; NULL: it has none. */
void pool_ring_all(const struct pool *pool, const struct bells *bells, const struct loop *own);

/* Mostly nobody has news. */
static inline void pool_ring(const struct pool *pool, const struct bells *bells, const struct loop *own)
{
    if (bells->any)
        pool_ring_all(pool, bells, own);
}

#endif
