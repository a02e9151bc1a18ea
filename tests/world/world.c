#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "call/audit.h"
#include "call/circuit_watch.h"
#include "call/call.h"
#include "call/keepalive.h"
#include "call/multiplex.h"

int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
bool __wrap_entropy_take(struct entropy *entropy, uint64_t *out, uint32_t count);
struct world *the_world;

/* Of the longest wait for a slot, a thousand times over. */
#define PATIENCE_NS (120 * NS_PER_S)

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    (void)clock;
    *now = (struct timespec){the_world->now_ns / NS_PER_S, the_world->now_ns % NS_PER_S};
    return 0;
}

bool __wrap_entropy_take(struct entropy *entropy, uint64_t *out, uint32_t count)
{
    (void)entropy;
    for (uint32_t i = 0; i < count; i++)
        out[i] = the_world->lot(the_world);
    return true;
}

void world_broken(const struct world *world, const char *what, const char *where, int line)
{
    printf("%s:%d: broken at %lld ns, step %llu, request %llu: %s\n", where, line, (long long)world->now_ns,
           (unsigned long long)world->steps, (unsigned long long)world->begun, what);
    world_say_how(world);
    fflush(stdout);
    abort();
}

/* ---- time ---------------------------------------------------------------------------------------------- */

void world_begin_turn(struct world_worker *worker)
{
    struct world *world = worker->world;

    CHECK(world, worker->loop.now_ns == 0);
    worker->loop.now_ns = world->now_ns;
}

void world_end_turn(struct world_worker *worker)
{
    if (!list_is_empty(&worker->loop.mailbox.mails))
        worker->loop.mail_waiting = true;
    loop_turn(&worker->loop, worker->world->now_ns);
}

static bool is_busy(struct world_worker *worker)
{
    const struct loop *loop = &worker->loop;

    if (loop->mail_waiting || !list_is_empty(&loop->mailbox.mails) || !list_is_empty(&loop->deferred) ||
        !list_is_empty(&loop->free_later) || timers_next(&loop->timers) <= worker->world->now_ns)
        return true;
    for (size_t i = 0; i < net.end_count; i++)
        if (net.ends[i] != NULL && net.ends[i]->loop == loop && net_is_due(net.ends[i]))
            return true;
    return false;
}

/* Some of what is due on its descriptors, and then what a turn does. */
static void turn(struct world_worker *worker)
{
    struct world *world = worker->world;
    size_t first = net.end_count != 0 ? below(world, (uint32_t)net.end_count) : 0;

    world_begin_turn(worker);
    for (size_t i = 0; i < net.end_count; i++) {
        struct net_end *end = net.ends[(first + i) % net.end_count];

        if (end != NULL && end->loop == &worker->loop && net_is_due(end) && chance(world, 90))
            net_raise(end);
    }
    world_end_turn(worker);
}

/* Time goes on: nobody who should be over by now is left. */
static void go_on_to(struct world *world, int64_t next_ns)
{
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct call_set *calls = &world->workers[i].context.calls;

        for (uint32_t number = 0; number < POOLS; number++)
            CALL_LIST_FOREACH(call, &calls->by_pool[number])
                CHECK(world, call_fsm_next_ns(&call->fsm) > world->now_ns);
        CALL_LIST_FOREACH(call, &calls->reading)
            CHECK(world, call_fsm_next_ns(&call->fsm) > world->now_ns);
    }
    CHECK(world, next_ns > world->now_ns);
    for (uint32_t i = 0; i < POOLS; i++)
        starts_check_next(world, &world->pools[i], next_ns);
    CHECK(world, next_ns < PATIENCE_NS); /* no deadline has to end what waits for nothing */
    world->now_ns = next_ns;
}

/* Of the workers that have something to do now, one; NULL: none has. */
static struct world_worker *pick_busy(struct world *world)
{
    uint32_t first = below(world, WORKERS);

    for (uint32_t i = 0; i < WORKERS; i++)
        if (is_busy(&world->workers[(first + i) % WORKERS]))
            return &world->workers[(first + i) % WORKERS];
    return NULL;
}

static int64_t next_instant(const struct world *world)
{
    int64_t next_ns = events_next(&world->events);

    for (uint32_t i = 0; i < WORKERS; i++) {
        int64_t timer_ns = timers_next(&world->workers[i].loop.timers);

        if (timer_ns < next_ns)
            next_ns = timer_ns;
    }
    return next_ns;
}

