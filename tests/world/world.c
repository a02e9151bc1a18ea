#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "call/audit.h"
#include "call/call.h"
#include "call/ghost.h"
#include "call/keepalive.h"
#include "call/retries.h"
#include "call/upstream.h"
#include "config/load.h"
#include "core/budget.h"

int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
bool __wrap_entropy_take(struct entropy *entropy, uint64_t *out, uint32_t count);
enum permit_answer __real_pool_acquire(struct pool *pool, struct pool_ticket *ticket);
enum permit_answer __wrap_pool_acquire(struct pool *pool, struct pool_ticket *ticket);
void __wrap_call_log(struct call *call, enum cause cause, enum phase phase, int64_t now_ns,
                     const char *detail, struct span odd);

/* The one that there is: clocks are asked without an argument. */
static struct world *the_world;

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

/* ---- the books ----------------------------------------------------------------------------------------- */

static struct world_note *note_of(struct world *world, const struct call *call)
{
    uint64_t number = (call->id & 0xffffffff) * WORKERS + (call->id >> 32);

    if (number >= world->note_cap) {
        uint64_t cap = 2 * number + 64;

        world->notes = realloc(world->notes, cap * sizeof(*world->notes));
        CHECK(world, world->notes != NULL);
        memset(world->notes + world->note_cap, 0, (cap - world->note_cap) * sizeof(*world->notes));
        world->note_cap = cap;
    }
    return &world->notes[number];
}

struct tally {
    uint32_t holders, waiters, in_work;
};

static void check_queue(struct world *world, struct call *call, struct world_note *note)
{
    struct world_pool *pool = &world->pools[call->route->pool];

    if (!note->waits || call->try->ticket.permit.state == PERMIT_WAITING)
        return;
    note->waits = false;
    if (call->try->ticket.permit.state == PERMIT_HELD && note->place > pool->last_granted)
        pool->last_granted = note->place;
}

/* Who comes into a queue has the last place in it. */
enum permit_answer __wrap_pool_acquire(struct pool *pool, struct pool_ticket *ticket)
{
    enum permit_answer answer = __real_pool_acquire(pool, ticket);
    const struct try *try = CONTAINER_OF(ticket, struct try, ticket);
    struct world_note *note = note_of(the_world, try->user);

    note->waits = answer == PERMIT_QUEUED;
    if (note->waits)
        note->place = ++the_world->queued;
    return answer;
}

/* A call in flight: what it holds, and that nothing but time goes on with its time. */
static void check_call(struct world *world, struct call *call, struct tally *tally)
{
    struct world_note *note = note_of(world, call);
    const struct try *try = call->try;
    int64_t phases_ns = 0;

    CHECK(world, !call_is_over(call) && call_is_sound(call));
    CHECK(world, try_has_permit(try) == (try->ticket.permit.state == PERMIT_HELD));
    tally->holders += try_has_permit(try);
    tally->waiters += try->ticket.permit.state == PERMIT_WAITING;
    tally->in_work += try->upstream != NULL;
    CHECK(world, call_fsm_next_ns(&call->fsm) >= world->now_ns || note->seen_ns == 0 ||
                     note->seen_ns == world->now_ns);
    if (call->counted && note->counted)
        CHECK(world, note->deadline_ns == call->fsm.deadline_ns && note->policy_ns == call->fsm.policy_ns);
    for (enum phase phase = 0; phase < PHASE_COUNT; phase++)
        phases_ns += call_fsm_phase_ns(&call->fsm, phase, world->now_ns);
    CHECK(world, phases_ns == world->now_ns - call->fsm.begun_ns);
    if (note->seen_ns == 0)
        note->seen_ns = world->now_ns;
    note->counted = call->counted;
    note->deadline_ns = call->fsm.deadline_ns;
    note->policy_ns = call->fsm.policy_ns;
    check_queue(world, call, note);
}

