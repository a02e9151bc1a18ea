/*
 * Whole calls in a simulated world: core/call_fsm, core/permit and core/timer do what they do in call/call, while
 * callers arrive in bursts and leave when they like, upstreams refuse, stall, drip, answer early and close, threads
 * hear of their grants late, and the seed decides which of the things that fall into one instant comes first. After
 * every step the world's own books are compared with theirs (world.h).
 *
 *   calls [--seed N] [--calls N]     SIM_CALLS in the environment: how many calls if --calls does not say
 *
 * The same seed gives the same world. The calls are spread over worlds of RUN_CALLS each, with seeds N, N + 1, ….
 */
#include <string.h>

#include "core/budget.h"
#include "world.h"

#define CALLS_DEFAULT UINT64_C(200000)
#define RUN_CALLS     UINT64_C(5000)
/* From so many calls on, everything that can happen must have happened. */
#define CALLS_FOR_ALL UINT64_C(50000)

static void end(struct call *call, enum cause cause);
static void connect_anew(struct call *call);
static void begin_exchange(struct call *call);

/* ---- connections --------------------------------------------------------------------------------------- */

static void attach(struct conn *conn, struct call *call)
{
    conn->call = call;
    call->conn = conn;
    pool_of(call)->in_work++;
}

static void detach(struct conn *conn)
{
    pool_of(conn->call)->in_work--;
    conn->call->conn = NULL;
    conn->call = NULL;
}

static void destroy(struct conn *conn)
{
    struct world *world = conn->thread->world;

    if (conn->call != NULL)
        detach(conn);
    events_cancel(&world->events, &conn->script);
    list_remove(&conn->node);
    list_push_back(&world->dead_conns, &conn->node);
}

static struct conn *idle_conn(struct list_node *node)
{
    return CONTAINER_OF(node, struct conn, node);
}

static void drop_idle(struct keepalive *keepalive, struct conn *conn)
{
    keepalive->count--;
    destroy(conn);
}

static void expire_idle(struct timer *timer, int64_t now_ns)
{
    struct keepalive *keepalive = CONTAINER_OF(timer, struct keepalive, expiry);

    while (!list_is_empty(&keepalive->idle)) {
        struct conn *oldest = idle_conn(keepalive->idle.prev);
        int64_t end_ns = oldest->idle_since_ns + keepalive->upstream->keep_ns;

        if (end_ns > now_ns) {
            timer_set(&keepalive->thread->timers, timer, end_ns);
            return;
        }
        drop_idle(keepalive, oldest);
    }
}

static struct keepalive *keepalive_of(struct thread *thread, const struct sim_upstream *upstream)
{
    return &thread->keepalive[upstream - thread->world->upstreams];
}

static void keep_idle(struct conn *conn)
{
    struct world *world = conn->thread->world;
    struct sim_upstream *upstream = conn->upstream;
    struct keepalive *keepalive = keepalive_of(conn->thread, upstream);

    if (keepalive->count >= upstream->keep_max || world->now_ns - conn->opened_ns >= upstream->age_ns) {
        destroy(conn);
        return;
    }
    detach(conn);
    conn->idle_since_ns = world->now_ns;
    if (list_is_empty(&keepalive->idle))
        timer_set(&conn->thread->timers, &keepalive->expiry, world->now_ns + upstream->keep_ns);
    list_push_front(&keepalive->idle, &conn->node);
    keepalive->count++;
    if (chance(world, upstream->closes_idle))
        plan(world, &conn->script, some_time(world, 10));
}

static struct conn *take_idle(struct call *call)
{
    struct keepalive *keepalive = keepalive_of(call->thread, call->upstream);
    struct world *world = call->world;

    while (!list_is_empty(&keepalive->idle)) {
        struct conn *conn = idle_conn(keepalive->idle.next);
        bool too_old = world->now_ns - conn->opened_ns >= call->upstream->age_ns;

        if (too_old || (conn->closed && !call->repeatable)) {
            drop_idle(keepalive, conn);
            continue;
        }
        list_remove(&conn->node);
        keepalive->count--;
        events_cancel(&world->events, &conn->script);
        conn->reused = true;
        world->reused++;
        return conn;
    }
    return NULL;
}

