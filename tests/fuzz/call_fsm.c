/*
 * Any string of events that can happen to calls: core/call_fsm, core/permit and core/timer do what they do in
 * call/call, in the world of tests/sim, whose own books are compared with theirs after every event. Where tests/sim
 * draws lots, here the input decides what happens next and to whom, likely or not.
 *
 * Input: a byte for each pool, then events: a byte for what happens, one for the call that it happens to, one that says
 * more about it. An event that can't happen to a call in its state becomes an attempt to break the rules instead.
 */
#include "../sim/world.h"
#include "core/budget.h"
#include "fuzz.h"

#define CALLS_MAX 24
#define OBSERVED  1 /* its deadlines and limits cut nothing within a second */

static struct world world;

/* ---- what a call does, as in call/call.c -------------------------------------------------------------- */

static void open_connection(struct call *call, bool open)
{
    struct conn *conn = calloc(1, sizeof(*conn));

    CHECK(&world, conn != NULL);
    conn->call = call;
    conn->open = open;
    call->conn = conn;
    pool_of(call)->in_work++;
}

static void close_connection(struct call *call)
{
    pool_of(call)->in_work--;
    free(call->conn);
    call->conn = NULL;
}

static void move(struct call *call, enum call_state to)
{
    unsigned before = call_state_holds(call->fsm.state), after = call_state_holds(to), holds;

    CHECK(&world, call_fsm_move(&call->fsm, to, world.now_ns, &holds));
    CHECK(&world, (holds & ~before) == 0 && (holds & after) == 0);
    call->limit_ns = NS_NEVER;
    if ((holds & HOLD_TIMER) != 0)
        timer_fini(&call->thread->timers, &call->timer);
}

static void move_try(struct call *call, enum try_state to)
{
    unsigned before = try_state_holds(call->try.state), after = try_state_holds(to), holds;

    CHECK(&world, try_fsm_move(&call->try, to, &holds));
    CHECK(&world, (holds & ~before) == 0 && (holds & after) == 0);
    call_fsm_set_limit(&call->fsm, call->limit_ns = NS_NEVER, CAUSE_NONE);
    if ((holds & (HOLD_CONNECT | HOLD_EXCHANGE)) != 0)
        close_connection(call);
    if ((holds & (HOLD_PERMIT | HOLD_QUEUE)) != 0)
        give_back_permit(call);
    if ((after & HOLD_PERMIT) != 0)
        call_fsm_admit(&call->fsm);
    if (try_state_phase(to) != PHASE_COUNT)
        call_fsm_enter_phase(&call->fsm, try_state_phase(to), world.now_ns);
}

static void end(struct call *call, enum cause cause)
{
    enum phase phase = call->fsm.phase;

    check_instant(call, cause);
    if (call->try.state != TRY_OVER)
        move_try(call, TRY_OVER);
    move(call, final_states[cause_outcome(cause)]);
    check_holds_nothing(call);
    check_spared(call);
    count(call, cause_outcome(cause), phase);
    list_remove(&call->node);
    list_push_back(&world.dead_calls, &call->node);
    world.live_calls--;
}

static void time_is_up(struct timer *timer, int64_t now_ns)
{
    struct call *call = CONTAINER_OF(timer, struct call, timer);
    bool passed = call->limit_ns <= now_ns && call->deadline_ns > now_ns;
    enum cause cause = call_fsm_timer(&call->fsm, now_ns);

    CHECK(&world, now_ns == world.now_ns);
    if (cause != CAUSE_NONE) {
        end(call, cause);
    } else {
        if (passed)
            note_limit(call);
        set_timer(call);
    }
    world_check(&world);
}

/* ---- time ---------------------------------------------------------------------------------------------- */

/* From nothing to two and a half seconds, and in the middle whole milliseconds. */
static int64_t length_of(uint8_t argument)
{
    if (argument < 32)
        return argument;
    return argument < 160 ? (argument - 31) * NS_PER_MS : (argument - 159) * 26 * NS_PER_MS + 1;
}

static int64_t end_of(uint8_t argument)
{
    return argument == 255 ? NS_NEVER : budget_end(world.now_ns, length_of(argument));
}

static void free_dead(void)
{
    struct list_node *node;

    while ((node = list_take_front(&world.dead_calls)) != NULL)
        free(CONTAINER_OF(node, struct call, node));
}

