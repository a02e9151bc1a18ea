#include "runtime/pool_lease.h"

#include "base/invariant.h"
#include "runtime/pool_locked.h"

void pool_set_lender(struct pool *pool, struct mailbox *lender, struct mail *asks)
{
    pthread_mutex_lock(&pool->lock);
    PRE(pool->asks == NULL && (pool->lender == NULL || pool->lender == lender));
    if (pool->lender == NULL) /* else somebody may be about to ring it */
        pool->lender = lender;
    pool->asks = asks;
    pthread_mutex_unlock(&pool->lock);
}

void pool_drop_lender(struct pool *pool)
{
    struct mail *asks;

    pthread_mutex_lock(&pool->lock);
    asks = pool->asks;
    pool->asks = NULL;
    pool->asking = false;
    pthread_mutex_unlock(&pool->lock);
    if (asks != NULL)
        mailbox_cancel(pool->lender, asks);
}

static void see_locked(struct pool *pool, struct pool_news *news)
{
    struct permit_pool *permits = &pool->permits;

    *news = (struct pool_news){.held = permits->held,
                               .waiting = permits->queue.length,
                               .peak = permits->held_peak,
                               .limit = pool->adaptive.limit,
                               .permits = permits,
                               .started = permits->acquired != pool->acquired_before,
                               .now_ns = pool_lease_clock_ns()};
    news->cuts = fresh_cuts_count(&pool->cuts, news->now_ns);
    news->cuts_next_ns = fresh_cuts_next_ns(&pool->cuts, news->now_ns);
    if (pool->peak_before < permits->held_peak)
        pool->peak_before = permits->held_peak;
    permits->held_peak = permits->held;
    pool->acquired_before = permits->acquired;
    if (pool->asking) /* what it asks is seen: the next may be posted */
        mailbox_cancel(pool->lender, pool->asks);
    pool->asking = false;
}

void pool_note_cut(struct pool *pool, int64_t way_ns)
{
    pthread_mutex_lock(&pool->lock);
    fresh_cuts_note(&pool->cuts, way_ns, pool_lease_clock_ns());
    pthread_mutex_unlock(&pool->lock);
}

void pool_lend(struct pool *pool, pool_lend_fn lend, pool_lent_fn lent, void *arg)
{
    struct pool_news news;
    struct bells bells;

    bells.any = false;
    pthread_mutex_lock(&pool->lock);
    PRE(pool->permits.leased);
    see_locked(pool, &news);
    lend(arg, &news, &pool->lease);
    atomic_store_explicit(&pool->is_void, pool->lease.is_void, memory_order_relaxed);
    pool_obey_limit_locked(pool, pool->permits.queue_size_asked);
    pool_spread_news_locked(pool, pool_now_locked(pool), &bells);
    pool->lease.listens |= pool->permits.shrinking;
    lent(arg, &news);
    pthread_mutex_unlock(&pool->lock);
    pool_ring(pool, &bells, NULL);
}

void pool_set_turns(struct pool *pool, void (*set)(void *arg, struct permit_pool *permits), void *arg)
{
    struct bells bells;

    bells.any = false;
    pthread_mutex_lock(&pool->lock);
    set(arg, &pool->permits);
    pool_spread_news_locked(pool, pool_now_locked(pool), &bells);
    pthread_mutex_unlock(&pool->lock);
    pool_ring(pool, &bells, NULL);
}
