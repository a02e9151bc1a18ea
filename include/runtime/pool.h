#ifndef CURFEW_RUNTIME_POOL_H
#define CURFEW_RUNTIME_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "core/permit.h"
#include "runtime/mailbox.h"

struct loop;

/*
 * A permit pool shared by all loops: core/permit under a lock. Operations lock, change, note whom to tell, unlock,
 * and tell him by mail; nothing with an effect happens under the lock. held <= size over all threads at every instant.
 */
struct pool {
    pthread_mutex_t lock;
    struct permit_pool permits; /* under lock */
    uint32_t *held_by;          /* permits held, by loop; under lock */
    struct loop *const *workers;
    uint32_t worker_count;
    uint32_t ghosts;       /* of the permits held, those without a call; under lock */
    uint64_t audit_errors; /* under lock */
};

/* A call's ticket at a pool. */
struct pool_ticket {
    struct permit permit;
    struct mail granted; /* its function tells the owner that the permit is his */
    bool mailed;         /* granted may be in the owner's mailbox; under the pool's lock */
};

enum status pool_init(struct pool *pool, uint32_t size, uint32_t queue_size, struct loop *const *workers,
                      uint32_t worker_count) MUST_CHECK;
void pool_fini(struct pool *pool);

/* `granted` runs on the owner's thread when a waiter gets its permit. */
void pool_ticket_init(struct pool_ticket *ticket, const struct loop *owner, mail_fn granted);

/* Owner's thread. */
enum permit_answer pool_acquire(struct pool *pool, struct pool_ticket *ticket);

/*
 * Owner's thread: gives back the permit or the place in the queue. A grant that is on its way is called back, and the
 * permit goes to the next waiter.
 */
void pool_give_back(struct pool *pool, struct pool_ticket *ticket);

/* Owner's thread: the permit that `from` holds is `to`'s from now on; `from` has none. Both of the same owner. */
void pool_pass_on(struct pool_ticket *from, struct pool_ticket *to);
/* The same, to a ticket that no call has any more (call/ghost); and how that one gives it back. */
void pool_pass_on_to_ghost(struct pool *pool, struct pool_ticket *from, struct pool_ticket *to);
void pool_give_back_ghost(struct pool *pool, struct pool_ticket *ticket);

/*
 * Any thread: from now on this is the cap and the length of the queue. Waiters for whom there is a permit now are
 * told; where more is held than the new size, it comes down as permits come back.
 */
void pool_resize(struct pool *pool, uint32_t size, uint32_t queue_size);

/* The pool begins anew as another one, all its figures at zero. Nobody holds or waits. Any thread. */
void pool_restart(struct pool *pool, uint32_t size, uint32_t queue_size);

/* The figures of a pool at one instant. Any thread. */
struct pool_figures {
    uint32_t size, held, held_peak, waiting, ghosts;
    uint64_t acquired, released, audit_errors;
};
struct pool_figures pool_figures(struct pool *pool);

/*
 * Owner's thread: the audit. `count` says how many of this loop's calls hold a permit of the pool, by the calls'
 * own state; it runs under the lock, must not call back into the pool, and is compared with the pool's books. A
 * difference, or an unsound pool, adds to audit_errors, and the answer is false.
 */
bool pool_audit(struct pool *pool, struct loop *owner, uint32_t (*count)(void *arg), void *arg);

#endif