/* ---- moving and giving back, as in call/call.c -------------------------------------------------------- */

static void move(struct call *call, enum call_state to)
{
    unsigned holds;

    CHECK(call->world, call_fsm_move(&call->fsm, to, call->world->now_ns, &holds));
    call->limit_ns = NS_NEVER;
    if ((holds & HOLD_TIMER) != 0)
        timer_fini(&call->thread->timers, &call->timer);
}

static void move_try(struct call *call, enum try_state to)
{
    unsigned holds;

    CHECK(call->world, try_fsm_move(&call->try, to, &holds));
    call_fsm_set_limit(&call->fsm, call->limit_ns = NS_NEVER, CAUSE_NONE);
    if ((holds & (HOLD_CONNECT | HOLD_EXCHANGE)) != 0 && call->conn != NULL) {
        if (call->reusable && call->conn->open)
            keep_idle(call->conn);
        else
            destroy(call->conn);
    }
    if ((holds & (HOLD_PERMIT | HOLD_QUEUE)) != 0 && call->permit.state != PERMIT_FREE)
        give_back_permit(call);
    if ((try_state_holds(to) & HOLD_PERMIT) != 0)
        call_fsm_admit(&call->fsm);
    if (try_state_phase(to) != PHASE_COUNT)
        call_fsm_enter_phase(&call->fsm, try_state_phase(to), call->world->now_ns);
}

/* As set_limit in call/call_exchange.c. */
static void limit_exchange(struct call *call)
{
    const struct sim_upstream *upstream = call->upstream;
    int64_t idle_end_ns = budget_end(call->moved_ns, upstream->idle_ns);

    if (call->fsm.state == CALL_DELIVERING)
        set_limit(call, NS_NEVER, CAUSE_NONE);
    switch (call->try.state) {
    case TRY_SENDING: set_limit(call, call->upload_waits ? idle_end_ns : NS_NEVER, CAUSE_IDLE_LIMIT); break;
    case TRY_WAITING:
        if (call->response_begun)
            set_limit(call, idle_end_ns, CAUSE_IDLE_LIMIT);
        else
            set_limit(call, budget_end(call->fsm.phase_since_ns, upstream->first_byte_ns),
                      CAUSE_FIRST_BYTE_LIMIT);
        break;
    case TRY_STREAMING:
        set_limit(call, call->delivery_waits ? NS_NEVER : idle_end_ns, CAUSE_IDLE_LIMIT);
        break;
    default: break;
    }
}

/* ---- the way out, as in call/call_end.c --------------------------------------------------------------- */

/* As is_due in call/ghost.c. */
static bool may_work_on(const struct call *call, enum cause cause)
{
    return pool_of(call)->linger_ns != 0 && (try_state_holds(call->try.state) & HOLD_EXCHANGE) != 0 &&
           call->fsm.sent != SENT_NONE && cause != CAUSE_NONE && cause != CAUSE_TERMINATED &&
           cause != CAUSE_INCOMPLETE && cause != CAUSE_TLS_PROTOCOL;
}

static void end(struct call *call, enum cause cause)
{
    struct world *world = call->world;
    enum phase phase = call->fsm.phase;

    check_instant(call, cause);
    if (cause != CAUSE_NONE)
        call->reusable = false;
    if (may_work_on(call, cause))
        leave_ghost(call);
    if (call->try.state != TRY_OVER)
        move_try(call, TRY_OVER);
    move(call, final_states[cause_outcome(cause)]);
    check_holds_nothing(call);
    check_spared(call);
    count(call, cause_outcome(cause), phase);
    events_cancel(&world->events, &call->script);
    events_cancel(&world->events, &call->leaving);
    list_remove(&call->node);
    list_push_back(&world->dead_calls, &call->node);
    world->live_calls--;
}

static bool is_over(const struct call *call)
{
    return call_state_is_final(call->fsm.state);
}

