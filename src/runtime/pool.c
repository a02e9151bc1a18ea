#include "runtime/pool.h"

#include <errno.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "runtime/loop.h"

enum status pool_init(struct pool *pool, uint32_t size, uint32_t queue_size, struct loop *const *workers,
                      uint32_t worker_count)
{
    *pool = (struct pool){.workers = workers, .worker_count = worker_count};
    permit_pool_init(&pool->permits, size, queue_size);
    pool->held_by = mem_calloc(worker_count, sizeof(uint32_t));
    if (pool->held_by == NULL)
        return ST_NOMEM;
    if (pthread_mutex_init(&pool->lock, NULL) != 0) {
        mem_free(pool->held_by);
        return ST_NOMEM;
    }
    return ST_OK;
}

void pool_fini(struct pool *pool)
{
    PRE(pool->permits.held == 0 && pool->permits.waiting == 0);
    pthread_mutex_destroy(&pool->lock);
    mem_free(pool->held_by);
}

void pool_ticket_init(struct pool_ticket *ticket, const struct loop *owner, mail_fn granted)
{
    permit_init(&ticket->permit, owner->index);
    mail_init(&ticket->granted, granted);
}

enum permit_answer pool_acquire(struct pool *pool, struct pool_ticket *ticket)
{
    enum permit_answer answer;

    PRE(ticket->permit.worker < pool->worker_count);
    PRE(loop_is_own(pool->workers[ticket->permit.worker]));
    ticket->mailed = false;
    pthread_mutex_lock(&pool->lock);
    answer = permit_acquire(&pool->permits, &ticket->permit);
    if (answer == PERMIT_GRANTED)
        pool->held_by[ticket->permit.worker]++;
    pthread_mutex_unlock(&pool->lock);
    return answer;
}

/*
 * Puts the news into the winner's mailbox. Under the pool's lock: else the winner could give up, give the permit
 * back and be freed before his mail is posted. Only the bell is rung later.
 */
static struct loop *tell_winner_locked(struct pool *pool, struct permit *permit)
{
    struct pool_ticket *winner = CONTAINER_OF(permit, struct pool_ticket, permit);
    struct loop *loop = pool->workers[permit->worker];

    PRE(pthread_mutex_trylock(&pool->lock) == EBUSY);
    PRE(permit->state == PERMIT_HELD && !winner->mailed);
    pool->held_by[permit->worker]++;
    winner->mailed = true;
    return mailbox_put(&loop->mailbox, &winner->granted) ? loop : NULL;
}

void pool_give_back(struct pool *pool, struct pool_ticket *ticket)
{
    struct loop *own = pool->workers[ticket->permit.worker];
    struct loop *ring = NULL;
    struct permit *next;

    PRE(loop_is_own(own));
    pthread_mutex_lock(&pool->lock);
    PRE(ticket->permit.state != PERMIT_HELD || pool->held_by[ticket->permit.worker] > 0);
    if (ticket->permit.state == PERMIT_HELD)
        pool->held_by[ticket->permit.worker]--;
    if (ticket->mailed)
        mailbox_cancel(&own->mailbox, &ticket->granted);
    next = permit_give_back(&pool->permits, &ticket->permit);
    if (next != NULL)
        ring = tell_winner_locked(pool, next);
    pthread_mutex_unlock(&pool->lock);
    if (ring == own)
        loop_expect_mail(own);
    else if (ring != NULL)
        mailbox_ring(&ring->mailbox);
}

void pool_pass_on(struct pool_ticket *from, struct pool_ticket *to)
{
    PRE(from->permit.state == PERMIT_HELD && to->permit.state == PERMIT_FREE);
    PRE(from->permit.worker == to->permit.worker); /* held_by stays right */
    to->permit.state = from->permit.state;
    from->permit.state = PERMIT_FREE;
}

void pool_pass_on_to_ghost(struct pool *pool, struct pool_ticket *from, struct pool_ticket *to)
{
    PRE(loop_is_own(pool->workers[from->permit.worker]));
    pthread_mutex_lock(&pool->lock);
    pool_pass_on(from, to);
    pool->ghosts++;
    POST(pool->ghosts <= pool->permits.held);
    pthread_mutex_unlock(&pool->lock);
}

void pool_give_back_ghost(struct pool *pool, struct pool_ticket *ticket)
{
    pthread_mutex_lock(&pool->lock);
    PRE(ticket->permit.state == PERMIT_HELD && pool->ghosts > 0);
    pool->ghosts--;
    pthread_mutex_unlock(&pool->lock);
    pool_give_back(pool, ticket);
}

void pool_resize(struct pool *pool, uint32_t size, uint32_t queue_size)
{
    struct permit *next;

    pthread_mutex_lock(&pool->lock);
    permit_pool_resize(&pool->permits, size, queue_size);
    while ((next = permit_grant_next(&pool->permits)) != NULL) {
        struct loop *ring = tell_winner_locked(pool, next);

        /* Under the lock, for once: winners may be of any loop, and this is not the way of a call. */
        if (ring != NULL)
            mailbox_ring(&ring->mailbox);
    }
    pthread_mutex_unlock(&pool->lock);
}

void pool_restart(struct pool *pool, uint32_t size, uint32_t queue_size)
{
    pthread_mutex_lock(&pool->lock);
    PRE(pool->permits.held == 0 && pool->permits.waiting == 0 && pool->ghosts == 0);
    permit_pool_init(&pool->permits, size, queue_size);
    pool->audit_errors = 0;
    pthread_mutex_unlock(&pool->lock);
}

struct pool_figures pool_figures(struct pool *pool)
{
    struct pool_figures figures;

    pthread_mutex_lock(&pool->lock);
    figures = (struct pool_figures){
        .size = pool->permits.size,
        .held = pool->permits.held,
        .held_peak = pool->permits.held_peak,
        .waiting = pool->permits.waiting,
        .ghosts = pool->ghosts,
        .acquired = pool->permits.acquired,
        .released = pool->permits.released,
        .audit_errors = pool->audit_errors,
    };
    pthread_mutex_unlock(&pool->lock);
    return figures;
}

bool pool_audit(struct pool *pool, struct loop *owner, uint32_t (*count)(void *arg), void *arg)
{
    bool right;

    PRE(loop_is_own(owner) && owner->index < pool->worker_count);
    pthread_mutex_lock(&pool->lock);
    right = pool->held_by[owner->index] == count(arg) && permit_pool_is_sound(&pool->permits);
    if (!right)
        pool->audit_errors++;
    pthread_mutex_unlock(&pool->lock);
    return right;
}
