#include "core/permit.h"

#include "base/invariant.h"

void permit_pool_init(struct permit_pool *pool, uint32_t size, uint32_t queue_size)
{
    *pool = (struct permit_pool){
        .size = size, .queue_size = queue_size, .size_asked = size, .queue_size_asked = queue_size};
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
    PRE(pool->held < pool->size && permit->state != PERMIT_HELD);
    permit->state = PERMIT_HELD;
    pool->acquired++;
    pool->held++;
    if (pool->held > pool->held_peak)
        pool->held_peak = pool->held;
}

enum permit_answer permit_acquire(struct permit_pool *pool, struct permit *permit)
{
    MUST_HOLD(permit->state == PERMIT_FREE && list_is_empty(&permit->node));
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
    PRE(pool->waiting > 0);
    pool->waiting--;
    return CONTAINER_OF(node, struct permit, node);
}

static uint32_t at_least(uint32_t asked, uint32_t in_use)
{
    return in_use > asked ? in_use : asked;
}

/* Brings the bounds as near to what was asked for as those who are in allow. */
static void settle(struct permit_pool *pool)
{
    pool->size = at_least(pool->size_asked, pool->held);
    pool->queue_size = at_least(pool->queue_size_asked, pool->waiting);
    pool->shrinking = pool->size != pool->size_asked || pool->queue_size != pool->queue_size_asked;
    POST(pool->held <= pool->size && pool->waiting <= pool->queue_size);
}

void permit_pool_resize(struct permit_pool *pool, uint32_t size, uint32_t queue_size)
{
    pool->size_asked = size;
    pool->queue_size_asked = queue_size;
    settle(pool);
}

struct permit *permit_grant_next(struct permit_pool *pool)
{
    struct permit *next = pool->held < pool->size ? take_first_waiter(pool) : NULL;

    if (next != NULL)
        grant(pool, next);
    if (pool->shrinking)
        settle(pool);
    return next;
}

struct permit *permit_give_back(struct permit_pool *pool, struct permit *permit)
{
    enum permit_state had = permit->state;

    PRE(had != PERMIT_HELD || pool->held > 0);
    PRE((had == PERMIT_WAITING) == !list_is_empty(&permit->node));
    permit->state = PERMIT_FREE;
    if (had == PERMIT_WAITING) {
        list_remove(&permit->node);
        pool->waiting--;
    }
    if (had == PERMIT_HELD) {
        pool->held--;
        pool->released++;
    }
    if (pool->shrinking)
        settle(pool);
    return had == PERMIT_HELD ? permit_grant_next(pool) : NULL;
}

bool permit_pool_is_sound(const struct permit_pool *pool)
{
    uint32_t linked = 0;

    LIST_FOREACH(node, &pool->waiters)
        linked++;
    return pool->held <= pool->size && pool->size_asked <= pool->size &&
           pool->acquired - pool->released == pool->held && linked == pool->waiting &&
           pool->waiting <= pool->queue_size && (pool->waiting == 0 || pool->held == pool->size);
}
