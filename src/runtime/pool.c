#include "runtime/pool.h"

#include <errno.h>
#include <sys/random.h>

#include "base/hash.h"
#include "base/invariant.h"
#include "base/mem.h"
#include "base/number.h"
#include "runtime/loop.h"
#include "runtime/pool_locked.h"

/* A queue that is shared, and what makes its buckets this process's own. */
struct pool_shares {
    struct queue_shares queue;
    uint64_t key[2];
};

#define HOUR_NS (3600 * NS_PER_S)

static void look(struct pool *pool, bool is_woken);

static void woken(struct mail *mail)
{
    look(CONTAINER_OF(mail, struct pool, wake), true);
}

static void time_has_come(struct timer *timer, int64_t now_ns)
{
    (void)now_ns;
    look(CONTAINER_OF(timer, struct pool, timer), false);
}

enum status pool_init(struct pool *pool, uint32_t size, uint32_t queue_size, struct loop *const *workers,
                      uint32_t worker_count)
{
    PRE(worker_count <= POOL_LOOPS_MAX);
    *pool = (struct pool){
        .workers = workers, .worker_count = worker_count, .home = workers[0], .armed_ns = NS_NEVER};
    permit_pool_init(&pool->permits, size, queue_size);
    adaptive_init(&pool->adaptive, size, 0);
    mail_init(&pool->wake, woken);
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
    PRE(pool->permits.held == 0 && pool->permits.queue.length == 0);
    PRE(!pool->keeps_time);
    pthread_mutex_destroy(&pool->lock);
    mem_free(pool->shares);
    mem_free(pool->held_by);
}

static void set_keeps_time(struct pool *pool, bool keeps_time)
{
    pthread_mutex_lock(&pool->lock);
    pool->keeps_time = keeps_time;
    pthread_mutex_unlock(&pool->lock);
}

enum status pool_keep_time(struct pool *pool)
{
    PRE(loop_is_own(pool->home));
    if (timer_init(&pool->home->timers, &pool->timer, time_has_come) != ST_OK)
        return ST_NOMEM;
    set_keeps_time(pool, true);
    return ST_OK;
}

void pool_stop_time(struct pool *pool)
{
    PRE(loop_is_own(pool->home));
    if (pool->timer.fn == NULL)
        return;
    set_keeps_time(pool, false);
    mailbox_cancel(&pool->home->mailbox, &pool->wake);
    timer_fini(&pool->home->timers, &pool->timer);
}

void pool_ticket_init(struct pool_ticket *ticket, const struct loop *owner, mail_fn news)
{
    permit_init(&ticket->permit, owner->index);
    mail_init(&ticket->news, news);
}

/* The home's thread: does what time has brought about, and sets the timer to when there will be more of it. */
static void look(struct pool *pool, bool is_woken)
{
    struct bells bells;
    int64_t now_ns, due_ns;

    PRE(loop_is_own(pool->home));
    bells.any = false;
    pthread_mutex_lock(&pool->lock);
    if (is_woken)
        pool->waking = false;
    now_ns = pool_now_locked(pool);
    pool_tell_all_locked(pool, permit_next(&pool->permits, now_ns), now_ns, &bells);
    due_ns = pool->armed_ns =
        pool->permits.gate != PERMIT_GATE_NONE ? permit_pool_due_ns(&pool->permits, now_ns) : NS_NEVER;
    if (pool_wants_slots_locked(pool, now_ns))
        pool_ask_locked(pool, &bells);
    pthread_mutex_unlock(&pool->lock);
    timer_set(&pool->home->timers, &pool->timer, due_ns);
    pool_ring(pool, &bells, pool->home);
}

bool pool_acquire_by_clock_and_unlock(struct pool *pool, struct pool_ticket *ticket)
{
    bool granted = permit_acquire_at_once(&pool->permits, &ticket->permit, pool_now_locked(pool));

    if (granted)
        pool->held_by[ticket->permit.worker]++;
    pthread_mutex_unlock(&pool->lock);
    return granted;
}

