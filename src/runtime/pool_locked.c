#include "runtime/pool_locked.h"

#include <errno.h>
#include <time.h>

#include "base/invariant.h"

static void note_bell(struct bells *bells, const struct loop *loop)
{
    if (!bells->any)
        *bells = (struct bells){.any = true};
    bells->loops[loop->index / 64] |= UINT64_C(1) << loop->index % 64;
}

/*
 * Puts the news into the waiter's mailbox. Under the pool's lock: else the waiter could give up, give the permit
 * back and be freed before its mail is posted. Only the bell is rung later.
 */
static void tell_locked(struct pool *pool, struct permit *permit, struct bells *bells)
{
    struct pool_ticket *ticket = CONTAINER_OF(permit, struct pool_ticket, permit);
    struct loop *loop = pool->workers[permit->worker];

    PRE(pthread_mutex_trylock(&pool->lock) == EBUSY);
    PRE(permit->state != PERMIT_WAITING && !ticket->mailed);
    if (permit->state == PERMIT_HELD)
        pool->held_by[permit->worker]++;
    ticket->mailed = true;
    if (mailbox_put(&loop->mailbox, &ticket->news))
        note_bell(bells, loop);
}

void pool_tell_all_locked(struct pool *pool, struct permit *first, int64_t now_ns, struct bells *bells)
{
    for (struct permit *next = first; next != NULL; next = permit_next(&pool->permits, now_ns))
        tell_locked(pool, next, bells);
}

/* If the home has to look earlier than it means to. */
void pool_wake_home_locked(struct pool *pool, int64_t now_ns, struct bells *bells)
{
    int64_t due_ns = permit_pool_due_ns(&pool->permits, now_ns);

    if (due_ns >= pool->armed_ns || !pool->keeps_time)
        return;
    pool->armed_ns = due_ns;
    if (pool->waking)
        return;
    pool->waking = true;
    if (mailbox_put(&pool->home->mailbox, &pool->wake))
        note_bell(bells, pool->home);
}

void pool_note_pause_locked(struct pool *pool)
{
    const struct pause *pause = &pool->permits.pause;

    atomic_store_explicit(&pool->paused_until_ns, pause->round != 0 ? pause->until_ns : 0,
                          memory_order_relaxed);
}

void pool_spread_news_locked(struct pool *pool, int64_t now_ns, struct bells *bells)
{
    pool_note_pause_locked(pool);
    pool_tell_all_locked(pool, permit_next(&pool->permits, now_ns), now_ns, bells);
    if (pool->permits.gate != PERMIT_GATE_NONE)
        pool_wake_home_locked(pool, now_ns, bells);
}

__attribute__((noinline)) void pool_ring_all(const struct pool *pool, const struct bells *bells,
                                             const struct loop *own)
{
    if (bells->lender)
        mailbox_ring(pool->lender);
    for (uint32_t i = 0; i < (pool->worker_count + 63) / 64; i++) {
        for (uint64_t left = bells->loops[i]; left != 0; left &= left - 1) {
            struct loop *loop = pool->workers[64 * i + (uint32_t)__builtin_ctzll(left)];

            if (loop == own)
                loop_expect_mail(loop);
            else
                mailbox_ring(&loop->mailbox);
        }
    }
}

void pool_obey_limit_locked(struct pool *pool, uint32_t queue_size)
{
    uint32_t size = pool->adaptive.limit;

    if (pool->permits.leased && pool->lease.size < size)
        size = pool->lease.size;
    permit_pool_resize(&pool->permits, size, queue_size);
    atomic_store_explicit(&pool->lowered, adaptive_is_lowered(&pool->adaptive), memory_order_relaxed);
}

int64_t pool_lease_clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* The lender itself looks at that instant too, and may then lend more: this is for when it is late. */
void pool_end_lease_locked(struct pool *pool)
{
    if (pool->lease.until_ns == NS_NEVER || pool_lease_clock_ns() <= pool->lease.until_ns)
        return;
    pool->lease.until_ns = NS_NEVER;
    if (pool->lease.after == 0)
        atomic_store_explicit(&pool->is_void, true, memory_order_relaxed);
    if (pool->lease.after < pool->lease.size)
        pool->lease.size = pool->lease.after;
    pool_obey_limit_locked(pool, pool->permits.queue_size_asked);
}

void pool_ask_locked(struct pool *pool, struct bells *bells)
{
    if (pool->asks == NULL || pool->asking)
        return;
    pool->asking = true;
    if (!mailbox_put(pool->lender, pool->asks))
        return;
    if (!bells->any)
        *bells = (struct bells){.any = true};
    bells->lender = true;
}
