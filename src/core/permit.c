#include "core/permit.h"

#include "base/invariant.h"
#include "base/number.h"

void permit_pool_init(struct permit_pool *pool, uint32_t size, uint32_t queue_size)
{
    *pool = (struct permit_pool){
        .size = size, .queue_size = queue_size, .size_asked = size, .queue_size_asked = queue_size};
    queue_init(&pool->queue);
    list_init(&pool->put_out);
}

void permit_init(struct permit *permit, uint32_t worker)
{
    *permit = (struct permit){.worker = (uint16_t)worker, .start_by_ns = NS_NEVER, .wait_until_ns = NS_NEVER};
    list_init(&permit->place.node);
}

static struct permit *permit_of(struct queue_place *place)
{
    return CONTAINER_OF(place, struct permit, place);
}

/* ---- rate and pause ------------------------------------------------------------------------------------- */

/* The earliest instant at which rate and pause let one start that comes behind `ahead` others. */
static int64_t slot_ns(const struct permit_pool *pool, uint32_t ahead, int64_t now_ns)
{
    int64_t from_ns = pause_is_on(&pool->pause, now_ns) ? pool->pause.until_ns : now_ns;

    return pool->lent.is_on ? rate_lent_slot_ns(&pool->lent, ahead, from_ns)
                            : rate_slot_ns(&pool->rate, ahead, from_ns);
}

static bool gate_is_open(const struct permit_pool *pool, int64_t now_ns)
{
    const struct pause *pause = &pool->pause;

    if (pool->gate == PERMIT_GATE_NONE)
        return true;
    if (pause->round != 0 && (!pause_has_room(pause) || pause_is_on(pause, now_ns)))
        return false;
    return pool->lent.is_on ? rate_lent_is_open(&pool->lent, now_ns) : rate_is_open(&pool->rate, now_ns);
}

/* What a start takes of rate and pause. */
static void go_through_gate(struct permit_pool *pool, struct permit *permit, int64_t now_ns)
{
    PRE(gate_is_open(pool, now_ns));
    if (pool->gate == PERMIT_GATE_NONE)
        return;
    permit->round = pause_start(&pool->pause);
    permit_start_again(pool, now_ns);
}

/* Apart, as it is rare. */
static __attribute__((noinline)) bool pass_gate_of_more(struct permit_pool *pool, struct permit *permit,
                                                        int64_t now_ns)
{
    bool is_open = gate_is_open(pool, now_ns);

    if (is_open)
        go_through_gate(pool, permit, now_ns);
    return is_open;
}

/* False: it is closed. */
static bool pass_gate(struct permit_pool *pool, struct permit *permit, int64_t now_ns)
{
    if (pool->gate != PERMIT_GATE_RATE)
        return pool->gate == PERMIT_GATE_NONE || pass_gate_of_more(pool, permit, now_ns);
    PRE(permit->round == 0 && pool->pause.round == 0 && !pool->lent.is_on);
    if (!rate_try(&pool->rate, now_ns))
        return false;
    pool->rate_started++;
    return true;
}

void permit_pool_find_gate(struct permit_pool *pool)
{
    if (pool->pause.round != 0 || pool->leased || pool->lent.is_on)
        pool->gate = PERMIT_GATE_MORE;
    else
        pool->gate = pool->rate.period_ns != 0 ? PERMIT_GATE_RATE : PERMIT_GATE_NONE;
}

/* What holds back those who wait beside a free permit? */
static enum permit_answer find_obstacle(const struct permit_pool *pool, int64_t now_ns)
{
    return pause_is_on(&pool->pause, now_ns) || !pause_has_room(&pool->pause) ? PERMIT_PAUSED : PERMIT_RATE;
}

/* ---- starting ------------------------------------------------------------------------------------------- */

static void grant(struct permit_pool *pool, struct permit *permit)
{
    PRE(pool->held < pool->size && permit->state != PERMIT_HELD);
    permit->state = PERMIT_HELD;
    pool->acquired++;
    pool->held++;
    if (pool->held > pool->held_peak)
        pool->held_peak = pool->held;
}

void permit_start_again(struct permit_pool *pool, int64_t now_ns)
{
    if (pool->lent.is_on)
        rate_lent_take(&pool->lent, now_ns);
    else
        rate_take(&pool->rate, now_ns);
    pool->rate_started += pool->rate.period_ns != 0;
}