static void time_is_up(struct timer *timer, int64_t now_ns)
{
    struct call *call = CONTAINER_OF(timer, struct call, timer);
    bool passed = call->limit_ns <= now_ns && call->deadline_ns > now_ns;
    enum cause cause = call_fsm_timer(&call->fsm, now_ns);

    CHECK(call->world, now_ns == call->world->now_ns);
    if (cause != CAUSE_NONE) {
        end(call, cause);
    } else {
        if (passed)
            note_limit(call);
        CHECK(call->world, call_fsm_next_ns(&call->fsm) > now_ns);
        set_timer(call);
    }
    world_check(call->world);
}

static void leave(struct event *event)
{
    end(CONTAINER_OF(event, struct call, leaving), CAUSE_CALLER_GONE);
}

/* ---- connecting ---------------------------------------------------------------------------------------- */

/* The next thing in a call's script, unless somebody has stopped moving. */
static void go_on(struct call *call)
{
    struct world *world = call->world;

    if (!chance(world, call->upstream->stalls))
        plan(world, &call->script, some_time(world, 8));
}

static void connect_on(struct conn *conn)
{
    static const enum cause failures[] = {CAUSE_DNS, CAUSE_REFUSED, CAUSE_UNROUTABLE, CAUSE_TLS_PROTOCOL};
    static const enum phase phases[] = {PHASE_DNS, PHASE_CONNECT, PHASE_TLS};
    struct call *call = conn->call;
    struct world *world = call->world;

    CHECK(world, call->try.state == TRY_CONNECTING);
    if (chance(world, conn->upstream->refuses)) {
        end(call, failures[below(world, 4)]);
    } else if (conn->stage < 3) {
        call_fsm_enter_phase(&call->fsm, phases[conn->stage++], world->now_ns);
        if (!chance(world, conn->upstream->stalls))
            plan(world, &conn->script, some_time(world, 5));
    } else {
        conn->open = true;
        conn->opened_ns = world->now_ns;
        move_try(call, TRY_SENDING);
        begin_exchange(call);
    }
}

/* The upstream does something to a connection: makes it, or ends an idle one. */
static void stir(struct event *event)
{
    struct conn *conn = CONTAINER_OF(event, struct conn, script);

    if (conn->call != NULL)
        connect_on(conn);
    else if (chance(conn->thread->world, 50))
        drop_idle(keepalive_of(conn->thread, conn->upstream), conn);
    else
        conn->closed = true;
}

static void connect_anew(struct call *call)
{
    struct world *world = call->world;
    struct conn *conn;

    move_try(call, TRY_CONNECTING);
    set_limit(call, budget_end(world->now_ns, call->upstream->connect_ns), CAUSE_CONNECT_LIMIT);
    if (below(world, 500) == 0) { /* no memory for a connection */
        end(call, CAUSE_INTERNAL);
        return;
    }
    conn = calloc(1, sizeof(*conn));
    CHECK(world, conn != NULL);
    list_init(&conn->node);
    conn->thread = call->thread;
    conn->upstream = call->upstream;
    conn->script.fn = stir;
    world->live_conns++;
    attach(conn, call);
    plan(world, &conn->script, some_time(world, 2));
}

static void use_permit(struct call *call)
{
    struct conn *conn = take_idle(call);

    if (conn == NULL) {
        connect_anew(call);
        return;
    }
    attach(conn, call);
    move_try(call, TRY_SENDING);
    begin_exchange(call);
}

/* Mail has come: a permit is there. */
static void deliver(struct event *event)
{
    struct thread *thread = CONTAINER_OF(event, struct thread, delivery);
    struct world *world = thread->world;
    struct list_node *node;

    list_append_all(&thread->batch, &thread->mails);
    while ((node = list_take_front(&thread->batch)) != NULL) {
        struct call *call = CONTAINER_OF(node, struct call, mail);

        CHECK(world, call->try.state == TRY_QUEUED && call->permit.state == PERMIT_HELD);
        use_permit(call);
        world_check(world);
    }
}

/* ---- the exchange -------------------------------------------------------------------------------------- */

