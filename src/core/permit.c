#include "core/permit.h"

#include <assert.h>

void permit_pool_init(struct permit_pool *pool, uint32_t size, uint32_t queue_size)
{
    *pool = (struct permit_pool){.size = size, .queue_size = queue_size};
    list_init(&pool->waiters);
}

void permit_init(struct permit *permit, uint32_t worker)
{
    permit->state = PERMIT_FREE;
    permit->worker = worker;
    list_init(&permit->node);
}

static void grant(struct permit_pool *pool, struct permit *permit)
{
    permit->state = PERMIT_HELD;
    pool->acquired++;
    pool->held++;
    if (pool->held > pool->held_peak)
        pool->held_peak = pool->held;
}

enum permit_answer permit_acquire(struct permit_pool *pool, struct permit *permit)
{
    assert(permit->state == PERMIT_FREE);
    if (pool->held < pool->size && pool->waiting == 0) {
        grant(pool, permit);
        return PERMIT_GRANTED;
    }
    if (pool->waiting >= pool->queue_size)
        return PERMIT_QUEUE_FULL;
    permit->state = PERMIT_WAITING;
    list_push_back(&pool->waiters, &permit->node);
    pool->waiting++;
    return PERMIT_QUEUED;
}

static struct permit *take_first_waiter(struct permit_pool *pool)
{
    struct list_node *node = list_take_front(&pool->waiters);

    if (node == NULL)
        return NULL;
    pool->waiting--;
    return CONTAINER_OF(node, struct permit, node);
}

struct permit *permit_give_back(struct permit_pool *pool, struct permit *permit)
{
    enum permit_state had = permit->state;
    struct permit *next;

    permit->state = PERMIT_FREE;
    if (had == PERMIT_WAITING) {
        list_remove(&permit->node);
        pool->waiting--;
    }
    if (had != PERMIT_HELD)
        return NULL;
    pool->held--;
    pool->released++;
    next = take_first_waiter(pool);
    if (next != NULL)
        grant(pool, next);
    return next;
}

bool permit_pool_is_sound(const struct permit_pool *pool)
{
    uint32_t linked = 0;

    LIST_FOREACH(node, &pool->waiters)
        linked++;
    return pool->held <= pool->size && pool->acquired - pool->released == pool->held &&
           linked == pool->waiting && pool->waiting <= pool->queue_size &&
           (pool->waiting == 0 || pool->held == pool->size);
}