static enum permit_answer refuse(struct permit *permit, enum permit_answer why, int64_t at_ns)
{
    PRE(why > PERMIT_QUEUED);
    permit->state = PERMIT_FREE;
    permit->refused = why;
    permit->slot_ns = at_ns;
    return why;
}

void permit_put_out(struct permit_pool *pool, struct permit *permit, enum permit_answer why, int64_t at_ns)
{
    PRE(list_is_empty(&permit->place.node));
    (void)refuse(permit, why, at_ns);
    list_push_back(&pool->put_out, &permit->place.node);
}

/* A place for the newcomer, if somebody has to make room for it. */
static bool make_room(struct permit_pool *pool, const struct permit *permit)
{
    struct queue_place *place = queue_yielding(&pool->queue, permit->place.bucket);

    if (pool->queue_size == 0 || place == NULL)
        return false;
    queue_remove(&pool->queue, place);
    permit_put_out(pool, permit_of(place), PERMIT_QUEUE_FULL, 0);
    return true;
}

/* Apart, as most calls don't wait. */
static __attribute__((noinline)) enum permit_answer wait(struct permit_pool *pool, struct permit *permit,
                                                         int64_t now_ns)
{
    int64_t at_ns = now_ns;

    if (pool->gate != PERMIT_GATE_NONE)
        at_ns = slot_ns(pool, queue_ahead(&pool->queue, permit->place.bucket), now_ns);
    if (at_ns > now_ns && at_ns > permit->wait_until_ns)
        return refuse(permit, find_obstacle(pool, now_ns), at_ns);
    if (now_ns > permit->start_by_ns)
        return refuse(permit, PERMIT_TOO_LATE, 0);
    if (pool->queue.length >= pool->queue_size && !make_room(pool, permit)) {
        bool held_back = pool->held < pool->size && pool->gate != PERMIT_GATE_NONE;

        return refuse(permit, held_back ? find_obstacle(pool, now_ns) : PERMIT_QUEUE_FULL, at_ns);
    }
    permit->state = PERMIT_WAITING;
    queue_push(&pool->queue, &permit->place);
    return PERMIT_QUEUED;
}

/* Inlined where it is called, when the program is linked: every call comes by here. */
inline bool permit_acquire_at_once(struct permit_pool *pool, struct permit *permit, int64_t now_ns)
{
    MUST_HOLD(permit->state == PERMIT_FREE && list_is_empty(&permit->place.node));
    permit->refused = PERMIT_GRANTED;
    if (pool->held >= pool->size || pool->queue.length != 0 || !pass_gate(pool, permit, now_ns))
        return false;
    grant(pool, permit);
    return true;
}

enum permit_answer permit_acquire(struct permit_pool *pool, struct permit *permit, int64_t now_ns)
{
    return permit_acquire_at_once(pool, permit, now_ns) ? PERMIT_GRANTED : wait(pool, permit, now_ns);
}

/* ---- bounds that move ----------------------------------------------------------------------------------- */

static uint32_t at_least(uint32_t asked, uint32_t in_use)
{
    return in_use > asked ? in_use : asked;
}

/* Brings the bounds as near to what was asked for as those who are in allow. */
static void settle(struct permit_pool *pool)
{
    pool->size = at_least(pool->size_asked, pool->held);
    pool->queue_size = at_least(pool->queue_size_asked, pool->queue.length);
    pool->shrinking = pool->size != pool->size_asked || pool->queue_size != pool->queue_size_asked;
    POST(pool->held <= pool->size && pool->queue.length <= pool->queue_size);
}

void permit_pool_settle(struct permit_pool *pool)
{
    if (pool->shrinking)
        settle(pool);
}

void permit_pool_resize(struct permit_pool *pool, uint32_t size, uint32_t queue_size)
{
    pool->size_asked = size;
    pool->queue_size_asked = queue_size;
    settle(pool);
}

void permit_pool_set_rate(struct permit_pool *pool, int64_t period_ns, uint32_t burst, int64_t now_ns)
{
    rate_set(&pool->rate, period_ns, burst, now_ns);
    if (period_ns == 0)
        pool->lent = (struct rate_lent){0};
    permit_pool_find_gate(pool);
}