static void begin_exchange(struct call *call)
{
    call->moved_ns = call->world->now_ns;
    call->upload_waits = call->delivery_waits = call->response_begun = call->reusable = false;
    limit_exchange(call);
    go_on(call);
}

/* The upstream has closed the connection before it gave a response. */
static void lose(struct call *call)
{
    if (!call->conn->reused || call->replaced || !call->repeatable || call->response_begun) {
        end(call, call->response_begun ? CAUSE_INCOMPLETE : CAUSE_TERMINATED);
        return;
    }
    call->replaced = true;
    call->world->replaced++;
    call->fsm.sent = SENT_NONE;
    connect_anew(call);
}

static void begin_response(struct call *call)
{
    call->moved_ns = call->world->now_ns;
    call->reusable = chance(call->world, 80);
    move_try(call, TRY_STREAMING);
    move(call, CALL_RESPONDING);
}

static void sending(struct call *call)
{
    struct world *world = call->world;
    uint32_t dice = below(world, 100);

    call->upload_waits = false;
    if (call->conn->closed || chance(world, call->upstream->loses)) {
        lose(call);
    } else if (chance(world, call->upstream->answers_early)) {
        begin_response(call);
    } else if (dice < 60) {
        call->moved_ns = world->now_ns;
        call->fsm.sent = SENT_COMPLETE;
        move_try(call, TRY_WAITING);
    } else if (dice < 80) { /* a part of the request, and the caller's next one is still to come */
        call->moved_ns = world->now_ns;
        call->fsm.sent = SENT_PARTIAL;
    } else {
        call->upload_waits = true;
    }
}

static void waiting(struct call *call)
{
    struct world *world = call->world;

    if (call->conn->closed || chance(world, call->upstream->loses)) {
        lose(call);
    } else if (chance(world, 20)) { /* a part of the head */
        call->moved_ns = world->now_ns;
        call->response_begun = true;
    } else {
        begin_response(call);
    }
}

static void release_upstream(struct call *call)
{
    if (call->fsm.sent != SENT_COMPLETE)
        call->reusable = false;
    move_try(call, TRY_OVER);
    move(call, CALL_DELIVERING);
    CHECK(call->world, call->conn == NULL && call->permit.state == PERMIT_FREE);
    set_timer(call);
}

static void streaming(struct call *call)
{
    struct world *world = call->world;
    uint32_t dice = below(world, 100);

    call->delivery_waits = false;
    if (chance(world, call->upstream->loses)) {
        end(call, CAUSE_INCOMPLETE);
    } else if (chance(world, call->upstream->garbles)) {
        end(call, CAUSE_HTTP_PROTOCOL);
    } else if (dice < 20 || chance(world, call->upstream->drips)) {
        call->moved_ns = world->now_ns;
    } else if (dice < 40) {
        call->delivery_waits = true;
    } else {
        release_upstream(call);
        if (dice < 80)
            end(call, CAUSE_NONE);
    }
}

static void exchange(struct call *call)
{
    switch (call->try.state) {
    case TRY_SENDING: sending(call); break;
    case TRY_WAITING: waiting(call); break;
    case TRY_STREAMING: streaming(call); break;
    default:
        CHECK(call->world, call->fsm.state == CALL_DELIVERING);
        if (chance(call->world, 50))
            end(call, CAUSE_NONE);
    }
    if (is_over(call) || call->try.state == TRY_CONNECTING)
        return;
    limit_exchange(call);
    go_on(call);
}

/* ---- from the first byte to a permit, as in call/call_admit.c --------------------------------------- */

static void ask_for_permit(struct call *call)
{
    struct world *world = call->world;
    struct sim_pool *pool = pool_of(call);
    bool has_room = pool->permits.queue.length < pool->permits.queue_size;
    bool has_free = pool->permits.held < pool->permits.size;

    switch (permit_acquire(&pool->permits, &call->permit, 0)) {
    case PERMIT_GRANTED:
        CHECK(world, has_free && first_waiter(pool, world) == NULL);
        pool->granted++;
        use_permit(call);
        break;
    case PERMIT_QUEUED:
        CHECK(world, has_room && !has_free);
        call->number = ++world->queued;
        move_try(call, TRY_QUEUED);
        set_limit(call, budget_end(world->now_ns, pool->queue_timeout_ns), CAUSE_QUEUE_LIMIT);
        break;
    default:
        CHECK(world, !has_room && !has_free);
        end(call, CAUSE_QUEUE_FULL);
        break;
    }
}