/* Where more than a permit is asked for, or none is free: apart, as most calls find one. Unlocks. */
static __attribute__((noinline)) enum permit_answer acquire_and_unlock(struct pool *pool,
                                                                       struct pool_ticket *ticket)
{
    struct bells bells;
    enum permit_answer answer;
    int64_t now_ns;

    bells.any = false;
    now_ns = pool_now_locked(pool);
    /* If the home is late, those whose slot has come are no reason to refuse a newcomer. */
    if (pool->permits.gate != PERMIT_GATE_NONE && pool->permits.queue.length != 0)
        pool_spread_news_locked(pool, now_ns, &bells);
    answer = permit_acquire(&pool->permits, &ticket->permit, now_ns);
    if (answer == PERMIT_GRANTED)
        pool->held_by[ticket->permit.worker]++;
    else if (answer == PERMIT_QUEUED)
        pool_spread_news_locked(pool, now_ns, &bells);
    if (pool->permits.leased && answer != PERMIT_GRANTED)
        pool_ask_locked(pool, &bells);
    pthread_mutex_unlock(&pool->lock);
    pool_ring(pool, &bells, pool->workers[ticket->permit.worker]);
    return answer;
}

enum permit_answer pool_acquire(struct pool *pool, struct pool_ticket *ticket)
{
    const struct permit_pool *permits = &pool->permits;
    enum permit_answer answer;

    PRE(ticket->permit.worker < pool->worker_count);
    PRE(loop_is_own(pool->workers[ticket->permit.worker]));
    ticket->mailed = false;
    pthread_mutex_lock(&pool->lock);
    if (pool->timed || permits->gate != PERMIT_GATE_NONE || permits->queue.length != 0 ||
        permits->held >= permits->size)
        return acquire_and_unlock(pool, ticket);
    answer = permit_acquire(&pool->permits, &ticket->permit, 0);
    pool->held_by[ticket->permit.worker]++;
    pthread_mutex_unlock(&pool->lock);
    POST(answer == PERMIT_GRANTED);
    return answer;
}

/* Where somebody has news by that: apart, as mostly nobody waits. Unlocks. */
static __attribute__((noinline)) void give_back_and_unlock(struct pool *pool, struct pool_ticket *ticket)
{
    struct loop *own = pool->workers[ticket->permit.worker];
    struct bells bells;
    struct permit *next;
    int64_t now_ns;

    bells.any = false;
    if (ticket->permit.state == PERMIT_HELD)
        pool->held_by[ticket->permit.worker]--;
    if (ticket->mailed)
        mailbox_cancel(&own->mailbox, &ticket->news);
    now_ns = pool->permits.queue.length != 0 ? pool_now_locked(pool) : 0;
    next = permit_give_back(&pool->permits, &ticket->permit, now_ns);
    pool_tell_all_locked(pool, next, now_ns, &bells);
    if (pool->permits.gate != PERMIT_GATE_NONE) {
        pool_wake_home_locked(pool, now_ns, &bells);
        if (pool->permits.leased && (pool->lease.listens || pool_wants_slots_locked(pool, now_ns)))
            pool_ask_locked(pool, &bells);
    }
    pthread_mutex_unlock(&pool->lock);
    pool_ring(pool, &bells, own);
}

void pool_give_back(struct pool *pool, struct pool_ticket *ticket)
{
    const struct permit *next;

    PRE(loop_is_own(pool->workers[ticket->permit.worker]));
    pthread_mutex_lock(&pool->lock);
    PRE(ticket->permit.state != PERMIT_HELD || pool->held_by[ticket->permit.worker] > 0);
    if (ticket->permit.state != PERMIT_HELD || ticket->mailed || pool->permits.queue.length != 0 ||
        pool->lease.listens) {
        give_back_and_unlock(pool, ticket);
        return;
    }
    pool->held_by[ticket->permit.worker]--;
    next = permit_give_back(&pool->permits, &ticket->permit, 0);
    pthread_mutex_unlock(&pool->lock);
    POST(next == NULL);
}

