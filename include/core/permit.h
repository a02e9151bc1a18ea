#ifndef CURFEW_CORE_PERMIT_H
#define CURFEW_CORE_PERMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

/*
 * A pool of permits: a cap on concurrent calls and a bounded FIFO queue in front of it. Pure logic for one thread
 * at a time: runtime/pool puts a lock around it and carries the grants to their threads.
 *
 *            acquire, a permit is free
 *   FREE ------------------------------> HELD --.
 *    |                                    ^      | give back: to the first waiter still there,
 *    | acquire, none is free              |      | or to the pool if none waits
 *    '--------------> WAITING ------------'      v
 *                        |       granted        FREE
 *                        '--> FREE (left the queue)
 *
 * A permit given back with waiters present is never put down: it changes hands in one step, so held never dips and
 * nobody overtakes the queue. A waiter that was granted a permit but has not heard of it yet gives it back like any
 * holder. held <= size at every instant.
 *
 * A pool may be resized while it is in use. Growing is at once. Shrinking takes nobody's permit or place away: size
 * and queue_size are the bounds in force at this instant, which come down to what was asked for as permits come back
 * and waiters leave, so that held <= size and waiting <= queue_size stay true all the way.
 */
enum permit_state { PERMIT_FREE, PERMIT_WAITING, PERMIT_HELD };

/* A call's place at a pool. Zero is FREE, but init it: the node must point to itself. */
struct permit {
    struct list_node node; /* on the pool's waiters while WAITING, else alone */
    enum permit_state state;
    uint32_t worker; /* index of the thread that owns the call; for the audit */
};

struct permit_pool {
    uint32_t size;
    uint32_t queue_size;
    uint32_t held;
    uint32_t held_peak;
    uint32_t waiting;
    uint64_t acquired; /* permits handed out, by acquire or by hand-over */
    uint64_t released; /* acquired - released = held */
    struct list_node waiters;
    uint32_t size_asked;       /* where size is going, */
    uint32_t queue_size_asked; /* and queue_size */
    bool shrinking;            /* they are not there yet */
};

enum permit_answer { PERMIT_GRANTED, PERMIT_QUEUED, PERMIT_QUEUE_FULL };

void permit_pool_init(struct permit_pool *pool, uint32_t size, uint32_t queue_size);
void permit_init(struct permit *permit, uint32_t worker);

/* `permit` is FREE. A newcomer never overtakes a waiter. */
enum permit_answer permit_acquire(struct permit_pool *pool, struct permit *permit);

/*
 * Gives back whatever it has: a permit (HELD), a place in the queue (WAITING), or nothing (FREE). Returns the waiter
 * that now holds the permit and has to be told; NULL if nobody has.
 */
struct permit *permit_give_back(struct permit_pool *pool, struct permit *permit)
    __attribute__((warn_unused_result));

/*
 * From now on this is the cap, and the length of the queue. After it, permit_grant_next has to be called until it
 * returns NULL: waiters may have a permit now.
 */
void permit_pool_resize(struct permit_pool *pool, uint32_t size, uint32_t queue_size);

/* The first waiter, if a permit is free: he holds it now and has to be told. NULL: nobody waits, or none is free. */
struct permit *permit_grant_next(struct permit_pool *pool) __attribute__((warn_unused_result));

/*
 * held <= size, acquired - released = held, the queue's length is `waiting` <= queue_size, no waiter beside a free
 * permit.
 */
bool permit_pool_is_sound(const struct permit_pool *pool);

#endif