/* Some callers leave less time than the route does, and some leave none. */
static void shorten_deadline(struct call *call)
{
    struct world *world = call->world;
    int64_t end_ns = budget_end(call->fsm.begun_ns, some_time(world, 40));

    int64_t *deadline_ns = call->policy_ns != NS_NEVER ? &call->policy_ns : &call->deadline_ns;

    if (world->patient || !chance(world, 10) || end_ns >= *deadline_ns)
        return;
    *deadline_ns = *call_fsm_policy_deadline(&call->fsm) = end_ns;
    call->fixed_ns = world->now_ns;
    note_policy(call);
}

static void head_is_there(struct call *call)
{
    struct world *world = call->world;
    enum cause cause;

    if (below(world, 100) == 0) {
        end(call, CAUSE_BAD_REQUEST);
        return;
    }
    world_set_route(call, budget_end(call->fsm.begun_ns, call->upstream->deadline_ns));
    shorten_deadline(call);
    call->counted = true;
    world->started++;
    move(call, CALL_TRYING);
    set_timer(call);
    cause = call_fsm_expired(&call->fsm, world->now_ns);
    if (cause == CAUSE_NONE)
        ask_for_permit(call);
    else
        end(call, cause);
}

static void act(struct event *event)
{
    struct call *call = CONTAINER_OF(event, struct call, script);

    if (call->fsm.state == CALL_READING)
        head_is_there(call);
    else
        exchange(call);
}

static void begin(struct world *world)
{
    struct call *call = calloc(1, sizeof(*call));

    CHECK(world, call != NULL);
    call->world = world;
    call->thread = &world->threads[below(world, THREADS)];
    call->upstream = &world->upstreams[below(world, UPSTREAMS)];
    call->script.fn = act;
    call->leaving.fn = leave;
    call->repeatable = chance(world, 70);
    list_init(&call->mail);
    permit_init(&call->permit, (uint32_t)(call->thread - world->threads));
    CHECK(world, timer_init(&call->thread->timers, &call->timer, time_is_up) == ST_OK);
    call->fixed_ns = world->now_ns;
    try_fsm_begin(&call->try);
    call_fsm_begin(&call->fsm, world->now_ns, NS_NEVER);
    world_set_route(call, budget_end(world->now_ns, call->upstream->deadline_ns));
    set_limit(call, world->patient ? NS_NEVER : world->now_ns + 50 * NS_PER_MS, CAUSE_HEAD_LIMIT);
    list_push_back(&world->calls, &call->node);
    world->live_calls++;
    world->calls_begun++;
    if (chance(world, call->upstream->callers_leave))
        plan(world, &call->leaving, some_time(world, 60));
    if (chance(world, 80))
        head_is_there(call);
    else
        go_on(call);
}

static void arrive(struct event *event)
{
    struct world *world = CONTAINER_OF(event, struct world, arrival);

    for (uint32_t i = below(world, world->burst) + 1; i > 0 && world->calls_begun < world->calls_wanted;
         i--) {
        begin(world);
        world_check(world);
    }
    if (world->calls_begun < world->calls_wanted)
        plan(world, &world->arrival, (int64_t)(draw(world) % (uint64_t)world->gap_ns));
    else if (world->drains)
        plan(world, &world->drain, some_time(world, 20));
}

static void turn_all_away(struct event *event)
{
    struct world *world = CONTAINER_OF(event, struct world, drain);

    while (!list_is_empty(&world->calls)) {
        struct call *call = CONTAINER_OF(world->calls.next, struct call, node);

        end(call, call_fsm_shutdown(&call->fsm));
        world_check(world);
    }
}