bool world_step(struct world *world)
{
    struct world_worker *busy = pick_busy(world);
    bool has_event = events_next(&world->events) <= world->now_ns;

    if (busy == NULL && !has_event) {
        int64_t next_ns = next_instant(world);

        if (next_ns == NS_NEVER)
            return false;
        go_on_to(world, next_ns);
    } else if (busy != NULL && (!has_event || chance(world, 50))) {
        turn(busy);
    } else {
        events_run_one(&world->events);
    }
    world->steps++;
    books_check(world);
    return true;
}

/* ---- what happens to the service ----------------------------------------------------------------------- */

static void more_arrive(struct happening *event)
{
    struct world *world = CONTAINER_OF(event, struct world, arrival);

    people_arrive(world);
    if (world->begun < world->wanted)
        plan(world, &world->arrival, (int64_t)(world->lot(world) % (uint64_t)world->gap_ns));
    else if (world->drains)
        plan(world, &world->drain, some_time(world, 20));
}

static void end_calls(struct world *world, struct call_list *list)
{
    struct call *call;

    while ((call = call_list_next(list, &list->places)) != NULL)
        call_end(call, call_fsm_shutdown(&call->fsm), NULL);
    CHECK(world, list_is_empty(&list->places));
}

static void turn_all_away(struct happening *event)
{
    struct world *world = CONTAINER_OF(event, struct world, drain);

    for (uint32_t i = 0; i < WORKERS; i++) {
        struct world_worker *worker = &world->workers[i];

        world_begin_turn(worker);
        for (uint32_t number = 0; number < POOLS; number++)
            end_calls(world, &worker->context.calls.by_pool[number]);
        end_calls(world, &worker->context.calls.reading);
        world_end_turn(worker);
    }
}

static bool is_paused(const struct world *world, const struct world_pool *pool)
{
    return world->now_ns < pool->starts.paused_until_ns;
}

/* Rather one that is paused. */
static struct world_pool *pick_pool(struct world *world)
{
    uint32_t first = below(world, POOLS);

    for (uint32_t i = 0; i < POOLS; i++)
        if (is_paused(world, &world->pools[(first + i) % POOLS]))
            return &world->pools[(first + i) % POOLS];
    return &world->pools[first];
}

/* A reload while calls run. */
static void set_a_pool(struct happening *event)
{
    struct world *world = CONTAINER_OF(event, struct world, resize);
    struct world_pool *pool = pick_pool(world);
    uint32_t held = pool->pool.permits.held, waiting = pool->pool.permits.queue.length;
    bool was_paused = is_paused(world, pool);
    uint32_t burst, per_hour = world_draw_rate(world, &burst);
    bool pauses = chance(world, 50);

    pool->size = 1 + below(world, 12);
    pool->queue_size = below(world, 30);
    pool->allowed = held > pool->size ? held : pool->size;
    world->shrunk += held > pool->size;
    world->grown += held < pool->size && pool->pool.permits.queue.length != 0;
    starts_set(pool, per_hour, burst, pauses);
    pool_set(&pool->pool, &(struct pool_terms){.size = pool->size,
                                               .queue_size = pool->queue_size,
                                               .timed = per_hour != 0 || pauses,
                                               .rate_per_hour = per_hour,
                                               .rate_burst = burst,
                                               .pauses = pauses});
    world->let_go += was_paused && !pauses && pool->pool.permits.queue.length < waiting;
    if (world->begun < world->wanted)
        plan(world, &world->resize, some_time(world, 100));
}

static bool has_calls(struct world *world)
{
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct call_set *calls = &world->workers[i].context.calls;

        CALL_LIST_FOREACH(call, &calls->reading)
            return true;
        for (uint32_t number = 0; number < POOLS; number++)
            CALL_LIST_FOREACH(call, &calls->by_pool[number])
                return true;
    }
    return false;
}

/* The audit finds the books right, and callers whose end no event tells. */
static void look_after(struct happening *event)
{
    struct world *world = CONTAINER_OF(event, struct world, audit);
    struct world_worker *worker = &world->workers[below(world, WORKERS)];

    world_begin_turn(worker);
    audit_round(&worker->context, world->now_ns);
    world_end_turn(worker);
    for (uint32_t i = 0; i < POOLS; i++)
        CHECK(world, world->pools[i].pool.audit_errors == 0);
    if (world->begun < world->wanted || has_calls(world))
        plan(world, &world->audit, 10 * NS_PER_MS);
}

