/*
 * What may start at a pool with a rate, or with pauses, by the world's own books: a bucket of time in place of the
 * pool's instant, and who holds a permit since when. Each start, wait and refusal is looked at where core/permit
 * decides it.
 */
#include <stdlib.h>
#include <string.h>

#include "call/pool_feedback.h"
#include "call/try.h"
#include "world.h"

bool __real_permit_acquire_at_once(struct permit_pool *permits, struct permit *permit, int64_t now_ns);
bool __wrap_permit_acquire_at_once(struct permit_pool *permits, struct permit *permit, int64_t now_ns);
enum permit_answer __real_permit_acquire(struct permit_pool *permits, struct permit *permit, int64_t now_ns);
enum permit_answer __wrap_permit_acquire(struct permit_pool *permits, struct permit *permit, int64_t now_ns);
struct permit *__real_permit_give_back(struct permit_pool *permits, struct permit *permit, int64_t now_ns);
struct permit *__wrap_permit_give_back(struct permit_pool *permits, struct permit *permit, int64_t now_ns);
struct permit *__real_permit_next(struct permit_pool *permits, int64_t now_ns);
struct permit *__wrap_permit_next(struct permit_pool *permits, int64_t now_ns);
void __real_permit_pass_on(struct permit *from, struct permit *to);
void __wrap_permit_pass_on(struct permit *from, struct permit *to);
void __real_permit_start_again(struct permit_pool *permits, int64_t now_ns);
void __wrap_permit_start_again(struct permit_pool *permits, int64_t now_ns);
enum try_step __real_try_reconnect(struct try *try);
enum try_step __wrap_try_reconnect(struct try *try);
void __real_pool_feedback(struct pool *pool, struct loop *loop, const struct pool_ticket *ticket,
                          const struct route_config *route, const struct http1_head *head);
void __wrap_pool_feedback(struct pool *pool, struct loop *loop, const struct pool_ticket *ticket,
                          const struct route_config *route, const struct http1_head *head);

static struct world_pool *pool_of(struct permit_pool *permits)
{
    return CONTAINER_OF(CONTAINER_OF(permits, struct pool, permits), struct world_pool, pool);
}

/* ---- the rate ------------------------------------------------------------------------------------------ */

/* What is left of the bucket then: below 0, where starts were not asked to wait. */
static int64_t left_at(const struct world_starts *starts, int64_t now_ns)
{
    int64_t left_ns = starts->left_ns + (now_ns - starts->seen_ns);

    return left_ns < starts->full_ns ? left_ns : starts->full_ns;
}

static void take_slot(struct world_starts *starts, int64_t now_ns)
{
    starts->left_ns = left_at(starts, now_ns) - starts->period_ns;
    starts->seen_ns = now_ns;
    starts->counted += starts->period_ns != 0;
}

static bool is_paused(const struct world_starts *starts)
{
    return the_world->now_ns < starts->paused_until_ns;
}

/* When a newcomer would start behind so many, if each of them did as early as can be. */
static int64_t slot_behind(const struct world_starts *starts, uint32_t ahead)
{
    int64_t at_ns = is_paused(starts) ? starts->paused_until_ns : the_world->now_ns;
    int64_t left_ns = left_at(starts, at_ns);

    for (uint32_t i = 0; starts->period_ns != 0 && i <= ahead; i++) {
        if (left_ns < starts->period_ns) {
            at_ns += starts->period_ns - left_ns;
            left_ns = starts->period_ns;
        }
        left_ns -= starts->period_ns;
    }
    return at_ns;
}

/* What was used of the old rate stays used, but is at most a whole burst of the new one. */
static void set_rate(struct world_starts *starts, int64_t period_ns, uint32_t burst, int64_t now_ns)
{
    int64_t used_ns = starts->full_ns - left_at(starts, now_ns);

    starts->period_ns = period_ns;
    starts->full_ns = burst * period_ns;
    starts->left_ns = starts->full_ns - (used_ns < starts->full_ns ? used_ns : starts->full_ns);
    starts->seen_ns = now_ns;
}

void starts_set(struct world_pool *pool, uint32_t rate_per_hour, uint32_t burst, bool pauses)
{
    int64_t hour_ns = 3600 * NS_PER_S;

    set_rate(&pool->starts, rate_per_hour != 0 ? (hour_ns + rate_per_hour - 1) / rate_per_hour : 0, burst,
             the_world->now_ns);
    pool->starts.pauses = pauses;
    if (!pauses)
        pool->starts.paused_until_ns = pool->starts.bound = 0;
}

/* ---- who holds what ------------------------------------------------------------------------------------ */

/* The ones that have started since the pause's end. */
static uint32_t count_open(const struct world_starts *starts)
{
    uint32_t open = 0;

    for (uint32_t i = 0; i < starts->holder_count; i++)
        open += starts->holders[i].round == starts->round;
    return open;
}

static bool has_room(const struct world_starts *starts)
{
    return starts->bound == 0 || count_open(starts) < starts->bound;
}