void pool_pass_on(struct pool_ticket *from, struct pool_ticket *to)
{
    permit_pass_on(&from->permit, &to->permit); /* of one worker: held_by stays right */
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

static void set_locked(struct pool *pool, const struct pool_terms *terms)
{
    uint32_t per_hour = terms->rate_per_hour;

    pool->timed = terms->timed;
    pool->rate_per_hour = per_hour;
    pool->fleet_per_hour = terms->fleet_per_hour;
    if (!terms->is_leased || !pool->permits.leased) { /* what was lent holds while it stays leased */
        pool->lease = (struct pool_lease){.until_ns = NS_NEVER};
        atomic_store_explicit(&pool->is_void, false, memory_order_relaxed);
    }
    permit_pool_set_leased(&pool->permits, terms->is_leased);
    atomic_store_explicit(&pool->is_leased, terms->is_leased, memory_order_relaxed);
    if (!terms->is_leased)
        permit_pool_leave_fleet(&pool->permits);
    adaptive_change(&pool->adaptive, terms->size, terms->adapt_min);
    pool_obey_limit_locked(pool, terms->queue_size);
    permit_pool_set_rate(&pool->permits, per_hour != 0 ? rate_period_ns(per_hour, HOUR_NS) : 0,
                         terms->rate_burst, loop_clock_ns());
    if (terms->is_shared != (pool->permits.queue.shares != NULL))
        (void)queue_share(&pool->permits.queue, terms->is_shared ? &pool->shares->queue : NULL);
    pool->pauses = terms->pauses;
    if (!terms->pauses)
        permit_pool_unpause(&pool->permits);
    pool_note_pause_locked(pool);
}

enum status pool_make_sharable(struct pool *pool)
{
    struct pool_shares *shares;

    if (pool->shares != NULL)
        return ST_OK;
    shares = mem_zalloc(sizeof(*shares));
    if (shares == NULL)
        return ST_NOMEM;
    if (getrandom(shares->key, sizeof(shares->key), 0) != sizeof(shares->key)) {
        mem_free(shares);
        return ST_NOMEM;
    }
    pool->shares = shares;
    return ST_OK;
}

uint8_t pool_bucket(const struct pool *pool, struct span key)
{
    if (pool->shares == NULL)
        return 0;
    return (uint8_t)(hash_keyed(pool->shares->key, key.ptr, key.len) % QUEUE_BUCKETS);
}

void pool_set(struct pool *pool, const struct pool_terms *terms)
{
    struct bells bells;

    bells.any = false;
    pthread_mutex_lock(&pool->lock);
    set_locked(pool, terms);
    pool_spread_news_locked(pool, pool_now_locked(pool), &bells);
    pthread_mutex_unlock(&pool->lock);
    pool_ring(pool, &bells, NULL);
}

void pool_restart(struct pool *pool, const struct pool_terms *terms)
{
    pthread_mutex_lock(&pool->lock);
    PRE(pool->permits.held == 0 && pool->permits.queue.length == 0 && pool->ghosts == 0);
    permit_pool_init(&pool->permits, terms->size, terms->queue_size);
    adaptive_init(&pool->adaptive, terms->size, 0);
    set_locked(pool, terms);
    pool->audit_errors = 0;
    pool->peak_before = 0;
    pool->acquired_before = 0;
    pthread_mutex_unlock(&pool->lock);
}

static void adapt(struct pool *pool, struct loop *own, bool is_good)
{
    struct bells bells;
    bool changed;

    PRE(loop_is_own(own));
    bells.any = false;
    pthread_mutex_lock(&pool->lock);
    changed = is_good ? adaptive_note_good(&pool->adaptive, pool->permits.held, loop_now(own))
                      : adaptive_note_refused(&pool->adaptive, loop_now(own));
    if (changed) {
        pool_obey_limit_locked(pool, pool->permits.queue_size_asked);
        pool_spread_news_locked(pool, pool_now_locked(pool), &bells);
    }
    pthread_mutex_unlock(&pool->lock);
    pool_ring(pool, &bells, own);
}

void pool_note_refused(struct pool *pool, struct loop *own)
{
    adapt(pool, own, false);
}

void pool_note_good(struct pool *pool, struct loop *own)
{
    if (atomic_load_explicit(&pool->lowered, memory_order_relaxed))
        adapt(pool, own, true);
}

void pool_pause(struct pool *pool, const struct loop *own, int64_t until_ns)
{
    struct bells bells;
    int64_t now_ns;

    PRE(loop_is_own(own));
    bells.any = false;
    pthread_mutex_lock(&pool->lock);
    if (pool->pauses) {
        now_ns = pool_now_locked(pool);
        permit_pool_pause(&pool->permits, until_ns, now_ns);
        pool_spread_news_locked(pool, now_ns, &bells);
        if (pool->permits.shares_pause)
            pool_ask_locked(pool, &bells);
    }
    pthread_mutex_unlock(&pool->lock);
    pool_ring(pool, &bells, own);
}

void pool_answered(struct pool *pool, const struct pool_ticket *ticket)
{
    struct bells bells;

    bells.any = false;
    pthread_mutex_lock(&pool->lock);
    permit_answered(&pool->permits, &ticket->permit);
    if (pool->permits.shares_pause)
        pool_ask_locked(pool, &bells);
    pool_spread_news_locked(pool, pool_now_locked(pool), &bells);
    pthread_mutex_unlock(&pool->lock);
    pool_ring(pool, &bells, pool->workers[ticket->permit.worker]);
}

void pool_start_again(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    permit_start_again(&pool->permits, pool_now_locked(pool));
    pthread_mutex_unlock(&pool->lock);
}

static int64_t pause_left_locked(const struct pool *pool)
{
    const struct pause *pause = &pool->permits.pause;
    int64_t now_ns = pool->pauses ? loop_clock_ns() : 0;

    return pool->pauses && pause_is_on(pause, now_ns) ? pause->until_ns - now_ns : 0;
}

int64_t pool_paused_until_ns(struct pool *pool)
{
    int64_t until_ns = atomic_load_explicit(&pool->paused_until_ns, memory_order_relaxed);

    return until_ns != 0 && until_ns > loop_clock_ns() ? until_ns : 0;
}

struct pool_figures pool_figures(struct pool *pool)
{
    struct pool_figures figures;

    pthread_mutex_lock(&pool->lock);
    figures = (struct pool_figures){
        .limit = pool->adaptive.limit,
        .held = pool->permits.held,
        .held_peak = pool->permits.held_peak,
        .waiting = pool->permits.queue.length,
        .ghosts = pool->ghosts,
        .has_rate = pool->rate_per_hour != 0,
        .rate_limit = (pool->permits.lent.is_on ? pool->fleet_per_hour : pool->rate_per_hour) / 3600.0,
        .rate_started = pool->permits.rate_started,
        .has_pause = pool->pauses,
        .pause_seconds = (double)pause_left_locked(pool) * 1e-9,
        .pauses = pool->permits.pause.count,
        .acquired = pool->permits.acquired,
        .released = pool->permits.released,
        .audit_errors = pool->audit_errors,
    };
    if (figures.held_peak < pool->peak_before)
        figures.held_peak = pool->peak_before;
    /* Of a smaller pool than before, it comes down as permits come back. Of what is lent, what may be used counts. */
    figures.size = pool->permits.size;
    if (!pool->permits.leased && pool->adaptive.size > figures.size)
        figures.size = pool->adaptive.size;
    if (pool->permits.leased && pool->lease.size < figures.limit)
        figures.limit = pool->lease.size;
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
