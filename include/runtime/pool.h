#ifndef CURFEW_RUNTIME_POOL_H
#define CURFEW_RUNTIME_POOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/invariant.h"
#include "base/span.h"
#include "base/status.h"
#include "runtime/pool_locked.h"

struct loop;

/* A permit pool shared by all loops (runtime/pool_locked): what it is set to, and what calls do with it. */

/* All of a pool that a configuration sets. */
struct pool_terms {
    uint32_t size, queue_size;
    /* What the API refuses lowers how many are given out, to this at the least; 0: it does not. */
    uint32_t adapt_min;
    bool timed;              /* it has a rate, a pause, or waiters that can come too late */
    uint32_t rate_per_hour;  /* 0: no rate */
    uint32_t rate_burst;     /* at least 1 */
    uint32_t fleet_per_hour; /* the rate that it has while its fleet lends it slots; 0: none does */
    bool pauses;             /* it may be paused */
    bool is_shared;          /* the queue is; pool_make_sharable has been called */
    bool is_leased;          /* of its size, what is lent to it is given out (runtime/pool_lease) */
};

enum status pool_init(struct pool *pool, uint32_t size, uint32_t queue_size, struct loop *const *workers,
                      uint32_t worker_count) MUST_CHECK;
void pool_fini(struct pool *pool);

/*
 * The home begins to keep the time of the pool, and stops, when no call of any loop waits any more; its thread, or
 * before it runs. Without it, nobody is woken by time alone.
 */
enum status pool_keep_time(struct pool *pool) MUST_CHECK;
void pool_stop_time(struct pool *pool);

/* `news` runs on the owner's thread when a waiter has its permit, or was refused: the permit's state says which. */
void pool_ticket_init(struct pool_ticket *ticket, const struct loop *owner, mail_fn news);

/* Of pool_acquire_at_once, where the clock has to be asked, or more than that. */
bool pool_acquire_by_clock_and_unlock(struct pool *pool, struct pool_ticket *ticket)
    __attribute__((warn_unused_result, noinline));

/*
 * Owner's thread. Most calls find a permit free: true, it is theirs; what the permit says of how long it can wait has
 * not been looked at.
 */
static inline __attribute__((warn_unused_result)) bool pool_acquire_at_once(struct pool *pool,
                                                                            struct loop *owner,
                                                                            struct pool_ticket *ticket)
{
    bool granted;

    PRE(loop_is_own(owner) && owner == pool->workers[ticket->permit.worker]);
    PRE(!owner->is_fresh || owner->now_ns != 0);
    ticket->mailed = false;
    pthread_mutex_lock(&pool->lock);
    if (pool->permits.gate > (owner->is_fresh ? PERMIT_GATE_RATE : PERMIT_GATE_NONE))
        return pool_acquire_by_clock_and_unlock(pool, ticket);
    owner->is_fresh = false;
    granted = permit_acquire_at_once(&pool->permits, &ticket->permit, owner->now_ns);
    if (granted)
        pool->held_by[ticket->permit.worker]++;
    pthread_mutex_unlock(&pool->lock);
    return granted;
}
/* Owner's thread. */
enum permit_answer pool_acquire(struct pool *pool, struct pool_ticket *ticket);

/*
 * Owner's thread: gives back the permit or the place in the queue. News that is on its way is called back, and the
 * permit goes to the next waiter.
 */
void pool_give_back(struct pool *pool, struct pool_ticket *ticket);

/* Owner's thread: the permit that `from` holds is `to`'s from now on; `from` has none. Both of the same owner. */
void pool_pass_on(struct pool_ticket *from, struct pool_ticket *to);
/* The same, to a ticket that no call has any more (call/ghost); and how that one gives it back. */
void pool_pass_on_to_ghost(struct pool *pool, struct pool_ticket *from, struct pool_ticket *to);
void pool_give_back_ghost(struct pool *pool, struct pool_ticket *ticket);

/* Makes room for a queue that is shared, once, and stays. One thread, before pool_set says so. */
enum status pool_make_sharable(struct pool *pool) MUST_CHECK;
/* May a pause of it be on? False: none is. Any thread. */
static inline bool pool_may_be_paused(const struct pool *pool)
{
    return atomic_load_explicit(&pool->paused_until_ns, memory_order_relaxed) != 0;
}
/* Are fewer of its permits given out than it has, because the API has refused some? Any thread. */
static inline bool pool_is_lowered(const struct pool *pool)
{
    return atomic_load_explicit(&pool->lowered, memory_order_relaxed);
}
/* Is its size lent to it? Any thread. */
static inline bool pool_is_leased(struct pool *pool)
{
    return atomic_load_explicit(&pool->is_leased, memory_order_relaxed);
}
/* Does a call wait for what its lender does not lend, rather than for others? Any thread. */
static inline bool pool_is_void(struct pool *pool)
{
    return atomic_load_explicit(&pool->is_void, memory_order_relaxed);
}
/* The bucket of a key in its queue; 0 if it is not sharable. Any thread. */
uint8_t pool_bucket(const struct pool *pool, struct span key) __attribute__((pure));

/*
 * Any thread: from now on these are its terms. Waiters for whom there is a permit now are told; where more is held than
 * the new size, it comes down as permits come back.
 */
void pool_set(struct pool *pool, const struct pool_terms *terms);

/* The pool begins anew as another one, all its figures at zero. Nobody holds or waits. Any thread. */
void pool_restart(struct pool *pool, const struct pool_terms *terms);

/*
 * Owner's thread: the API has refused a call because it is too much, or has answered one well, whose permit is held
 * still. Of no effect where the pool does not adapt.
 */
void pool_note_refused(struct pool *pool, struct loop *own);
void pool_note_good(struct pool *pool, struct loop *own);

/*
 * When the pause that is on ends; 0: none is. Any thread: whoever has another pool to turn to need not wait here.
 */
int64_t pool_paused_until_ns(struct pool *pool);
/*
 * Owner's thread: the API asks for a pause until then. Of no effect where the pool does not pause any more: whoever
 * began before a reload asks by what held then.
 */
void pool_pause(struct pool *pool, const struct loop *own, int64_t until_ns);
/* Owner's thread: the holder, which started after a pause (permit.round), was answered well. */
void pool_answered(struct pool *pool, const struct pool_ticket *ticket);
/* Owner's thread: the holder sends its request once more, which counts against the rate. */
void pool_start_again(struct pool *pool);

/* The figures of a pool at one instant. Any thread. */
struct pool_figures {
    uint32_t size, limit, held, held_peak, waiting, ghosts;
    uint64_t acquired, released, audit_errors;
    bool has_rate;
    double rate_limit; /* in a second; 0: it has no rate */
    uint64_t rate_started;
    bool has_pause;
    double pause_seconds; /* that are left of a pause; 0: none is on */
    uint64_t pauses;
};
struct pool_figures pool_figures(struct pool *pool);

/*
 * Owner's thread: the audit. `count` says how many of this loop's calls hold a permit of the pool, by the calls'
 * own state; it runs under the lock, must not call back into the pool, and is compared with the pool's books. A
 * difference, or an unsound pool, adds to audit_errors, and the answer is false.
 */
bool pool_audit(struct pool *pool, struct loop *owner, uint32_t (*count)(void *arg), void *arg);

#endif