/* ---- the making ---------------------------------------------------------------------------------------- */

static void has_emptied(struct call_context *context)
{
    (void)context;
}

static void make_context(struct world *world, struct world_worker *worker, uint32_t number,
                         atomic_uint *callers)
{
    struct call_context *context = &worker->context;

    *context = (struct call_context){.loop = &worker->loop,
                                     .worker_count = WORKERS,
                                     .callers = callers,
                                     .next_call = (uint64_t)number << 32 | 1,
                                     .caller_common.user = &downstream_user,
                                     .emptied = has_emptied,
                                     .pools = world->pool_list,
                                     .replay = &world->replay,
                                     .address_book = &world->addresses,
                                     .log = (struct log_ring *)worker, /* not NULL: call_log is ours */
                                     .text = worker->text,
                                     .text_cap = 128 * 1024};
    call_set_init(&context->calls);
    call_set_grow(&context->calls, call_lists_new(POOLS), POOLS);
    list_init(&context->downstreams);
    list_init(&context->cutting);
    handshakes_init(&context->handshakes, &worker->loop);
    context->metrics = metrics_new(UPSTREAMS, UPSTREAMS);
    context->head =
        (struct http1_head){.fields = calloc(4096, sizeof(struct http1_field)), .field_cap = 4096};
    context->keepalive = calloc(UPSTREAMS, sizeof(struct keepalive *));
    context->circuits = calloc(UPSTREAMS, sizeof(struct circuit *));
    CHECK(world, context->metrics != NULL && context->head.fields != NULL && context->keepalive != NULL &&
                     context->circuits != NULL);
    context_set_snapshot(context, world->snapshot);
    for (uint32_t i = 0; i < UPSTREAMS; i++)
        if (world->apis[i].has_circuit)
            context->circuits[world->snapshot->upstreams[i].default_route.circuit] = &world->apis[i].circuit;
}

static void breaker_opened(struct circuit *circuit, struct loop *loop)
{
    circuit_watch_opened(&CONTAINER_OF(loop, struct world_worker, loop)->context, circuit);
}

static void make_circuits(struct world *world)
{
    for (uint32_t i = 0; i < UPSTREAMS; i++) {
        struct world_api *api = &world->apis[i];

        if (!api->has_circuit)
            continue;
        CHECK(world,
              circuit_init(&api->circuit, world->lot(world), world->loops, WORKERS, breaker_opened) == ST_OK);
        circuit_set(&api->circuit, world->snapshot->upstreams[i].default_route.breaker, false);
    }
}

static void make_worker(struct world *world, uint32_t number)
{
    static struct tls_client *plain[UPSTREAMS];
    static struct tls_server *plain_callers[UPSTREAMS];
    static atomic_uint callers;
    struct world_worker *worker = &world->workers[number];

    worker->world = world;
    worker->text = malloc(128 * 1024);
    CHECK(world, worker->text != NULL && loop_init(&worker->loop, number) == ST_OK);
    worker->loop.armed_ns = INT64_MIN; /* no timer of the kernel's */
    world->loops[number] = &worker->loop;
    make_context(world, worker, number, &callers);
    worker->terms =
        (struct call_terms){.snapshot = world->snapshot, .tls = plain, .caller_tls = plain_callers};
    for (uint32_t i = 0; i < UPSTREAMS; i++) {
        worker->context.keepalive[i] = keepalive_new(&worker->context);
        CHECK(world, worker->context.keepalive[i] != NULL);
        keepalive_renew(worker->context.keepalive[i], &world->snapshot->upstreams[i]);
        worker->listeners[i] = (struct listener_worker){.context = &worker->context,
                                                        .begin = call_begin,
                                                        .terms = &worker->terms,
                                                        .upstream = &world->snapshot->upstreams[i]};
    }
}