static struct world_holder *holder_of(struct world_starts *starts, const struct permit *permit)
{
    for (uint32_t i = 0; i < starts->holder_count; i++)
        if (starts->holders[i].permit == permit)
            return &starts->holders[i];
    return NULL;
}

static void note_start(struct world_pool *pool, const struct permit *permit)
{
    struct world *world = the_world;
    struct world_starts *starts = &pool->starts;

    CHECK(world, !is_paused(starts) && has_room(starts));
    CHECK(world, starts->period_ns == 0 || left_at(starts, world->now_ns) >= starts->period_ns);
    CHECK(world, permit->start_by_ns >= world->now_ns || !pool->pool.timed);
    CHECK(world, holder_of(starts, permit) == NULL && starts->holder_count < WORLD_HOLDERS);
    world->slow_starts += starts->bound != 0;
    take_slot(starts, world->now_ns);
    starts->holders[starts->holder_count++] =
        (struct world_holder){permit, starts->bound != 0 ? starts->round : 0};
}

static void note_end(struct world_starts *starts, const struct permit *permit)
{
    struct world_holder *holder = holder_of(starts, permit);

    CHECK(the_world, holder != NULL);
    *holder = starts->holders[--starts->holder_count];
}

/* One that comes out of the queue. */
static struct permit *note_news(struct world_pool *pool, struct permit *permit)
{
    struct world_starts *starts = &pool->starts;

    if (permit == NULL)
        return NULL;
    if (permit->state == PERMIT_HELD) {
        the_world->late_starts += starts->period_ns != 0;
        note_start(pool, permit);
    } else if (permit->refused == PERMIT_PAUSED) {
        CHECK(the_world, is_paused(starts) && permit->slot_ns == starts->paused_until_ns);
        CHECK(the_world, permit->wait_until_ns < permit->slot_ns);
        the_world->put_out++;
    } else {
        CHECK(the_world, permit->refused == PERMIT_TOO_LATE && permit->start_by_ns < the_world->now_ns);
    }
    return permit;
}

/* ---- what core/permit decides -------------------------------------------------------------------------- */

bool __wrap_permit_acquire_at_once(struct permit_pool *permits, struct permit *permit, int64_t now_ns)
{
    uint32_t ahead = permits->queue.length;
    bool granted = __real_permit_acquire_at_once(permits, permit, now_ns);

    CHECK(the_world, !granted || ahead == 0); /* nobody overtakes who waits */
    if (granted)
        note_start(pool_of(permits), permit);
    return granted;
}

/* Who is refused could not have waited for its slot, or found no place; who waits can. */
static void check_wait(struct world_pool *pool, const struct permit *permit, uint32_t ahead,
                       enum permit_answer answer)
{
    struct world *world = the_world;
    const struct world_starts *starts = &pool->starts;
    bool is_held_back = is_paused(starts) || !has_room(starts);
    bool is_full = ahead >= pool->pool.permits.queue_size;
    int64_t slot_ns = slot_behind(starts, ahead);

    if (answer == PERMIT_QUEUED) {
        CHECK(world, slot_ns <= permit->wait_until_ns || slot_ns <= world->now_ns || !pool->pool.timed);
        return;
    }
    if (answer < PERMIT_RATE)
        return;
    CHECK(world, answer == (is_held_back ? PERMIT_PAUSED : PERMIT_RATE));
    CHECK(world, permit->slot_ns == slot_ns);
    CHECK(world, slot_ns > permit->wait_until_ns || is_full);
    world->no_slots += answer == PERMIT_RATE;
    world->paused_away += answer == PERMIT_PAUSED;
}

enum permit_answer __wrap_permit_acquire(struct permit_pool *permits, struct permit *permit, int64_t now_ns)
{
    uint32_t ahead = permits->queue.length;
    enum permit_answer answer = __real_permit_acquire(permits, permit, now_ns);
    struct world_pool *pool = pool_of(permits);

    CHECK(the_world, now_ns == the_world->now_ns || !pool->pool.timed);
    if (answer == PERMIT_GRANTED) {
        CHECK(the_world, ahead == 0);
        note_start(pool, permit);
    } else {
        check_wait(pool, permit, ahead, answer);
    }
    return answer;
}

struct permit *__wrap_permit_give_back(struct permit_pool *permits, struct permit *permit, int64_t now_ns)
{
    struct world_pool *pool = pool_of(permits);

    if (permit->state == PERMIT_HELD)
        note_end(&pool->starts, permit);
    return note_news(pool, __real_permit_give_back(permits, permit, now_ns));
}

struct permit *__wrap_permit_next(struct permit_pool *permits, int64_t now_ns)
{
    return note_news(pool_of(permits), __real_permit_next(permits, now_ns));
}

void __wrap_permit_pass_on(struct permit *from, struct permit *to)
{
    struct world_holder *holder = NULL;

    for (uint32_t i = 0; i < POOLS && holder == NULL; i++)
        holder = holder_of(&the_world->pools[i].starts, from);
    CHECK(the_world, holder != NULL);
    holder->permit = to;
    __real_permit_pass_on(from, to);
}