/* The next thing that time brings until `until_ns`, on whichever thread. False: there is none. */
static bool run_one(int64_t until_ns)
{
    int64_t next_ns = events_next(&world.events);
    struct thread *thread = NULL;

    for (int i = 0; i < THREADS; i++) {
        int64_t timer_ns = timers_next(&world.threads[i].timers);

        if (timer_ns < next_ns) {
            next_ns = timer_ns;
            thread = &world.threads[i];
        }
    }
    if (next_ns == NS_NEVER || next_ns > until_ns)
        return false;
    if (next_ns > world.now_ns)
        world_go_on(&world, next_ns);
    if (thread != NULL)
        timers_run(&thread->timers, world.now_ns);
    else
        events_run_one(&world.events);
    world_check(&world);
    free_dead();
    return true;
}

static void pass_until(int64_t until_ns)
{
    while (run_one(until_ns))
        ;
    world_go_on(&world, until_ns);
}

/* ---- events -------------------------------------------------------------------------------------------- */

static void connect_anew(struct call *call, uint8_t argument)
{
    move_try(call, TRY_CONNECTING);
    open_connection(call, false);
    set_limit(call, end_of(argument), CAUSE_CONNECT_LIMIT);
}

static void use_permit(struct call *call, uint8_t argument)
{
    if ((argument & 1) != 0) {
        connect_anew(call, argument);
        return;
    }
    open_connection(call, true);
    move_try(call, TRY_SENDING);
    set_limit(call, end_of(argument), CAUSE_IDLE_LIMIT);
}

static void deliver(struct event *event)
{
    struct thread *thread = CONTAINER_OF(event, struct thread, delivery);
    struct list_node *node;

    list_append_all(&thread->batch, &thread->mails);
    while ((node = list_take_front(&thread->batch)) != NULL) {
        struct call *call = CONTAINER_OF(node, struct call, mail);

        CHECK(&world, call->try.state == TRY_QUEUED && call->permit.state == PERMIT_HELD);
        use_permit(call, (uint8_t)draw(&world));
        world_check(&world);
    }
}

static void begin(uint8_t argument)
{
    struct call *call = calloc(1, sizeof(*call));

    CHECK(&world, call != NULL);
    call->world = &world;
    call->thread = &world.threads[argument % THREADS];
    call->upstream = &world.upstreams[argument / THREADS % UPSTREAMS];
    list_init(&call->mail);
    permit_init(&call->permit, (uint32_t)(argument % THREADS));
    CHECK(&world, timer_init(&call->thread->timers, &call->timer, time_is_up) == ST_OK);
    call->fixed_ns = world.now_ns;
    call->route_ns = end_of((uint8_t)(255 - argument));
    try_fsm_begin(&call->try);
    call_fsm_begin(&call->fsm, world.now_ns, NS_NEVER);
    world_set_route(call, call->route_ns);
    set_limit(call, end_of(argument), CAUSE_HEAD_LIMIT);
    list_push_back(&world.calls, &call->node);
    world.live_calls++;
    world.calls_begun++;
}

static void head_comes(struct call *call, uint8_t argument)
{
    int64_t end_ns = budget_end(call->fsm.begun_ns, length_of(argument));

    int64_t *deadline_ns;

    world_set_route(call, call->route_ns);
    deadline_ns = call->policy_ns != NS_NEVER ? &call->policy_ns : &call->deadline_ns;
    if ((argument & 3) == 0 && end_ns < *deadline_ns) {
        *deadline_ns = *call_fsm_policy_deadline(&call->fsm) = end_ns;
        call->fixed_ns = world.now_ns;
        note_policy(call);
    }
    call->counted = true;
    world.started++;
    move(call, CALL_TRYING);
    set_timer(call);
}

static void asks_for_permit(struct call *call, uint8_t argument)
{
    struct sim_pool *pool = pool_of(call);
    bool has_room = pool->permits.queue.length < pool->permits.queue_size;
    bool has_free = pool->permits.held < pool->permits.size;
    enum cause cause = call_fsm_expired(&call->fsm, world.now_ns);

    if (cause != CAUSE_NONE) {
        end(call, cause);
        return;
    }
    switch (permit_acquire(&pool->permits, &call->permit, 0)) {
    case PERMIT_GRANTED:
        CHECK(&world, has_free && first_waiter(pool, &world) == NULL);
        pool->granted++;
        use_permit(call, argument);
        break;
    case PERMIT_QUEUED:
        CHECK(&world, has_room && !has_free);
        call->number = ++world.queued;
        move_try(call, TRY_QUEUED);
        set_limit(call, end_of(argument), CAUSE_QUEUE_LIMIT);
        break;
    default:
        CHECK(&world, !has_room && !has_free);
        end(call, CAUSE_QUEUE_FULL);
        break;
    }
}

