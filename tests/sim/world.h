#ifndef CURFEW_TESTS_SIM_WORLD_H
#define CURFEW_TESTS_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "core/budget.h"
#include "core/call_fsm.h"
#include "core/permit.h"
#include "core/timer.h"
#include "core/try_fsm.h"
#include "events.h"

/*
 * The simulated world: callers, threads, pools, and upstreams that misbehave, on one clock. It has books of its own
 * beside those of the code under test; world_check compares the two after every step.
 */
#define THREADS   3
#define UPSTREAMS 4
#define POOLS     3

struct world;
struct thread;
struct call;

struct sim_pool {
    struct permit_pool permits; /* under test */
    int64_t queue_timeout_ns;
    int64_t linger_ns;         /* 0: none */
    uint32_t ghosts;           /* that hold a permit of it */
    uint32_t in_work;          /* connections at upstreams, pending or open, on behalf of its calls */
    uint32_t size, queue_size; /* as last asked for */
    uint32_t allowed, largest; /* permits that may be held now: comes down as they come back; and ever */
    uint64_t granted;          /* by answer or by hand-over */
    uint64_t given_back;       /* by holders */
};

/* The permit of a call that was cut, held for a while. */
struct ghost {
    struct event over;
    struct permit permit;
    struct sim_pool *pool;
    struct thread *thread; /* of the call */
};

/* How an upstream and its callers behave; figures in per cent of the occasions. */
struct sim_upstream {
    uint32_t pool;
    int64_t deadline_ns, connect_ns, first_byte_ns, idle_ns; /* the route's policy */
    int64_t ceiling_ns; /* it is observed, and cuts nothing before; NS_NEVER: it is not */
    int64_t keep_ns, age_ns;
    uint32_t keep_max;
    uint32_t stalls, refuses, loses, garbles, drips, answers_early, closes_idle, callers_leave;
};

/* A connection to an upstream: of a call, or idle. */
struct conn {
    struct list_node node; /* in keepalive.idle, or the world's graves */
    struct event script;   /* what the upstream does to it next */
    struct thread *thread;
    struct sim_upstream *upstream;
    struct call *call; /* NULL: idle */
    int64_t opened_ns, idle_since_ns;
    int stage; /* of the connecting */
    bool open, reused;
    bool closed; /* by the upstream, unnoticed */
};

struct keepalive {
    struct list_node idle;
    struct timer expiry;
    struct thread *thread;
    struct sim_upstream *upstream;
    uint32_t count;
};

struct thread {
    struct world *world;
    struct timers timers;          /* under test */
    struct list_node mails, batch; /* of grants */
    struct event delivery;
    struct keepalive keepalive[UPSTREAMS];
};

/* What call/call is for the real ones. */
struct call {
    struct call_fsm fsm;  /* under test */
    struct try_fsm try;   /* its one try, likewise */
    struct permit permit; /* under test */
    struct timer timer;
    struct list_node node; /* in world.calls or .graves */
    struct list_node mail; /* linked: its grant is on its way */
    struct event script;   /* what it, its caller or its upstream does next */
    struct event leaving;
    struct world *world;
    struct thread *thread;
    struct sim_upstream *upstream;
    struct conn *conn;
    int64_t route_ns;               /* the fuzzer's: the deadline that its route has */
    int64_t deadline_ns, fixed_ns;  /* our own note of the deadline, and when it was last fixed */
    int64_t limit_ns, limit_set_ns; /* likewise of the limit */
    int64_t policy_ns,
        spared_ns;           /* and of an observed call's deadline, and of when it would have been cut, */
    enum phase spared_phase; /* in which phase, */
    enum cause limit_cause, spared_cause; /* and why: CAUSE_NONE if it would not */
    int64_t moved_ns;
    uint64_t number; /* its place among all that ever queued */
    bool counted, repeatable, replaced, upload_waits, delivery_waits, response_begun, reusable;
};