/*
 * A reload while calls run: larger pools take waiters in at once, in order; smaller ones wait for permits to come back.
 */
static void resize_a_pool(struct event *event)
{
    struct world *world = CONTAINER_OF(event, struct world, resize);
    struct sim_pool *pool = &world->pools[below(world, POOLS)];
    uint32_t held = pool->permits.held;
    struct permit *next;

    pool->size = 1 + below(world, 12);
    pool->queue_size = below(world, 30);
    pool->allowed = held > pool->size ? held : pool->size;
    if (pool->allowed > pool->largest)
        pool->largest = pool->allowed;
    world->shrunk_below += held > pool->size;
    permit_pool_resize(&pool->permits, pool->size, pool->queue_size);
    for (struct call *first = first_waiter(pool, world); held < pool->size && first != NULL; held++) {
        CHECK(world, permit_next(&pool->permits, 0) == &first->permit);
        CHECK(world, first->permit.state == PERMIT_HELD);
        pool->granted++;
        post_grant(first, &world->threads[0]);
        world->grown_to++;
        first = first_waiter(pool, world);
    }
    next = permit_next(&pool->permits, 0);
    CHECK(world, next == NULL);
    if (world->calls_begun < world->calls_wanted)
        plan(world, &world->resize, some_time(world, 100));
}

/* ---- the world ----------------------------------------------------------------------------------------- */

/* Half of the time none: sick and healthy upstreams side by side. */
static uint32_t some_percent(struct world *world, uint32_t max)
{
    return chance(world, 50) ? 0 : below(world, max + 1);
}

static int64_t some_limit(struct world *world, uint32_t max_ms)
{
    return world->patient || chance(world, 30) ? NS_NEVER : (int64_t)(1 + below(world, max_ms)) * NS_PER_MS;
}

static void make_upstream(struct world *world, struct sim_upstream *upstream, uint32_t pool)
{
    bool patient = world->patient;

    *upstream = (struct sim_upstream){
        .pool = pool,
        .deadline_ns = patient ? NS_NEVER : (int64_t)(5 + below(world, 100)) * NS_PER_MS,
        .ceiling_ns = patient || chance(world, 60) ? NS_NEVER : (int64_t)(10 + below(world, 200)) * NS_PER_MS,
        .connect_ns = some_limit(world, 15),
        .first_byte_ns = some_limit(world, 15),
        .idle_ns = some_limit(world, 8),
        .keep_ns = (int64_t)(1 + below(world, 50)) * NS_PER_MS,
        .age_ns = (int64_t)(1 + below(world, 200)) * NS_PER_MS,
        .keep_max = below(world, 6),
        .stalls = patient ? 0 : some_percent(world, 8),
        .refuses = some_percent(world, 15),
        .loses = some_percent(world, 15),
        .garbles = some_percent(world, 10),
        .drips = patient ? 0 : some_percent(world, 90),
        .answers_early = some_percent(world, 20),
        .closes_idle = some_percent(world, 100),
        .callers_leave = some_percent(world, 40),
    };
}

static void make_thread(struct world *world, struct thread *thread)
{
    thread->world = world;
    thread->delivery.fn = deliver;
    timers_init(&thread->timers);
    list_init(&thread->mails);
    list_init(&thread->batch);
    for (int i = 0; i < UPSTREAMS; i++) {
        struct keepalive *keepalive = &thread->keepalive[i];

        list_init(&keepalive->idle);
        keepalive->thread = thread;
        keepalive->upstream = &world->upstreams[i];
        CHECK(world, timer_init(&thread->timers, &keepalive->expiry, expire_idle) == ST_OK);
    }
}