static void next_phase(struct call *call, uint8_t argument)
{
    static const enum phase phases[] = {PHASE_DNS, PHASE_CONNECT, PHASE_TLS};

    call_fsm_enter_phase(&call->fsm, phases[argument % 3], world.now_ns);
}

static void is_connected(struct call *call, uint8_t argument)
{
    call->conn->open = true;
    move_try(call, TRY_SENDING);
    set_limit(call, end_of(argument), CAUSE_IDLE_LIMIT);
}

static void connecting_fails(struct call *call, uint8_t argument)
{
    static const enum cause causes[] = {CAUSE_DNS, CAUSE_REFUSED, CAUSE_UNROUTABLE, CAUSE_TLS_PROTOCOL,
                                        CAUSE_INTERNAL};

    end(call, causes[argument % 5]);
}

static void is_sent(struct call *call, uint8_t argument)
{
    call->fsm.sent = SENT_COMPLETE;
    move_try(call, TRY_WAITING);
    set_limit(call, end_of(argument), CAUSE_FIRST_BYTE_LIMIT);
}

static void stands_still(struct call *call, uint8_t argument)
{
    set_limit(call, end_of(argument), CAUSE_IDLE_LIMIT);
}

static void connection_is_lost(struct call *call, uint8_t argument)
{
    if (call->try.state == TRY_STREAMING || call->replaced || (argument & 1) != 0) {
        end(call, call->try.state == TRY_STREAMING ? CAUSE_INCOMPLETE : CAUSE_TERMINATED);
        return;
    }
    call->replaced = true;
    call->fsm.sent = SENT_NONE;
    connect_anew(call, argument);
}

static void response_begins(struct call *call, uint8_t argument)
{
    move_try(call, TRY_STREAMING);
    move(call, CALL_RESPONDING);
    set_limit(call, end_of(argument), CAUSE_IDLE_LIMIT);
}

static void response_is_garbled(struct call *call, uint8_t argument)
{
    (void)argument;
    end(call, CAUSE_HTTP_PROTOCOL);
}

static void response_is_read(struct call *call, uint8_t argument)
{
    (void)argument;
    move_try(call, TRY_OVER);
    move(call, CALL_DELIVERING);
    CHECK(&world, call->conn == NULL && call->permit.state == PERMIT_FREE);
    set_timer(call);
}

static void response_is_delivered(struct call *call, uint8_t argument)
{
    (void)argument;
    end(call, CAUSE_NONE);
}

static void head_is_bad(struct call *call, uint8_t argument)
{
    static const enum cause causes[] = {CAUSE_BAD_REQUEST, CAUSE_NO_ROUTE, CAUSE_VERSION};

    end(call, causes[argument % 3]);
}

static void caller_leaves(struct call *call, uint8_t argument)
{
    (void)argument;
    end(call, CAUSE_CALLER_GONE);
}

static void is_turned_away(struct call *call, uint8_t argument)
{
    (void)argument;
    end(call, call_fsm_shutdown(&call->fsm));
}

/* What its try is in; before and after it, the call's own state. */
#define READING      (1u << (TRY_STATE_COUNT + CALL_READING))
#define DELIVERING   (1u << (TRY_STATE_COUNT + CALL_DELIVERING))
#define IN(state)    (1u << TRY_##state)
#define IN_ANY_STATE UINT32_MAX
#define EXCHANGING   (IN(SENDING) | IN(WAITING) | IN(STREAMING))

static const struct {
    unsigned states;
    void (*happens)(struct call *call, uint8_t argument);
} happenings[] = {
    {READING, head_comes},
    {READING, head_is_bad},
    {IN(IDLE), asks_for_permit},
    {IN(CONNECTING), next_phase},
    {IN(CONNECTING), is_connected},
    {IN(CONNECTING), connecting_fails},
    {IN(SENDING), is_sent},
    {EXCHANGING, stands_still},
    {EXCHANGING, connection_is_lost},
    {EXCHANGING, response_is_garbled},
    {IN(SENDING) | IN(WAITING), response_begins},
    {IN(STREAMING), response_is_read},
    {DELIVERING, response_is_delivered},
    {IN_ANY_STATE, caller_leaves},
    {IN_ANY_STATE, is_turned_away},
};