static void check_pool(struct world *world, uint32_t number, const struct tally *tally, uint32_t cuts,
                       uint32_t ghosts)
{
    struct world_pool *pool = &world->pools[number];
    const struct permit_pool *permits = &pool->pool.permits;

    if (permits->held < pool->allowed)
        pool->allowed = permits->held > pool->size ? permits->held : pool->size;
    CHECK(world, permit_pool_is_sound(permits));
    CHECK(world, permits->size == pool->allowed && permits->held <= pool->allowed);
    CHECK(world, permits->held == tally->holders + cuts + ghosts);
    CHECK(world, permits->queue.length == tally->waiters);
    CHECK(world, permits->queue.length == 0 || permits->held == permits->size);
    CHECK(world, permits->acquired - permits->released == permits->held);
    CHECK(world, tally->in_work + cuts + ghosts <= permits->held);
}

/* Nobody who came later has got a permit. */
static void check_order(struct world *world, uint32_t number)
{
    for (uint32_t i = 0; i < WORKERS; i++)
        CALL_LIST_FOREACH(call, &world->workers[i].context.calls.by_pool[number])
            CHECK(world, call->try->ticket.permit.state != PERMIT_WAITING ||
                             note_of(world, call)->place > world->pools[number].last_granted);
}

/* Retries are bounded by what was good. */
static void check_tries(struct world *world)
{
    for (uint32_t number = 0; number < UPSTREAMS; number++) {
        const struct world_api *api = &world->apis[number];
        uint32_t route = world->snapshot->upstreams[number].default_route.index;
        uint64_t retries = 0, good = 0;

        for (uint32_t i = 0; i < WORKERS; i++) {
            const struct route_metrics *metrics = &world->workers[i].context.metrics->routes[route];

            retries += metrics->tries_started[TRY_RETRY];
            good += metrics->tries_ended[VERDICT_GOOD];
        }
        CHECK(world, 100 * retries <= 100 * (uint64_t)api->burst + api->share * good);
    }
}

static void check_world(struct world *world)
{
    for (uint32_t number = 0; number < POOLS; number++) {
        struct tally tally = {0};
        uint32_t cuts = 0, ghosts = 0;

        for (uint32_t i = 0; i < WORKERS; i++) {
            const struct call_context *context = &world->workers[i].context;

            ghosts += ghosts_count(&context->calls.by_pool[number]);
            cuts += upstream_count_cuts(context, &world->pools[number].pool);
            CALL_LIST_FOREACH(call, &context->calls.by_pool[number])
                check_call(world, call, &tally);
        }
        check_pool(world, number, &tally, cuts, ghosts);
        check_order(world, number);
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct tally tally = {0};

        CALL_LIST_FOREACH(call, &world->workers[i].context.calls.reading)
            check_call(world, call, &tally);
        CHECK(world, tally.holders == 0 && tally.waiters == 0 && tally.in_work == 0);
        CHECK(world, world->workers[i].context.metrics->process.broken_invariants[0] == 0);
    }
    check_tries(world);
}

/* ---- the end of a call --------------------------------------------------------------------------------- */

/* A limit never strikes early; that it does not strike late, go_on_to sees. */
static void check_limit(struct world *world, const struct call *call, enum cause cause)
{
    const struct route_config *route = call->route;
    const struct try *try = call->try;
    int64_t now_ns = world->now_ns;

    switch (cause) {
    case CAUSE_HEAD_LIMIT:
        CHECK(world, now_ns - call->fsm.begun_ns >= world->snapshot->limits.request_head_timeout_ns);
        break;
    case CAUSE_QUEUE_LIMIT:
        CHECK(world, call_fsm_phase_ns(&call->fsm, PHASE_QUEUE, now_ns) >= route->queue_timeout_ns);
        break;
    case CAUSE_CONNECT_LIMIT: CHECK(world, now_ns - try->granted_ns >= route->connect_ns); break;
    case CAUSE_FIRST_BYTE_LIMIT: CHECK(world, now_ns - try->uploaded_ns >= route->first_byte_ns); break;
    case CAUSE_IDLE_LIMIT: CHECK(world, now_ns - try->exchange->moved_ns >= route->idle_ns); break;
    default: return;
    }
    CHECK(world, now_ns < call->fsm.deadline_ns);
}