/* As its configuration says; the pools' homes are spread over the workers. */
static void make_pool(struct world *world, uint32_t number)
{
    struct world_pool *pool = &world->pools[number];
    const struct pool_config *config = &world->snapshot->pools[number];

    CHECK(world, config->index == number && config->size == pool->size);
    CHECK(world, pool_init(&pool->pool, 1, 0, world->loops, WORKERS) == ST_OK);
    world->pool_list[number] = &pool->pool;
    pool->pool.home = world->loops[number % WORKERS];
    CHECK(world, pool_keep_time(&pool->pool) == ST_OK);
    starts_set(pool, config->rate_per_hour, config->rate_burst, pool->starts.pause_max_ns != 0);
    pool_set(&pool->pool, &(struct pool_terms){.size = config->size,
                                               .queue_size = config->queue_size,
                                               .timed = pool_asks_for_time(config),
                                               .rate_per_hour = config->rate_per_hour,
                                               .rate_burst = config->rate_burst,
                                               .pauses = config->pause.max_ns != 0});
}

void world_make(struct world *world, uint64_t (*lot)(struct world *world), void *lots, uint64_t seed,
                uint64_t requests)
{
    *world = (struct world){.lot = lot, .lots = lots, .random = seed, .wanted = requests, .now_ns = NS_PER_S};
    the_world = world;
    net_init();
    address_book_init(&world->addresses);
    net.dialled = people_dialled;
    net.given_up = people_given_up;
    list_init(&world->callers);
    list_init(&world->connections);
    world->patient = chance(world, 20);
    world->drains = !world->patient && chance(world, 25);
    world->gap_ns = (int64_t)(1 + below(world, 20)) * NS_PER_MS;
    world->burst = 1 + below(world, 30);
    world_configure(world);
    for (uint32_t i = 0; i < WORKERS; i++)
        world->loops[i] = &world->workers[i].loop;
    make_circuits(world);
    for (uint32_t i = 0; i < WORKERS; i++)
        make_worker(world, i);
    for (uint32_t i = 0; i < POOLS; i++)
        make_pool(world, i);
    world->arrival.fn = more_arrive;
    world->drain.fn = turn_all_away;
    world->resize.fn = set_a_pool;
    world->audit.fn = look_after;
    plan(world, &world->arrival, 0);
    plan(world, &world->audit, 10 * NS_PER_MS);
    if (chance(world, 50))
        plan(world, &world->resize, some_time(world, 20));
}

/* ---- the end ------------------------------------------------------------------------------------------- */

static void end_worker(struct world *world, struct world_worker *worker)
{
    struct call_context *context = &worker->context;

    CHECK(world, list_is_empty(&context->calls.reading.places) && list_is_empty(&context->downstreams));
    CHECK(world, context->downstream_count == 0 && list_is_empty(&context->cutting));
    world_begin_turn(worker);
    for (uint32_t i = 0; i < UPSTREAMS; i++) {
        multiplex_free(context->keepalive[i]);
        keepalive_free(context->keepalive[i]);
    }
    world_end_turn(worker);
    CHECK(world, context->upstream_count == 0 && worker->terms.users == 0);
    CHECK(world, timers_next(&worker->loop.timers) == NS_NEVER && worker->loop.timers.members == 0);
    loop_fini(&worker->loop);
    call_set_fini(&context->calls);
    metrics_free(context->metrics);
    free(context->keepalive);
    free(context->circuits);
    free(context->head.fields);
    free(worker->text);
}

void world_end(struct world *world)
{
    people_end(world);
    for (uint32_t i = 0; i < POOLS; i++)
        pool_stop_time(&world->pools[i].pool);
    for (uint32_t i = 0; i < WORKERS; i++)
        end_worker(world, &world->workers[i]);
    CHECK(world, net.open == 0 && list_is_empty(&net.dials) && world->events.count == 0);
    for (uint32_t i = 0; i < POOLS; i++) {
        const struct permit_pool *permits = &world->pools[i].pool.permits;

        CHECK(world, permits->held == 0 && permits->queue.length == 0);
        CHECK(world, permits->acquired == permits->released);
        pool_fini(&world->pools[i].pool);
    }
    for (uint32_t i = 0; i < UPSTREAMS; i++) {
        if (!world->apis[i].has_circuit)
            continue;
        CHECK(world, breaker_is_sound(&world->apis[i].circuit.breaker) &&
                         world->apis[i].circuit.breaker.places == 0);
        circuit_fini(&world->apis[i].circuit);
    }
    net_fini();
    address_book_fini(&world->addresses);
    numbering_release(&world->numbering, world->snapshot);
    numbering_fini(&world->numbering);
    snapshot_free(world->snapshot);
    free(world->events.heap);
    free(world->requests);
    free(world->notes);
}