#define HAPPENINGS (sizeof(happenings) / sizeof(happenings[0]))

static unsigned state_of(const struct call *call)
{
    bool tries = (call_state_holds(call->fsm.state) & HOLD_TRY) != 0;

    return 1u << (tries ? (unsigned)call->try.state : TRY_STATE_COUNT + (unsigned)call->fsm.state);
}

/* Moves that the table does not allow are refused, and have done nothing. */
static void check_rules(struct call *call)
{
    struct call_fsm before = call->fsm;
    unsigned holds = UINT32_MAX;

    for (enum call_state to = 0; to < CALL_STATE_COUNT; to++) {
        if (call_fsm_may_move(&before, to))
            continue;
        CHECK(&world, !call_fsm_move(&call->fsm, to, world.now_ns, &holds) && holds == UINT32_MAX);
        CHECK(&world, memcmp(&call->fsm, &before, sizeof(before)) == 0);
    }
}

static struct call *nth_call(uint32_t n)
{
    LIST_FOREACH(node, &world.calls)
        if (n-- == 0)
            return CONTAINER_OF(node, struct call, node);
    return NULL;
}

static void happen(struct input *input)
{
    uint8_t what = input_byte(input) % (HAPPENINGS + 2), whom = input_byte(input),
            argument = input_byte(input);
    struct call *call;

    if (what == HAPPENINGS) {
        pass_until(world.now_ns + length_of(argument));
    } else if (what > HAPPENINGS || world.live_calls == 0) {
        if (world.live_calls < CALLS_MAX)
            begin(argument);
    } else {
        call = nth_call((uint32_t)(whom % world.live_calls));
        if ((happenings[what].states & state_of(call)) != 0)
            happenings[what].happens(call, argument);
        else
            check_rules(call);
    }
    world_check(&world);
    free_dead();
}

/* ---- the world ----------------------------------------------------------------------------------------- */

static void make_world(struct input *input)
{
    static const uint32_t pool_of_upstream[UPSTREAMS] = {0, 1, 1, 2};

    world = (struct world){.now_ns = NS_PER_S};
    list_init(&world.calls);
    list_init(&world.dead_calls);
    list_init(&world.dead_conns);
    for (int i = 0; i < POOLS; i++) {
        uint8_t sizes = input_byte(input);

        world.pools[i].size = world.pools[i].allowed = world.pools[i].largest = 1 + sizes % 4;
        world.pools[i].queue_size = sizes / 4 % 4;
        permit_pool_init(&world.pools[i].permits, 1 + sizes % 4, sizes / 4 % 4);
    }
    for (int i = 0; i < UPSTREAMS; i++)
        world.upstreams[i] = (struct sim_upstream){.pool = pool_of_upstream[i],
                                                   .ceiling_ns = i == OBSERVED ? NS_PER_S : NS_NEVER};
    for (int i = 0; i < THREADS; i++) {
        world.threads[i].world = &world;
        world.threads[i].delivery.fn = deliver;
        timers_init(&world.threads[i].timers);
        list_init(&world.threads[i].mails);
        list_init(&world.threads[i].batch);
    }
}

/* All is turned away, and nothing is left. */
static void end_world(void)
{
    while (!list_is_empty(&world.calls)) {
        struct call *call = CONTAINER_OF(world.calls.next, struct call, node);

        end(call, call_fsm_shutdown(&call->fsm));
        world_check(&world);
    }
    free_dead();
    pass_until(world.now_ns + NS_PER_S);
    for (int i = 0; i < POOLS; i++) {
        const struct permit_pool *permits = &world.pools[i].permits;

        CHECK(&world,
              permits->held == 0 && permits->queue.length == 0 && permits->acquired == permits->released);
        CHECK(&world, world.pools[i].in_work == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK(&world,
              timers_next(&world.threads[i].timers) == NS_NEVER && world.threads[i].timers.members == 0);
        timers_fini(&world.threads[i].timers);
    }
    free(world.events.heap);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct input input = {bytes, len};

    make_world(&input);
    while (input.left != 0)
        happen(&input);
    end_world();
    return 0;
}