static void make_world(struct world *world, uint64_t seed, uint64_t calls)
{
    static const uint32_t pool_of_upstream[UPSTREAMS] = {0, 1, 1, 2};

    *world = (struct world){.seed = seed, .random = seed, .calls_wanted = calls, .now_ns = NS_PER_S};
    list_init(&world->calls);
    list_init(&world->dead_calls);
    list_init(&world->dead_conns);
    world->patient = chance(world, 20);
    world->drains = !world->patient && chance(world, 25);
    world->gap_ns = (int64_t)(1 + below(world, 20)) * NS_PER_MS;
    world->burst = 1 + below(world, 30);
    world->arrival.fn = arrive;
    world->drain.fn = turn_all_away;
    world->resize.fn = resize_a_pool;
    for (int i = 0; i < POOLS; i++) {
        struct sim_pool *pool = &world->pools[i];

        pool->size = pool->allowed = pool->largest = 1 + below(world, 12);
        pool->queue_size = below(world, 30);
        permit_pool_init(&pool->permits, pool->size, pool->queue_size);
        pool->queue_timeout_ns = some_limit(world, 20);
        pool->linger_ns = chance(world, 40) ? (int64_t)(1 + below(world, 50)) * NS_PER_MS : 0;
    }
    for (int i = 0; i < UPSTREAMS; i++)
        make_upstream(world, &world->upstreams[i], pool_of_upstream[i]);
    for (int i = 0; i < THREADS; i++)
        make_thread(world, &world->threads[i]);
    plan(world, &world->arrival, 0);
    if (chance(world, 50))
        plan(world, &world->resize, some_time(world, 20));
}

static void free_dead(struct world *world)
{
    struct list_node *node;

    while ((node = list_take_front(&world->dead_calls)) != NULL)
        free(CONTAINER_OF(node, struct call, node));
    while ((node = list_take_front(&world->dead_conns)) != NULL) {
        world->live_conns--;
        free(idle_conn(node));
    }
}

/* One thing happens. False: nothing ever will. */
static bool step(struct world *world)
{
    int64_t next_ns = events_next(&world->events);
    struct thread *thread = NULL;

    for (int i = 0; i < THREADS; i++) {
        int64_t timer_ns = timers_next(&world->threads[i].timers);

        if (timer_ns < next_ns || (timer_ns == next_ns && timer_ns != NS_NEVER && chance(world, 50))) {
            next_ns = timer_ns;
            thread = &world->threads[i];
        }
    }
    if (next_ns == NS_NEVER)
        return false;
    CHECK(world, next_ns >= world->now_ns || thread != NULL);
    if (next_ns > world->now_ns) {
        world_go_on(world, next_ns);
    }
    if (thread != NULL)
        timers_run(&thread->timers, world->now_ns);
    else
        events_run_one(&world->events);
    world->steps++;
    world_check(world);
    free_dead(world);
    return true;
}

