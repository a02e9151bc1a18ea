#include "core/permit_lent.h"

#include "base/invariant.h"
#include "base/number.h"

void permit_pool_use_lent(struct permit_pool *pool)
{
    PRE(pool->rate.period_ns > 0);
    if (pool->lent.is_on)
        return;
    pool->lent = (struct rate_lent){.is_on = true, .period_ns = 1};
    permit_pool_find_gate(pool);
}

void permit_pool_use_own(struct permit_pool *pool, int64_t first_ns)
{
    PRE(pool->rate.period_ns > 0);
    if (!pool->lent.is_on)
        return;
    pool->lent = (struct rate_lent){.owed = pool->lent.owed};
    pool->rate.next_ns = first_ns + pool->rate.slack_ns;
    permit_pool_find_gate(pool);
}

void permit_pool_leave_fleet(struct permit_pool *pool)
{
    if (pool->rate.period_ns > 0)
        permit_pool_use_own(pool, pool->lent.last_ns + pool->rate.period_ns);
    pool->shares_pause = pool->pause.waits = false;
}

uint32_t permit_pool_wants_slots(const struct permit_pool *pool, uint32_t size, int64_t now_ns)
{
    uint32_t waiting = pool->queue.length, free = size > pool->held ? size - pool->held : 0;

    if (!pool->lent.is_on || waiting == 0 || free == 0 || !pause_has_room(&pool->pause) ||
        pause_is_on(&pool->pause, now_ns) || rate_lent_left(&pool->lent, now_ns) > 0)
        return 0;
    if (pool->pause.round != 0 && free > pool->pause.bound - pool->pause.open)
        free = pool->pause.bound - pool->pause.open;
    return waiting < free ? waiting : free;
}

static int64_t wait_until_ns(const struct queue_place *place)
{
    return CONTAINER_OF(place, struct permit, place)->wait_until_ns;
}

int64_t permit_pool_patience_ns(const struct permit_pool *pool, int64_t now_ns)
{
    struct queue_place *first, *last;
    int64_t until_ns;

    if (!queue_ends(&pool->queue, &first, &last))
        return 0;
    until_ns = wait_until_ns(first) > wait_until_ns(last) ? wait_until_ns(first) : wait_until_ns(last);
    return until_ns > now_ns ? until_ns - now_ns : 0;
}

/* How one goes through a queue: each bucket in its order. */
struct trimming {
    const struct permit_pool *pool;
    int64_t from_ns;
    uint32_t buckets; /* that have waiters: they are served in turn */
    int bucket;       /* that it is in; -1: in none yet */
    uint32_t ahead;   /* of the next one in its bucket, of those that stay */
};

static int64_t slot_of(const struct trimming *trimming)
{
    return rate_lent_slot_ns(&trimming->pool->lent, trimming->ahead * trimming->buckets, trimming->from_ns);
}

static bool fits(const struct queue_place *place, void *arg)
{
    struct trimming *trimming = arg;

    if (trimming->pool->queue.shares != NULL && place->bucket != trimming->bucket) {
        trimming->bucket = place->bucket;
        trimming->ahead = 0;
    }
    if (slot_of(trimming) > wait_until_ns(place))
        return false;
    trimming->ahead++;
    return true;
}

void permit_pool_trim(struct permit_pool *pool, int64_t now_ns)
{
    bool is_paused = pause_is_on(&pool->pause, now_ns);
    struct trimming trimming = {
        .pool = pool, .from_ns = is_paused ? pool->pause.until_ns : now_ns, .buckets = 1, .bucket = -1};
    struct list_node out, *node;

    PRE(pool->lent.is_on);
    if (pool->queue.shares != NULL)
        trimming.buckets = (uint32_t)__builtin_popcountll(pool->queue.shares->filled);
    list_init(&out);
    queue_sweep(&pool->queue, fits, &trimming, &out);
    while ((node = list_take_front(&out)) != NULL) {
        struct queue_place *place = CONTAINER_OF(node, struct queue_place, node);
        struct permit *permit = CONTAINER_OF(place, struct permit, place);

        permit_put_out(pool, permit, PERMIT_RATE, slot_of(&trimming));
    }
    permit_pool_settle(pool);
}