static void check_instant(struct world *world, const struct call *call, enum cause cause)
{
    if (cause == CAUSE_DEADLINE)
        CHECK(world, world->now_ns >= call->fsm.deadline_ns);
    CHECK(world, world->now_ns <= call->fsm.deadline_ns || !note_of(world, call)->counted);
    if (call->retries == NULL) /* or the cause may be an earlier try's */
        check_limit(world, call, cause);
}

/* What curfew says that an API can know of it, no API knows more. */
static void check_sent(struct world *world, const struct call *call)
{
    uint64_t number;

    if (!call->counted || call->request.len == 0)
        return; /* of a head that has not come whole, the number may lack digits */
    number = strtoull(outgoing_target(&call->request).ptr + 1, NULL, 10);
    CHECK(world, number < world->begun);
    if (call->fsm.sent == SENT_NONE)
        CHECK(world, world->requests[number].arrivals == 0);
}

/* In place of the line in the log: the call is over, and holds nothing. */
void __wrap_call_log(struct call *call, enum cause cause, enum phase phase, int64_t now_ns,
                     const char *detail, struct span odd)
{
    struct world *world = the_world;
    enum outcome outcome = cause_outcome(cause);
    const struct try *try = call->try;

    (void)detail;
    (void)odd;
    CHECK(world, now_ns == world->now_ns && call_is_over(call) && call_state_holds(call->fsm.state) == 0);
    CHECK(world, !try_fsm_is_alive(&try->fsm) && try->upstream == NULL && try_is_sound(try));
    CHECK(world, try->ticket.permit.state == PERMIT_FREE && call->timer.fn == NULL);
    CHECK(world, list_is_alone(&try->ticket.news.node) && !try_fsm_is_alive(&call->first.fsm));
    CHECK(world, call->retries == NULL || !try_fsm_is_alive(&call->retries->other.fsm));
    CHECK(world, call->counted || outcome == OUTCOME_NOT_A_CALL || outcome == OUTCOME_REJECTED);
    check_instant(world, call, cause);
    check_sent(world, call);
    world->ended++;
    world->outcomes[outcome]++;
    if (outcome == OUTCOME_STUCK)
        world->stuck[phase]++;
    world->replaced += try->reconnected;
    world->lingered += try->lingers;
    world->retried += call->retries != NULL && call->retries->started > 1;
    world->spared += call->fsm.spared_cause != CAUSE_NONE;
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
    check_world(world);
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

/* A reload while calls run. */
static void resize_a_pool(struct happening *event)
{
    struct world *world = CONTAINER_OF(event, struct world, resize);
    struct world_pool *pool = &world->pools[below(world, POOLS)];
    uint32_t held = pool->pool.permits.held;

    pool->size = 1 + below(world, 12);
    pool->queue_size = below(world, 30);
    pool->allowed = held > pool->size ? held : pool->size;
    world->shrunk += held > pool->size;
    world->grown += held < pool->size && pool->pool.permits.queue.length != 0;
    pool_set(&pool->pool,
             &(struct pool_terms){.size = pool->size, .queue_size = pool->queue_size, .rate_burst = 1});
    if (world->begun < world->wanted)
        plan(world, &world->resize, some_time(world, 100));
}

/* The audit finds the books right. */
static void look_after(struct happening *event)
{
    struct world *world = CONTAINER_OF(event, struct world, audit);
    struct world_worker *worker = &world->workers[below(world, WORKERS)];

    world_begin_turn(worker);
    audit_round(&worker->context, world->now_ns);
    world_end_turn(worker);
    for (uint32_t i = 0; i < POOLS; i++)
        CHECK(world, world->pools[i].pool.audit_errors == 0);
    if (world->begun < world->wanted)
        plan(world, &world->audit, 10 * NS_PER_MS);
}

/* ---- the making ---------------------------------------------------------------------------------------- */

/* Half of the time none: sick and healthy APIs side by side. */
static uint32_t some_percent(struct world *world, uint32_t max)
{
    return chance(world, 50) ? 0 : below(world, max + 1);
}

static void put_limit(struct world *world, struct text *yaml, const char *name, uint32_t max_ms)
{
    if (!world->patient && chance(world, 70))
        text_printf(yaml, "%s: %ums, ", name, 1 + below(world, max_ms));
}

static void put_retries(struct world *world, struct text *yaml, struct world_api *api)
{
    api->attempts = chance(world, 50) ? 2 + below(world, 4) : 1;
    api->burst = below(world, 20);
    api->share = below(world, 100);
    if (api->attempts == 1)
        return;
    text_printf(
        yaml,
        "    retries: {attempts: %u, when: [connect, dns, tls, reset, junk, timeout, 503], per_try: %s, "
        "backoff: {base: %ums, max: 20ms}, budget: {share: %u%%, burst: %u}, repeat: {content: %uB}}\n",
        api->attempts, chance(world, 50) && !world->patient ? "5ms" : "none", below(world, 20), api->share,
        api->burst, below(world, 3000));
}

static void put_upstream(struct world *world, struct text *yaml, uint32_t number)
{
    static const uint32_t pool_of[UPSTREAMS] = {0, 1, 1, 2};
    struct world_api *api = &world->apis[number];
    bool patient = world->patient;

    *api = (struct world_api){.pool = pool_of[number],
                              .stalls = patient ? 0 : some_percent(world, 8),
                              .refuses = some_percent(world, 15),
                              .loses = some_percent(world, 15),
                              .garbles = some_percent(world, 10),
                              .drips = patient ? 0 : some_percent(world, 90),
                              .answers_early = some_percent(world, 20),
                              .closes_idle = some_percent(world, 100),
                              .callers_leave = some_percent(world, 40),
                              .callers_dawdle = some_percent(world, 30)};
    text_printf(yaml, "  u%u:\n    listen: 127.0.0.1:%u\n    url: http://127.0.0.1:1%u\n    pool: p%u\n",
                number, 9000 + number, number, pool_of[number]);
    text_printf(yaml, "    deadline: %s\n", patient ? "24h" : "");
    if (!patient) {
        yaml->len--;
        text_printf(yaml, "%ums\n", 5 + below(world, 100));
        if (chance(world, 40))
            text_printf(yaml, "    observe: true\n    observe_ceiling: %ums\n", 10 + below(world, 200));
    }
    put_retries(world, yaml, api);
    text_printf(yaml, "    caller_deadline: {headers: [X-T]}\n    timeouts: {");
    put_limit(world, yaml, "connect", 15);
    put_limit(world, yaml, "first_byte", 15);
    put_limit(world, yaml, "idle", 8);
    text_printf(yaml, "begin: none}\n    keepalive: {max_idle: %u, idle_timeout: %ums, max_age: %ums}\n",
                below(world, 6), 1 + below(world, 50), 1 + below(world, 200));
}

static void put_config(struct world *world, struct text *yaml)
{
    text_printf(
        yaml,
        "admin: {listen: 127.0.0.1:1}\nlimits: {request_head_timeout: %s, idle_timeout: 100ms}\npools:\n",
        world->patient ? "24h" : "50ms");
    for (uint32_t i = 0; i < POOLS; i++) {
        world->pools[i].size = world->pools[i].allowed = 1 + below(world, 12);
        world->pools[i].queue_size = below(world, 30);
        text_printf(yaml, "  p%u: {size: %u, queue: %u", i, world->pools[i].size, world->pools[i].queue_size);
        if (!world->patient && chance(world, 70))
            text_printf(yaml, ", queue_timeout: %ums", 1 + below(world, 20));
        if (chance(world, 40))
            text_printf(yaml, ", linger: %ums", 1 + below(world, 50));
        text_printf(yaml, "}\n");
    }
    text_printf(yaml, "upstreams:\n");
    for (uint32_t i = 0; i < UPSTREAMS; i++)
        put_upstream(world, yaml, i);
}

static char *read_no_file(void *arg, const char *path, size_t *len, const char **why)
{
    (void)arg;
    (void)path;
    (void)len;
    *why = "there are no files";
    return NULL;
}

static void configure(struct world *world)
{
    static const struct config_files files = {.read = read_no_file};
    static struct config_errors errors;
    char block[8192];
    struct text yaml = text_over(block, sizeof(block));

    put_config(world, &yaml);
    if (yaml.overflow || config_load(text_span(&yaml), &files, &world->snapshot, &errors) != ST_OK)
        world_broken(world, errors.list[0].text, __FILE__, __LINE__);
    CHECK(world, numbering_take(&world->numbering, world->snapshot) == ST_OK);
    for (uint32_t i = 0; i < UPSTREAMS; i++) {
        world->snapshot->upstreams[i].retry_tokens = &world->apis[i].tokens;
        retry_tokens_init(&world->apis[i].tokens, world->apis[i].burst, world->apis[i].share);
    }
}

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
    context->circuits = calloc(UPSTREAMS, sizeof(struct circuit *)); /* there are no breakers */
    CHECK(world, context->metrics != NULL && context->head.fields != NULL && context->keepalive != NULL &&
                     context->circuits != NULL);
    context_set_snapshot(context, world->snapshot);
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

void world_make(struct world *world, uint64_t (*lot)(struct world *world), void *lots, uint64_t seed,
                uint64_t requests)
{
    *world = (struct world){.lot = lot, .lots = lots, .random = seed, .wanted = requests, .now_ns = NS_PER_S};
    the_world = world;
    net_init();
    net.dialled = people_dialled;
    net.given_up = people_given_up;
    list_init(&world->callers);
    list_init(&world->connections);
    world->patient = chance(world, 20);
    world->drains = !world->patient && chance(world, 25);
    world->gap_ns = (int64_t)(1 + below(world, 20)) * NS_PER_MS;
    world->burst = 1 + below(world, 30);
    configure(world);
    for (uint32_t i = 0; i < WORKERS; i++)
        world->loops[i] = &world->workers[i].loop;
    for (uint32_t i = 0; i < POOLS; i++) {
        world->pool_list[i] = &world->pools[i].pool;
        CHECK(world, pool_init(&world->pools[i].pool, world->pools[i].size, world->pools[i].queue_size,
                               world->loops, WORKERS) == ST_OK);
    }
    for (uint32_t i = 0; i < WORKERS; i++)
        make_worker(world, i);
    world->arrival.fn = more_arrive;
    world->drain.fn = turn_all_away;
    world->resize.fn = resize_a_pool;
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
    for (uint32_t i = 0; i < UPSTREAMS; i++)
        keepalive_free(context->keepalive[i]);
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
    for (uint32_t i = 0; i < WORKERS; i++)
        end_worker(world, &world->workers[i]);
    CHECK(world, net.open == 0 && list_is_empty(&net.dials) && world->events.count == 0);
    for (uint32_t i = 0; i < POOLS; i++) {
        const struct permit_pool *permits = &world->pools[i].pool.permits;

        CHECK(world, permits->held == 0 && permits->queue.length == 0);
        CHECK(world, permits->acquired == permits->released);
        pool_fini(&world->pools[i].pool);
    }
    net_fini();
    numbering_release(&world->numbering, world->snapshot);
    numbering_fini(&world->numbering);
    snapshot_free(world->snapshot);
    free(world->events.heap);
    free(world->requests);
    free(world->notes);
}