struct world {
    uint64_t seed, random;
    uint64_t calls_wanted, calls_begun;
    int64_t now_ns;
    bool patient; /* no deadlines, no limits, nobody stalls: only a lost wake-up can keep a call */
    bool drains;  /* ends with all calls in flight turned away */
    struct events events;
    struct event arrival, drain, resize;
    int64_t gap_ns;
    uint32_t burst;
    struct thread threads[THREADS];
    struct sim_pool pools[POOLS];
    struct sim_upstream upstreams[UPSTREAMS];
    struct list_node calls, dead_calls, dead_conns;
    uint64_t live_calls, live_conns, queued;

    uint64_t steps, started, outcomes[OUTCOME_COUNT], stuck[PHASE_COUNT], spared[PHASE_COUNT],
        spared_by_limit;
    uint64_t unheard, replaced, reused, recalled, most_waiting, grown_to, shrunk_below, lingered;
};

__attribute__((noreturn)) static inline void world_broken(const struct world *world, const char *what,
                                                          const char *where, int line)
{
    printf("%s:%d: broken at %lld ns, step %llu, call %llu: %s\n", where, line, (long long)world->now_ns,
           (unsigned long long)world->steps, (unsigned long long)world->calls_begun, what);
    printf("reproduce with: --seed %llu --calls %llu\n", (unsigned long long)world->seed,
           (unsigned long long)world->calls_wanted);
    puts("0 passed, 1 failed");
    exit(1);
}

#define CHECK(world, condition)                                                                              \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            world_broken(world, #condition, __FILE__, __LINE__);                                             \
    } while (0)

/* ---- chance -------------------------------------------------------------------------------------------- */