/* Everything has drained by itself. */
static void check_nothing_is_left(struct world *world)
{
    CHECK(world, world->calls_begun == world->calls_wanted);
    CHECK(world, world->live_calls == 0 && list_is_empty(&world->calls));
    CHECK(world, world->live_conns == 0);
    CHECK(world, world->events.count == 0);
    for (int i = 0; i < POOLS; i++) {
        const struct permit_pool *permits = &world->pools[i].permits;

        CHECK(world, permits->held == 0 && permits->queue.length == 0);
        CHECK(world, permits->acquired == permits->released);
        CHECK(world, world->pools[i].in_work == 0 && world->pools[i].ghosts == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        struct thread *thread = &world->threads[i];

        CHECK(world, timers_next(&thread->timers) == NS_NEVER);
        CHECK(world, thread->timers.members == UPSTREAMS);
        for (int j = 0; j < UPSTREAMS; j++)
            timer_fini(&thread->timers, &thread->keepalive[j].expiry);
        timers_fini(&thread->timers);
    }
    free(world->events.heap);
}

static void add(struct world *sum, const struct world *world)
{
    sum->steps += world->steps;
    sum->calls_begun += world->calls_begun;
    sum->started += world->started;
    sum->unheard += world->unheard;
    sum->replaced += world->replaced;
    sum->reused += world->reused;
    sum->recalled += world->recalled;
    sum->grown_to += world->grown_to;
    sum->shrunk_below += world->shrunk_below;
    sum->lingered += world->lingered;
    sum->queued += world->queued;
    if (world->most_waiting > sum->most_waiting)
        sum->most_waiting = world->most_waiting;
    for (enum outcome outcome = 0; outcome < OUTCOME_COUNT; outcome++)
        sum->outcomes[outcome] += world->outcomes[outcome];
    for (enum phase phase = 0; phase < PHASE_COUNT; phase++)
        sum->stuck[phase] += world->stuck[phase], sum->spared[phase] += world->spared[phase];
    sum->spared_by_limit += world->spared_by_limit;
}

static void print(const struct world *sum)
{
    printf("%llu calls in %llu steps: started %llu", (unsigned long long)sum->calls_begun,
           (unsigned long long)sum->steps, (unsigned long long)sum->started);
    for (enum outcome outcome = 0; outcome < OUTCOME_NOT_A_CALL; outcome++)
        printf(", %s %llu", outcome_name(outcome), (unsigned long long)sum->outcomes[outcome]);
    printf("\nstuck in");
    for (enum phase phase = 0; phase < PHASE_COUNT; phase++)
        printf(" %s %llu", phase_name(phase), (unsigned long long)sum->stuck[phase]);
    printf("\nspared in");
    for (enum phase phase = 0; phase < PHASE_COUNT; phase++)
        printf(" %s %llu", phase_name(phase), (unsigned long long)sum->spared[phase]);
    printf(", by a limit %llu", (unsigned long long)sum->spared_by_limit);
    printf(
        "\nqueued %llu (at most %llu at once), grants called back %llu, connections used again %llu, "
        "replaced %llu, requests that never became a call %llu, permits from a pool made larger %llu, pools made "
        "smaller than what was held %llu, permits that lingered %llu\n",
        (unsigned long long)sum->queued, (unsigned long long)sum->most_waiting,
        (unsigned long long)sum->recalled, (unsigned long long)sum->reused, (unsigned long long)sum->replaced,
        (unsigned long long)sum->unheard, (unsigned long long)sum->grown_to,
        (unsigned long long)sum->shrunk_below, (unsigned long long)sum->lingered);
}

/* A simulation in which something never happens shows nothing about it. */
static void check_everything_happened(const struct world *sum)
{
    for (enum outcome outcome = 0; outcome < OUTCOME_NOT_A_CALL; outcome++)
        CHECK(sum, sum->outcomes[outcome] > 0);
    for (enum phase phase = 0; phase < PHASE_COUNT; phase++)
        CHECK(sum, sum->stuck[phase] > 0 && sum->spared[phase] > 0);
    CHECK(sum, sum->spared_by_limit > 0);
    CHECK(sum, sum->recalled > 0 && sum->replaced > 0 && sum->reused > 0 && sum->unheard > 0);
    CHECK(sum, sum->grown_to > 0 && sum->shrunk_below > 0 && sum->lingered > 0);
}

static uint64_t number_after(int argc, char **argv, const char *option, uint64_t otherwise)
{
    for (int i = 1; i + 1 < argc; i += 2)
        if (strcmp(argv[i], option) == 0)
            return strtoull(argv[i + 1], NULL, 10);
    return otherwise;
}

int main(int argc, char **argv)
{
    static struct world world, sum;
    const char *wanted = getenv("SIM_CALLS");
    uint64_t left = wanted != NULL ? strtoull(wanted, NULL, 10) : CALLS_DEFAULT;
    uint64_t seed = number_after(argc, argv, "--seed", 1);

    left = number_after(argc, argv, "--calls", left);
    sum.seed = seed;
    sum.calls_wanted = left;
    printf("seed %llu, %llu calls\n", (unsigned long long)seed, (unsigned long long)left);
    for (; left > 0; seed++) {
        make_world(&world, seed, left < RUN_CALLS ? left : RUN_CALLS);
        while (step(&world))
            ;
        check_nothing_is_left(&world);
        add(&sum, &world);
        left -= world.calls_wanted;
    }
    print(&sum);
    if (sum.calls_begun >= CALLS_FOR_ALL)
        check_everything_happened(&sum);
    puts("1 passed, 0 failed");
    return 0;
}