void permit_pool_set_leased(struct permit_pool *pool, bool leased)
{
    pool->leased = leased;
    permit_pool_find_gate(pool);
}

static bool fits(const struct queue_place *place, void *until_ns)
{
    return CONTAINER_OF(place, struct permit, place)->wait_until_ns >= *(const int64_t *)until_ns;
}

void permit_pool_pause(struct permit_pool *pool, int64_t until_ns, int64_t now_ns)
{
    struct list_node out, *node;

    if (!pause_begin(&pool->pause, until_ns, now_ns))
        return;
    pool->pause.waits = pool->shares_pause;
    permit_pool_find_gate(pool);
    list_init(&out);
    queue_sweep(&pool->queue, fits, &until_ns, &out);
    while ((node = list_take_front(&out)) != NULL)
        permit_put_out(pool, permit_of(CONTAINER_OF(node, struct queue_place, node)), PERMIT_PAUSED,
                       until_ns);
    permit_pool_settle(pool);
}

void permit_pool_unpause(struct permit_pool *pool)
{
    pause_forget(&pool->pause);
    permit_pool_find_gate(pool);
}

void permit_answered(struct permit_pool *pool, const struct permit *permit)
{
    pause_answered(&pool->pause, permit->round, pool->size_asked);
    permit_pool_find_gate(pool);
}

/* ---- giving back ---------------------------------------------------------------------------------------- */

struct permit *permit_next(struct permit_pool *pool, int64_t now_ns)
{
    struct list_node *node = list_take_front(&pool->put_out);
    struct queue_place *place;
    struct permit *next = NULL;

    if (node != NULL)
        return permit_of(CONTAINER_OF(node, struct queue_place, node));
    if (pool->queue.length == 0 || pool->held >= pool->size || !gate_is_open(pool, now_ns))
        return NULL;
    place = queue_take(&pool->queue);
    if (place != NULL) {
        next = permit_of(place);
        if (now_ns <= next->start_by_ns) {
            go_through_gate(pool, next, now_ns);
            grant(pool, next);
        } else {
            (void)refuse(next, PERMIT_TOO_LATE, 0);
        }
    }
    permit_pool_settle(pool);
    return next;
}

struct permit *permit_give_back(struct permit_pool *pool, struct permit *permit, int64_t now_ns)
{
    enum permit_state had = permit->state;

    PRE(had != PERMIT_HELD || pool->held > 0);
    PRE((had == PERMIT_WAITING) == !list_is_empty(&permit->place.node));
    permit->state = PERMIT_FREE;
    if (had == PERMIT_WAITING)
        queue_remove(&pool->queue, &permit->place);
    if (had == PERMIT_HELD) {
        pool->held--;
        pool->released++;
        if (permit->round != 0)
            pause_end(&pool->pause, permit->round);
        permit->round = 0;
    }
    permit_pool_settle(pool);
    PRE(list_is_empty(&pool->put_out));
    return had == PERMIT_HELD && pool->queue.length != 0 ? permit_next(pool, now_ns) : NULL;
}

void permit_pass_on(struct permit *from, struct permit *to)
{
    PRE(from->state == PERMIT_HELD && to->state == PERMIT_FREE && from->worker == to->worker);
    to->state = PERMIT_HELD;
    to->round = from->round;
    from->state = PERMIT_FREE;
    from->round = 0;
}

int64_t permit_pool_due_ns(const struct permit_pool *pool, int64_t now_ns)
{
    if (pool->queue.length == 0 || pool->held >= pool->size || !pause_has_room(&pool->pause) ||
        (pool->lent.is_on && rate_lent_left(&pool->lent, now_ns) == 0))
        return NS_NEVER;
    return slot_ns(pool, 0, now_ns);
}

bool permit_pool_is_sound(const struct permit_pool *pool)
{
    return pool->held <= pool->size && pool->size_asked <= pool->size &&
           pool->acquired - pool->released == pool->held && queue_is_sound(&pool->queue) &&
           pool->queue.length <= pool->queue_size && list_is_empty(&pool->put_out) &&
           (pool->queue.length == 0 || pool->held == pool->size || pool->gate != PERMIT_GATE_NONE);
}