/* On a fresh connection, which takes a slot, and is not asked to wait for it. */
void __wrap_permit_start_again(struct permit_pool *permits, int64_t now_ns)
{
    __real_permit_start_again(permits, now_ns);
    take_slot(&pool_of(permits)->starts, the_world->now_ns);
    the_world->started_again++;
}

enum try_step __wrap_try_reconnect(struct try *try)
{
    uint64_t before = the_world->started_again;
    enum try_step step = __real_try_reconnect(try);

    CHECK(the_world, try->plan.route->waits == NULL || the_world->started_again > before);
    return step;
}

/* ---- what an API asks for ------------------------------------------------------------------------------ */

/* How long, in milliseconds, as its fields have it; below 0: nothing that can be read. */
static double read_wait_ms(const struct http1_head *head)
{
    double wait_ms = -1;

    for (uint32_t i = 0; i < head->field_count; i++) {
        bool is_ms = span_eq_nocase(head->fields[i].name, SPAN_LIT("retry-after-ms"));
        struct span value = head->fields[i].value;
        char text[16] = "";

        if (!is_ms && !span_eq_nocase(head->fields[i].name, SPAN_LIT("retry-after")))
            continue;
        memcpy(text, value.ptr, value.len < 15 ? value.len : 15);
        if (text[0] >= '0' && text[0] <= '9')
            wait_ms = is_ms ? strtod(text, NULL) : 1000 * strtod(text, NULL);
    }
    return wait_ms;
}

/* A pause is as long as the longest of what was asked for; behind it, one at first. */
static void note_pause(struct world_pool *pool, double wait_ms)
{
    struct world_starts *starts = &pool->starts;
    int64_t wait_ns = (int64_t)(wait_ms * (double)NS_PER_MS + 0.5), until_ns;

    if (wait_ns > starts->pause_max_ns)
        wait_ns = starts->pause_max_ns;
    until_ns = the_world->now_ns + wait_ns;
    if (!starts->pauses || wait_ns <= 0 || until_ns <= starts->paused_until_ns)
        return;
    the_world->pauses += !is_paused(starts);
    the_world->longer += is_paused(starts);
    starts->paused_until_ns = until_ns;
    starts->bound = 1;
    starts->round++;
}

/* Twice as many, until that is no bound any more. */
static void note_good(struct world_pool *pool, const struct permit *permit)
{
    struct world_starts *starts = &pool->starts;
    const struct world_holder *holder = holder_of(starts, permit);

    CHECK(the_world, holder != NULL);
    if (starts->bound == 0 || holder->round != starts->round)
        return;
    starts->bound *= 2;
    if (starts->bound < pool->size)
        return;
    starts->bound = 0;
    the_world->recovered++;
}

void __wrap_pool_feedback(struct pool *pool, struct loop *loop, const struct pool_ticket *ticket,
                          const struct route_config *route, const struct http1_head *head)
{
    struct world *world = the_world;
    struct world_pool *it = CONTAINER_OF(pool, struct world_pool, pool);
    const struct world_starts *starts = &it->starts;
    bool asks = head->code == 429 || (head->code == 503 && starts->pauses_at_503);

    if (starts->pause_max_ns != 0 && asks)
        note_pause(it, read_wait_ms(head));
    else if (starts->pause_max_ns != 0 && head->code < 400)
        note_good(it, &ticket->permit);
    __real_pool_feedback(pool, loop, ticket, route, head);
    CHECK(world, is_paused(starts) == pause_is_on(&pool->permits.pause, world->now_ns));
    CHECK(world, !is_paused(starts) || pool_paused_until_ns(pool) == starts->paused_until_ns);
}

/* ---- looked at after each step, and before time goes on ------------------------------------------------ */

void starts_check(struct world *world, const struct world_pool *pool)
{
    const struct permit_pool *permits = &pool->pool.permits;
    const struct world_starts *starts = &pool->starts;

    CHECK(world, starts->holder_count == permits->held && starts->counted == permits->rate_started);
    CHECK(world, permits->queue.length == 0 || permits->held == permits->size || starts->period_ns != 0 ||
                     starts->bound != 0);
}

bool starts_may_wait(const struct world_pool *pool, int64_t wait_until_ns)
{
    return !is_paused(&pool->starts) || wait_until_ns >= pool->starts.paused_until_ns;
}

/* Nobody waits beside a free permit but for those who are open after a pause, or for an instant that is still to come. */
void starts_check_next(struct world *world, const struct world_pool *pool, int64_t next_ns)
{
    const struct permit_pool *permits = &pool->pool.permits;

    if (permits->queue.length == 0 || permits->held == permits->size || !has_room(&pool->starts))
        return;
    CHECK(world, slot_behind(&pool->starts, 0) > world->now_ns);
    CHECK(world, slot_behind(&pool->starts, 0) >= next_ns);
}