/* splitmix64 */
static inline uint64_t draw(struct world *world)
{
    uint64_t z = world->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline uint32_t below(struct world *world, uint32_t bound)
{
    return (uint32_t)(draw(world) % bound);
}

static inline bool chance(struct world *world, uint32_t percent)
{
    return below(world, 100) < percent;
}

/* Whole milliseconds more often than not, so that many things fall into one instant. */
static inline int64_t some_time(struct world *world, uint32_t max_ms)
{
    uint32_t kind = below(world, 10);

    if (kind < 2)
        return 0;
    if (kind < 7)
        return (int64_t)below(world, max_ms + 1) * NS_PER_MS;
    return (int64_t)(draw(world) % ((uint64_t)max_ms * (uint64_t)NS_PER_MS + 1));
}

static inline void plan(struct world *world, struct event *event, int64_t in_ns)
{
    events_plan(&world->events, event, world->now_ns + in_ns, draw(world));
}

static inline struct sim_pool *pool_of(const struct call *call)
{
    return &call->world->pools[call->upstream->pool];
}

/* ---- time ---------------------------------------------------------------------------------------------- */

static inline void set_timer(struct call *call)
{
    timer_set(&call->thread->timers, &call->timer, call_fsm_next_ns(&call->fsm));
}

static inline void set_limit(struct call *call, int64_t limit_ns, enum cause cause)
{
    call->limit_ns = limit_ns;
    call->limit_set_ns = call->world->now_ns;
    call->limit_cause = cause;
    call_fsm_set_limit(&call->fsm, limit_ns, cause);
    set_timer(call);
}

static inline int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* ---- permits ------------------------------------------------------------------------------------------- */

static inline void post_grant(struct call *call, const struct thread *from)
{
    struct world *world = call->world;
    struct thread *to = call->thread;

    list_push_back(&to->mails, &call->mail);
    if (to->delivery.place == 0)
        plan(world, &to->delivery, to == from ? 0 : (int64_t)below(world, 300) * NS_PER_US);
}

/* By the world's own books: who has waited longest for this pool? */
static inline struct call *first_waiter(const struct sim_pool *pool, const struct world *world)
{
    struct call *first = NULL;

    LIST_FOREACH(node, &world->calls) {
        struct call *call = CONTAINER_OF(node, struct call, node);

        if (pool_of(call) == pool && call->try.state == TRY_QUEUED && list_is_empty(&call->mail) &&
            call->permit.state == PERMIT_WAITING && (first == NULL || call->number < first->number))
            first = call;
    }
    return first;
}

/* To whoever has waited longest, if it is one that the pool still has. */
static inline void give_back(struct sim_pool *pool, struct permit *permit, const struct thread *from)
{
    struct world *world = from->world;
    bool held = permit->state == PERMIT_HELD;
    bool is_free =
        held && pool->permits.held <= pool->size; /* not one of too many since the pool was made smaller */
    struct call *heir = is_free ? first_waiter(pool, world) : NULL;
    struct permit *next;

    next = permit_give_back(&pool->permits, permit, 0);
    CHECK(world, next == (heir != NULL ? &heir->permit : NULL));
    if (held)
        pool->given_back++;
    if (held && !is_free)
        pool->allowed--;
    if (next == NULL)
        return;
    CHECK(world, next->state == PERMIT_HELD);
    pool->granted++;
    post_grant(heir, from);
}

static inline void give_back_permit(struct call *call)
{
    struct world *world = call->world;

    CHECK(world, call->conn == NULL);
    CHECK(world, call->permit.state != PERMIT_FREE);
    if (!list_is_empty(&call->mail)) {
        list_remove(&call->mail);
        world->recalled++;
    }
    give_back(pool_of(call), &call->permit, call->thread);
}

static inline void ghost_is_over(struct event *event)
{
    struct ghost *ghost = CONTAINER_OF(event, struct ghost, over);

    ghost->pool->ghosts--;
    give_back(ghost->pool, &ghost->permit, ghost->thread);
    free(ghost);
}

/* The call is about to end, and has its permit still. */
static inline void leave_ghost(struct call *call)
{
    struct ghost *ghost = calloc(1, sizeof(*ghost));

    CHECK(call->world, ghost != NULL);
    ghost->over.fn = ghost_is_over;
    ghost->pool = pool_of(call);
    ghost->thread = call->thread;
    ghost->pool->ghosts++;
    call->world->lingered++;
    permit_init(&ghost->permit, call->permit.worker);
    permit_pass_on(&call->permit, &ghost->permit);
    plan(call->world, &ghost->over, ghost->pool->linger_ns);
}

/* ---- the invariants ------------------------------------------------------------------------------------ */

struct tally {
    uint32_t holders, waiters;
};

static inline void check_call(const struct world *world, const struct call *call, struct tally *tally)
{
    unsigned holds = try_state_holds(call->try.state);
    bool queued = call->try.state == TRY_QUEUED;
    bool tries = (call_state_holds(call->fsm.state) & HOLD_TRY) != 0;
    bool granted = !list_is_empty(&call->mail);
    int64_t phases_ns = 0;

    CHECK(world, !call_state_is_final(call->fsm.state));
    CHECK(world, queued == ((holds & HOLD_QUEUE) != 0));
    CHECK(world, tries == try_fsm_is_alive(&call->try) || (tries && call->try.state == TRY_IDLE));
    CHECK(world, !granted || queued);
    if (queued)
        CHECK(world, call->permit.state == (granted ? PERMIT_HELD : PERMIT_WAITING));
    else
        CHECK(world, call->permit.state == ((holds & HOLD_PERMIT) != 0 ? PERMIT_HELD : PERMIT_FREE));
    if ((holds & HOLD_PERMIT) != 0 || (queued && granted))
        tally->holders++;
    else if (queued)
        tally->waiters++;

    CHECK(world, (call->conn != NULL) == ((holds & (HOLD_CONNECT | HOLD_EXCHANGE)) != 0));
    if (call->conn != NULL)
        CHECK(world, call->conn->call == call && call->conn->open == ((holds & HOLD_EXCHANGE) != 0));

    CHECK(world, call->fsm.deadline_ns == call->deadline_ns);
    CHECK(world, call->fsm.limit_ns == call->limit_ns);
    CHECK(world, call->fsm.policy_ns == call->policy_ns);
    CHECK(world, call->timer.due_ns <= call_fsm_next_ns(&call->fsm));
    CHECK(world, call_fsm_next_ns(&call->fsm) >= world->now_ns || call->fixed_ns == world->now_ns ||
                     call->limit_set_ns == world->now_ns);
    for (enum phase phase = 0; phase < PHASE_COUNT; phase++)
        phases_ns += call_fsm_phase_ns(&call->fsm, phase, world->now_ns);
    CHECK(world, phases_ns == world->now_ns - call->fsm.begun_ns);
}

static inline void check_pool(struct world *world, const struct sim_pool *pool, const struct tally *tally)
{
    const struct permit_pool *permits = &pool->permits;
    uint32_t linked = 0;
    uint64_t last = 0;

    CHECK(world, permit_pool_is_sound(permits));
    CHECK(world, permits->size == pool->allowed && permits->held <= pool->allowed);
    CHECK(world, permits->held_peak <= pool->largest && permits->held_peak >= permits->held);
    CHECK(world, permits->held == tally->holders + pool->ghosts);
    CHECK(world, permits->queue.length == tally->waiters);
    CHECK(world, permits->queue.length <= permits->queue_size);
    CHECK(world, permits->queue.length == 0 || permits->held == permits->size);
    CHECK(world, permits->acquired == pool->granted);
    CHECK(world, permits->released == pool->given_back);
    CHECK(world, permits->acquired - permits->released == permits->held);
    CHECK(world, pool->in_work <= permits->held);
    LIST_FOREACH(node, &permits->queue.line) {
        const struct permit *permit = CONTAINER_OF(node, struct permit, place.node);
        const struct call *call = CONTAINER_OF(permit, struct call, permit);

        CHECK(world, call->number > last);
        last = call->number;
        linked++;
    }
    CHECK(world, linked == tally->waiters);
    if (permits->queue.length > world->most_waiting)
        world->most_waiting = permits->queue.length;
}

static inline void world_check(struct world *world)
{
    struct tally tallies[POOLS] = {{0, 0}};
    uint64_t live = 0, in_flight = 0, ended = 0;

    LIST_FOREACH(node, &world->calls) {
        const struct call *call = CONTAINER_OF(node, struct call, node);

        check_call(world, call, &tallies[call->upstream->pool]);
        live++;
        in_flight += call->counted;
    }
    for (int i = 0; i < POOLS; i++)
        check_pool(world, &world->pools[i], &tallies[i]);
    for (int i = 0; i < THREADS; i++)
        CHECK(world, list_is_empty(&world->threads[i].mails) || world->threads[i].delivery.place != 0);
    CHECK(world, live == world->live_calls);
    for (enum outcome outcome = 0; outcome < OUTCOME_NOT_A_CALL; outcome++)
        ended += world->outcomes[outcome];
    CHECK(world, world->started == ended + in_flight);
}

/* ---- what is observed ---------------------------------------------------------------------------------- */

static inline void note_spared(struct call *call, enum cause cause, int64_t at_ns)
{
    if (call->spared_cause != CAUSE_NONE)
        return;
    call->spared_cause = cause;
    call->spared_phase = call->fsm.phase;
    call->spared_ns = at_ns;
}

static inline void note_policy(struct call *call)
{
    if (call->world->now_ns >= call->policy_ns)
        note_spared(call, CAUSE_DEADLINE, call->policy_ns);
}

/* As call_set_route in call/call_admit.c: with the first byte, and again when the head is there. */
static inline void world_set_route(struct call *call, int64_t deadline_ns)
{
    const struct world *world = call->world;
    int64_t ceiling_ns = budget_end(call->fsm.begun_ns, call->upstream->ceiling_ns);

    call->deadline_ns = call->fsm.deadline_ns = deadline_ns;
    call->policy_ns = NS_NEVER;
    if (ceiling_ns == NS_NEVER)
        return;
    call_fsm_observe(&call->fsm, ceiling_ns, world->now_ns);
    call->policy_ns = deadline_ns;
    call->deadline_ns = later(deadline_ns, ceiling_ns);
    note_policy(call);
}

/* By the timer: a limit that cuts nothing. */
static inline void note_limit(struct call *call)
{
    const struct world *world = call->world;

    CHECK(world, call->policy_ns != NS_NEVER && call->limit_cause != CAUSE_HEAD_LIMIT);
    CHECK(world, world->now_ns == later(call->limit_ns, call->limit_set_ns));
    note_spared(call, call->limit_cause, call->limit_ns);
    call->limit_ns = NS_NEVER;
}

/* At the end of a call. */
static inline void check_spared(struct call *call)
{
    struct world *world = call->world;

    note_policy(call);
    CHECK(world, call->fsm.spared_cause == call->spared_cause);
    if (call->spared_cause == CAUSE_NONE)
        return;
    CHECK(world, call->fsm.spared_phase == call->spared_phase && call->fsm.spared_ns == call->spared_ns);
    world->spared[call->spared_phase]++;
    world->spared_by_limit += call->spared_cause != CAUSE_DEADLINE;
}

/* Before time goes on: nobody who should be over by now is left. */
static inline void world_check_overdue(const struct world *world)
{
    LIST_FOREACH(node, &world->calls) {
        const struct call *call = CONTAINER_OF(node, struct call, node);

        CHECK(world, call->deadline_ns > world->now_ns && call->limit_ns > world->now_ns);
    }
}

/* Time goes on: each call is still where its deadline finds it. */
static inline void world_go_on(struct world *world, int64_t until_ns)
{
    world_check_overdue(world);
    world->now_ns = until_ns;
    LIST_FOREACH(node, &world->calls) {
        note_policy(CONTAINER_OF(node, struct call, node));
    }
}

/* ---- the end of a call --------------------------------------------------------------------------------- */

static const enum call_state final_states[OUTCOME_COUNT] = {
    [OUTCOME_COMPLETED] = CALL_DONE,   [OUTCOME_STUCK] = CALL_STUCK,    [OUTCOME_FAILED] = CALL_FAILED,
    [OUTCOME_REJECTED] = CALL_REFUSED, [OUTCOME_ABANDONED] = CALL_GONE, [OUTCOME_NOT_A_CALL] = CALL_REFUSED,
};

/* To the nanosecond: at the instant that was fixed, or at once if that had passed when it was fixed. */
static inline void check_instant(const struct call *call, enum cause cause)
{
    const struct world *world = call->world;
    int64_t last_ns = later(call->deadline_ns, call->fixed_ns);
    bool by_limit =
        (cause == CAUSE_QUEUE_LIMIT || cause_outcome(cause) == OUTCOME_STUCK) && !cause_is_shutdown(cause);

    CHECK(world, world->now_ns <= last_ns);
    if (cause == CAUSE_DEADLINE)
        CHECK(world, world->now_ns == last_ns);
    else if (by_limit)
        CHECK(world, world->now_ns == later(call->limit_ns, call->limit_set_ns) &&
                         world->now_ns < call->deadline_ns);
}

static inline void check_holds_nothing(const struct call *call)
{
    const struct world *world = call->world;

    CHECK(world, call_state_is_final(call->fsm.state));
    CHECK(world, call_state_holds(call->fsm.state) == 0);
    CHECK(world, call->try.state == TRY_OVER);
    CHECK(world, call->permit.state == PERMIT_FREE && list_is_empty(&call->permit.place.node));
    CHECK(world, list_is_empty(&call->mail));
    CHECK(world, call->conn == NULL);
    CHECK(world, call->timer.slot == UINT32_MAX && call->timer.fn == NULL);
}

static inline void count(struct call *call, enum outcome outcome, enum phase phase)
{
    struct world *world = call->world;

    if (!call->counted && (outcome == OUTCOME_STUCK || outcome == OUTCOME_FAILED)) {
        call->counted = true;
        world->started++;
    }
    if (!call->counted)
        world->unheard++;
    else
        world->outcomes[outcome]++;
    if (outcome == OUTCOME_STUCK)
        world->stuck[phase]++;
}

#endif
