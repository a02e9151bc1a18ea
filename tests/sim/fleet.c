/*
 * Fleets of curfews in simulated worlds: core/block is what each host does, ledger.h what the store does, and the
 * worlds have hosts that are killed and started again, partitions, lost and late messages, a store that is away, comes
 * back empty, fails over to a replica that lacks the last writes, or whose clock steps. An API counts what is open at
 * it: one call above the cap, at any instant, fails the run.
 *
 *   fleet [--seed N] [--worlds N] [--large]
 *
 * The same seed gives the same worlds. Each rule of the protocol is then broken once, and some world has to find it.
 * --large adds 10,000 hosts with ten million calls.
 *
 * What is not here: a host that is stopped can not cut its calls (they end at the API by themselves here); two stores
 * that live side by side for longer than a lease.
 */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/block.h"
#include "events.h"
#include "ledger.h"

#define NS_A_S  INT64_C(1000000000)
#define NS_A_MS INT64_C(1000000)
#define QUEUE   100u
#define SNAPS   25u
#define NOWHERE UINT32_MAX
#define SECONDS 60

enum fault { KILL, CUT, AWAY, WIPE, FAILOVER, STEP, LEAP, FREEZE, FAULTS };
#define ALL_FAULTS                                                                                           \
    ((1u << KILL) | (1u << CUT) | (1u << AWAY) | (1u << WIPE) | (1u << FAILOVER) | (1u << STEP))

/* Rules of a host that are broken, beside those of the store (ledger.h). */
enum mutant {
    SOUND,
    LEASE_IS_LONGER,  /* the host counts three seconds more than the store lends */
    STARTS_UNTIL_END, /* calls start until the lease ends, and not until it covers them */
    TAKES_ANY_ANSWER, /* also an older request's */
    SHARE_WITHOUT_GLIDE,
    MUTANTS
};

struct plan {
    const char *name;
    uint32_t hosts, cap;
    double service_s, load; /* a call's time; of the cap, what is asked for */
    unsigned faults;
    double fault_gap_s, loss, stuck;
    bool bursty, hints, shares;
    bool is_tight_in_time; /* the store's margin is small, so that it does not cover a host's mistake */
    int seconds;
    enum mutant mutant;
    enum ledger_mutant ledger;
};

struct world;

struct call {
    struct happening event; /* its end at the API */
    struct host *host;
    uint32_t born;
    bool over; /* at the API; its host has still to hear of it */
};

struct host {
    struct happening arrival, poll, boot;
    struct world *world;
    uint32_t index, id, born; /* id: to the store */
    bool alive, reached;
    int64_t thaw_ns; /* stopped until then */
    int64_t offset_ns;
    double drift, burst;
    int64_t burst_ns;
    struct block block;
    uint32_t held, out; /* out: at the API */
    int64_t queue[QUEUE];
    uint32_t first, waiting;
    uint64_t started;
};

/* Under way to the store, or back, or a hint. */
struct message {
    struct happening event;
    struct host *host;
    uint32_t born, id;
    struct block_request request;
    struct block_reply reply;
    char epoch[BLOCK_EPOCH_MAX];
};

struct heal {
    struct happening event;
    struct world *world;
    uint8_t *reached; /* hosts to be reached again; NULL: the store */
};

struct world {
    struct plan plan;
    struct block_terms terms;
    uint64_t random;
    int64_t now_ns, last_ns;
    struct events events;
    struct happening fault, snap;
    struct ledger ledger, snaps[SNAPS];
    uint32_t snap_count, next_id;
    uint32_t away;
    int64_t step_us;
    struct host *hosts;
    uint32_t *host_of; /* by id */
    uint32_t out, peak;
    double busy_s;
    uint64_t over, started, refused, expired, faults[FAULTS];
};

/* ---- chance -------------------------------------------------------------------------------------------- */

static uint64_t draw(struct world *world)
{
    uint64_t z = (world->random += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static double uniform(struct world *world)
{
    return (double)(draw(world) >> 11) / (double)(UINT64_C(1) << 53);
}

static int64_t exponential_ns(struct world *world, double mean_s)
{
    return (int64_t)(-log(1 - uniform(world)) * mean_s * (double)NS_A_S);
}

static double pick(struct world *world, const double *choices, size_t count)
{
    return choices[draw(world) % count];
}
#define PICK(world, ...)                                                                                     \
    pick(world, (const double[]){__VA_ARGS__}, sizeof((const double[]){__VA_ARGS__}) / sizeof(double))

static void plan_in(struct world *world, struct happening *event, int64_t in_ns)
{
    events_plan(&world->events, event, world->now_ns + (in_ns > 0 ? in_ns : 0), draw(world));
}

static int64_t hop_ns(struct world *world)
{
    int64_t hop = 250000 + exponential_ns(world, 0.000075);

    return uniform(world) < world->plan.loss ? hop + 200 * NS_A_MS + (int64_t)(uniform(world) * 2.8e9) : hop;
}

static int64_t clock_ns(const struct host *host)
{
    return host->offset_ns + (int64_t)((double)host->world->now_ns * host->drift);
}

/* ---- calls --------------------------------------------------------------------------------------------- */

static void run(struct host *host);

static void count(struct world *world, int change)
{
    world->busy_s += (double)world->out * (double)(world->now_ns - world->last_ns) / 1e9;
    world->last_ns = world->now_ns;
    world->out += (uint32_t)change;
    if (world->out > world->peak)
        world->peak = world->out;
    if (change > 0 && world->out > world->plan.cap)
        world->over++;
}

static bool is_stopped(struct host *host, struct happening *event)
{
    if (host->thaw_ns <= host->world->now_ns)
        return false;
    events_plan(&host->world->events, event, host->thaw_ns, draw(host->world));
    return true;
}

static void call_ends(struct happening *event)
{
    struct call *call = (struct call *)(void *)event;
    struct host *host = call->host;

    if (call->born != host->born) { /* its host was killed, and it with it */
        free(call);
        return;
    }
    if (!call->over) {
        count(host->world, -1);
        host->out--;
        call->over = true;
    }
    if (is_stopped(host, event))
        return;
    free(call);
    host->held--;
    run(host);
}

static uint32_t size_now(struct host *host)
{
    const struct block *block = &host->block;

    if (host->world->plan.mutant == STARTS_UNTIL_END && clock_ns(host) < block->until_ns)
        return block->usable;
    return block_size(block, clock_ns(host));
}

static void start(struct host *host, int64_t arrived_ns)
{
    struct world *world = host->world;
    struct call *call = ledger_alloc(1, sizeof(*call));
    int64_t left_ns = world->terms.longest_ns - (world->now_ns - arrived_ns);
    int64_t service_ns = exponential_ns(world, world->plan.service_s);

    host->held++;
    host->out++;
    host->started++;
    world->started++;
    count(world, 1);
    if (service_ns > left_ns || uniform(world) < world->plan.stuck)
        service_ns = left_ns;
    *call = (struct call){.event = {.fn = call_ends}, .host = host, .born = host->born};
    plan_in(world, &call->event, service_ns);
}

static void pump(struct host *host)
{
    struct world *world = host->world;

    while (host->waiting > 0 && world->now_ns - host->queue[host->first] >= world->terms.longest_ns) {
        host->first = (host->first + 1) % QUEUE;
        host->waiting--;
        world->expired++;
    }
    while (host->waiting > 0 && host->held < size_now(host)) {
        int64_t arrived_ns = host->queue[host->first];

        host->first = (host->first + 1) % QUEUE;
        host->waiting--;
        start(host, arrived_ns);
    }
}

static void arrives(struct happening *event)
{
    struct host *host = (struct host *)(void *)((char *)event - offsetof(struct host, arrival));
    struct world *world = host->world;
    double rate = world->plan.load * world->plan.cap / world->plan.service_s / world->plan.hosts;

    if (!host->alive)
        return;
    if (world->plan.bursty && world->now_ns >= host->burst_ns) {
        host->burst_ns = world->now_ns + exponential_ns(world, 1.0);
        host->burst = PICK(world, 0.02, 0.02, 0.5, 4);
    }
    plan_in(world, event, exponential_ns(world, 1 / (rate * host->burst)));
    if (host->thaw_ns > world->now_ns)
        return;
    if (host->waiting == QUEUE)
        world->refused++;
    else
        host->queue[(host->first + host->waiting++) % QUEUE] = world->now_ns;
    run(host);
}

/* ---- hosts and the store ------------------------------------------------------------------------------- */

static struct message *new_message(struct host *host, event_fn fn)
{
    struct message *message = ledger_alloc(1, sizeof(*message));

    message->event.fn = fn;
    message->host = host;
    message->born = host->born;
    message->id = host->id;
    return message;
}

static void answered(struct happening *event)
{
    struct message *message = (struct message *)(void *)event;
    struct host *host = message->host;

    if (message->born == host->born && host->alive) {
        if (is_stopped(host, event))
            return;
        if (host->world->plan.mutant == TAKES_ANY_ANSWER) {
            message->reply.number = host->block.number;
            message->reply.connection = host->block.connection;
        }
        if (block_reply(&host->block, &message->reply, clock_ns(host)))
            run(host);
    }
    free(message);
}

/* It may come late, from a connection of before, or from a host that is not any more. */
static void reaches_store(struct happening *event)
{
    struct message *message = (struct message *)(void *)event;
    struct host *host = message->host;
    struct world *world = host->world;

    if (world->away > 0 || !host->reached) {
        free(message);
        return;
    }
    message->request.epoch = message->epoch;
    ledger_renew(&world->ledger, message->id,
                 (int64_t)((double)world->now_ns * 1.0001) / 1000 + world->step_us, &message->request,
                 &message->reply);
    if (uniform(world) < world->plan.loss) {
        free(message);
        return;
    }
    message->event.fn = answered;
    plan_in(world, event, hop_ns(world));
}

static void hinted(struct happening *event)
{
    struct message *message = (struct message *)(void *)event;
    struct host *host = message->host;

    if (message->born == host->born && host->alive) {
        if (is_stopped(host, event))
            return;
        block_hint(&host->block);
        run(host);
    }
    free(message);
}

static void send_hint(void *arg, uint32_t id)
{
    struct world *world = arg;
    struct host *host = &world->hosts[world->host_of[id]];
    struct message *message;

    if (!world->plan.hints || uniform(world) < 5 * world->plan.loss || host->id != id)
        return;
    message = new_message(host, hinted);
    plan_in(world, &message->event, hop_ns(world));
}

static void send_request(struct host *host, const struct block_request *request)
{
    struct message *message;

    if (!host->reached)
        return;
    message = new_message(host, reaches_store);
    message->request = *request;
    memcpy(message->epoch, request->epoch, sizeof(message->epoch));
    plan_in(host->world, &message->event, hop_ns(host->world));
}

static int64_t to_world_ns(const struct host *host, int64_t clock)
{
    return clock == INT64_MAX ? INT64_MAX : (int64_t)((double)(clock - host->offset_ns) / host->drift) + 1;
}

/* The pool and the agent do what there is to do. */
static void run(struct host *host)
{
    struct world *world = host->world;
    struct block_request request;
    enum block_step step;
    int64_t next_ns;

    block_tell(&host->block, host->held, host->waiting,
               clock_ns(host)); /* what shrinks does so under the pool's lock */
    pump(host);
    block_tell(&host->block, host->held, host->waiting, clock_ns(host));
    while ((step = block_step(&host->block, clock_ns(host), (uint32_t)draw(world), &request)) != BLOCK_WAIT) {
        if (step == BLOCK_SEND)
            send_request(host, &request);
    }
    pump(host);
    block_tell(&host->block, host->held, host->waiting, clock_ns(host));
    if (host->block.usable < host->held && host->block.until_ns != INT64_MIN &&
        clock_ns(host) < host->block.until_ns && host->block.open) {
        printf("host %u: %u calls with %u permits\n", host->index, host->held, host->block.usable);
        exit(1);
    }
    next_ns = to_world_ns(host, block_next_ns(&host->block));
    if (to_world_ns(host, block_size_ends_ns(&host->block, clock_ns(host))) < next_ns)
        next_ns = to_world_ns(host, block_size_ends_ns(&host->block, clock_ns(host)));
    if (next_ns == INT64_MAX)
        events_cancel(&world->events, &host->poll);
    else
        plan_in(world, &host->poll, next_ns - world->now_ns);
}

static void polls(struct happening *event)
{
    struct host *host = (struct host *)(void *)((char *)event - offsetof(struct host, poll));

    if (host->alive && !is_stopped(host, event))
        run(host);
}

static void boots(struct happening *event)
{
    struct host *host = (struct host *)(void *)((char *)event - offsetof(struct host, boot));
    struct world *world = host->world;
    struct block_terms terms = world->terms;

    if (world->next_id == world->ledger.hosts_max)
        return;
    if (world->plan.mutant == LEASE_IS_LONGER)
        terms.lease_ns += 3 * NS_A_S;
    if (world->plan.mutant == SHARE_WITHOUT_GLIDE)
        terms.glides = false;
    host->alive = true;
    host->id = world->next_id++;
    world->host_of[host->id] = host->index;
    host->held = host->waiting = 0;
    block_init(&host->block, &terms, (uint64_t)world->now_ns / 1000, clock_ns(host));
    plan_in(world, &host->arrival, (int64_t)(uniform(world) * 1e7));
    plan_in(world, &host->poll, (int64_t)(uniform(world) * 1e9));
}

/* ---- faults -------------------------------------------------------------------------------------------- */

static void kill_host(struct world *world, struct host *host)
{
    if (!host->alive)
        return;
    count(world, -(int)host->out);
    host->out = 0;
    host->alive = false;
    host->born++;
    events_cancel(&world->events, &host->poll);
    events_cancel(&world->events, &host->arrival);
    plan_in(world, &host->boot, (int64_t)(PICK(world, 0.05, 1, 20) * 1e9));
}

static void heals(struct happening *event)
{
    struct heal *heal = (struct heal *)(void *)event;
    struct world *world = heal->world;

    if (heal->reached == NULL)
        world->away--;
    for (uint32_t i = 0; heal->reached != NULL && i < world->plan.hosts; i++)
        world->hosts[i].reached |= heal->reached[i] != 0;
    free(heal->reached);
    free(heal);
}

static void cut(struct world *world, bool hosts, int64_t length_ns)
{
    struct heal *heal = ledger_alloc(1, sizeof(*heal));
    double part = PICK(world, 0.1, 0.5);

    *heal = (struct heal){.event = {.fn = heals}, .world = world};
    if (!hosts)
        world->away++;
    else
        heal->reached = ledger_alloc(world->plan.hosts, 1);
    for (uint32_t i = 0; hosts && i < world->plan.hosts; i++) {
        if (!world->hosts[i].reached || uniform(world) >= part)
            continue;
        world->hosts[i].reached = false;
        heal->reached[i] = 1;
    }
    plan_in(world, &heal->event, length_ns);
}

static void fail_over(struct world *world)
{
    uint32_t have = world->snap_count < SNAPS ? world->snap_count : SNAPS;
    uint32_t back = uniform(world) < 0.5 ? have - 1 : (uint32_t)(draw(world) % (have != 0 ? have : 1));
    uint64_t steps = world->ledger.steps, run = world->ledger.run, epochs = world->ledger.epochs;

    if (have == 0)
        return;
    ledger_copy(&world->ledger, &world->snaps[(world->snap_count - 1 - back) % SNAPS]);
    world->ledger.steps = steps;
    world->ledger.run = run + 1;
    world->ledger.epochs = epochs;
}

static void snaps(struct happening *event)
{
    struct world *world = (struct world *)(void *)((char *)event - offsetof(struct world, snap));

    ledger_copy(&world->snaps[world->snap_count++ % SNAPS], &world->ledger);
    plan_in(world, event, 20 * NS_A_MS);
}

static void strikes(struct happening *event)
{
    struct world *world = (struct world *)(void *)((char *)event - offsetof(struct world, fault));
    struct host *host = &world->hosts[draw(world) % world->plan.hosts];
    enum fault fault;

    do
        fault = (enum fault)(draw(world) % FAULTS);
    while ((world->plan.faults & (1u << fault)) == 0);
    world->faults[fault]++;
    switch (fault) {
    case KILL: kill_host(world, host); break;
    case CUT: cut(world, true, (int64_t)(PICK(world, 0.3, 3, 16, 25) * 1e9)); break;
    case AWAY: cut(world, false, (int64_t)(PICK(world, 0.3, 3, 20) * 1e9)); break;
    case WIPE:
        world->ledger.has_book = false;
        world->ledger.run++;
        break;
    case FAILOVER: fail_over(world); break;
    case STEP: world->step_us += (int64_t)(PICK(world, -30, -2, 0.5, 0.9) * 1e6); break;
    case LEAP: world->step_us += (int64_t)(PICK(world, 60, 5) * 1e6); break;
    case FREEZE: host->thaw_ns = world->now_ns + (int64_t)(PICK(world, 0.5, 5, 30) * 1e9); break;
    case FAULTS: break;
    }
    plan_in(world, event, exponential_ns(world, world->plan.fault_gap_s));
}

/* ---- worlds -------------------------------------------------------------------------------------------- */

static struct block_terms terms_of(const struct plan *plan)
{
    struct block_terms terms = {
        .size = plan->cap,
        .host_size = plan->cap,
        .weight = 1,
        .longest_ns = 2 * NS_A_S,
        .renew_ns = NS_A_S,
        .gap_ns = 2 * NS_A_MS,
        .timeout_ns = 250 * NS_A_MS,
    };

    if (plan->shares) {
        terms.fallback_size = plan->cap / plan->hosts;
        terms.glides = true;
    }
    terms.lease_ns = block_lease_ns(&terms, 10 * NS_A_S);
    return terms;
}

static void build(struct world *world, const struct plan *plan, uint64_t seed)
{
    uint32_t hosts_max = plan->hosts + ((plan->faults & (1u << KILL)) != 0 ? 256 : 0);

    *world = (struct world){.plan = *plan, .terms = terms_of(plan), .random = seed * 977};
    ledger_init(&world->ledger, hosts_max);
    world->ledger.lease_us = world->terms.lease_ns / 1000;
    world->ledger.margin_us = plan->is_tight_in_time ? 200000 : 5000000;
    world->ledger.mutant = plan->ledger;
    world->ledger.hint = send_hint;
    world->ledger.world = world;
    ledger_begin_epoch(&world->ledger);
    world->ledger.unknown_until_us = 0; /* an operator said that nobody calls */
    world->hosts = ledger_alloc(plan->hosts, sizeof(world->hosts[0]));
    world->host_of = ledger_alloc(hosts_max, sizeof(world->host_of[0]));
    for (uint32_t i = 0; i < plan->hosts; i++) {
        struct host *host = &world->hosts[i];

        *host = (struct host){.arrival = {.fn = arrives},
                              .poll = {.fn = polls},
                              .boot = {.fn = boots},
                              .world = world,
                              .index = i,
                              .reached = true,
                              .burst = 1,
                              .drift = 1 + (uniform(world) - 0.5) * 4e-4,
                              .offset_ns = (int64_t)(uniform(world) * 1e15)};
        boots(&host->boot);
    }
    if (plan->faults != 0) {
        world->fault.fn = strikes;
        plan_in(world, &world->fault, exponential_ns(world, plan->fault_gap_s));
    }
    if ((plan->faults & (1u << FAILOVER)) != 0) {
        for (uint32_t i = 0; i < SNAPS; i++)
            ledger_init(&world->snaps[i], hosts_max);
        world->snap.fn = snaps;
        plan_in(world, &world->snap, 0);
    }
}

static void live(struct world *world)
{
    int64_t end_ns = world->plan.seconds * NS_A_S;
    struct happening *event;

    while (world->events.count > 0 && world->events.heap[1]->at_ns <= end_ns) {
        event = world->events.heap[1];
        events_cancel(&world->events, event);
        world->now_ns = event->at_ns;
        event->fn(event);
        if (world->over > 0 && (world->plan.mutant != SOUND || world->plan.ledger != LEDGER_SOUND))
            return; /* found */
    }
    world->now_ns = end_ns;
    count(world, 0);
}

static bool is_on_heap(const struct happening *event)
{
    return event->fn == call_ends || event->fn == answered || event->fn == reaches_store ||
           event->fn == hinted;
}

static void tear_down(struct world *world)
{
    while (world->events.count > 0) {
        struct happening *event = world->events.heap[1];

        events_cancel(&world->events, event);
        if (event->fn == heals)
            free(((struct heal *)(void *)event)->reached);
        if (is_on_heap(event) || event->fn == heals)
            free(event);
    }
    free(world->events.heap);
    free(world->hosts);
    free(world->host_of);
    ledger_fini(&world->ledger);
    for (uint32_t i = 0; i < SNAPS && world->snaps[i].hosts_max != 0; i++)
        ledger_fini(&world->snaps[i]);
}

/* ---- what has to hold ---------------------------------------------------------------------------------- */

static double fairness(const struct world *world)
{
    double sum = 0, squares = 0;

    for (uint32_t i = 0; i < world->plan.hosts; i++) {
        sum += (double)world->hosts[i].started;
        squares += (double)world->hosts[i].started * (double)world->hosts[i].started;
    }
    return squares == 0 ? 1 : sum * sum / squares / world->plan.hosts;
}

static unsigned failed;

struct calm_world {
    struct plan plan;
    double used_min, fair_min;
};

static void report(const struct world *world, uint64_t seed, const struct calm_world *wanted)
{
    double used = world->busy_s / world->plan.seconds / world->plan.cap;

    printf("%s: %u hosts, cap %u, %.0f ms, %.0f %%: %llu calls, used %.3f, fair %.3f, %.0f operations/s, "
           "%llu above the cap\n",
           world->plan.name, world->plan.hosts, world->plan.cap, world->plan.service_s * 1e3,
           world->plan.load * 100, (unsigned long long)world->started, used, fairness(world),
           (double)world->ledger.steps / world->plan.seconds, (unsigned long long)world->over);
    if (world->over == 0 && used >= wanted->used_min && fairness(world) >= wanted->fair_min)
        return;
    printf("FAILED: seed %llu: peak %u, used at least %.2f, fair at least %.3f expected\n",
           (unsigned long long)seed, world->peak, wanted->used_min, wanted->fair_min);
    failed++;
}

static double fairness_of(const struct plan *plan, uint64_t seed)
{
    struct world *world = ledger_alloc(1, sizeof(*world));
    double fair;

    build(world, plan, seed);
    live(world);
    fair = fairness(world);
    tear_down(world);
    free(world);
    return fair;
}

/* What is not fair is exact, so that no count of calls finds it. */
static void unfair_world(const struct calm_world *of, uint64_t seed)
{
    struct plan plan = of->plan;
    double fair;

    plan.ledger = LEDGER_KEEPS_PLACES;
    fair = fairness_of(&plan, seed);
    printf("broken: whoever has had its turn keeps its place in the line: %s, fair %.3f\n",
           fair < of->fair_min ? "found" : "NOT FOUND", fair);
    failed += fair >= of->fair_min;
}

static void calm_worlds(uint64_t seed)
{
    static const struct calm_world worlds[] = {
        {{"half", 20, 500, 0.05, 0.5, 0, 0, 0, 0, false, true, false, false, 20, SOUND, LEDGER_SOUND},
         0.48,
         0.99},
        {{"busy", 20, 500, 0.05, 0.8, 0, 0, 0, 0, false, true, false, false, 20, SOUND, LEDGER_SOUND},
         0.77,
         0.99},
        {{"over", 20, 50, 0.2, 1.5, 0, 0, 0, 0, false, true, false, false, 20, SOUND, LEDGER_SOUND},
         0.97,
         0.99},
        {{"few", 20, 5, 0.02, 2, 0, 0, 0, 0, false, true, false, false, 20, SOUND, LEDGER_SOUND}, 0.95, 0.99},
        {{"few", 20, 5, 1, 2, 0, 0, 0, 0, false, true, false, false, 40, SOUND, LEDGER_SOUND}, 0.97, 0.93},
        {{"few", 20, 5, 0.2, 2, 0, 0, 0, 0, false, true, false, false, 20, SOUND, LEDGER_SOUND}, 0.97, 0.97},
    };
    size_t count = sizeof(worlds) / sizeof(worlds[0]);

    for (size_t i = 0; i < count; i++) {
        struct world *world = ledger_alloc(1, sizeof(*world));

        build(world, &worlds[i].plan, seed);
        live(world);
        report(world, seed, &worlds[i]);
        tear_down(world);
        free(world);
    }
    unfair_world(&worlds[count - 1], seed);
}

/* A world of chance, by its seed. */
static struct plan plan_by(uint64_t seed, unsigned faults, double gap_s)
{
    static const uint32_t sizes[][2] = {{20, 50}, {20, 5}, {5, 7}, {10, 100}};
    struct world dice = {.random = seed * 31 + 7};
    const uint32_t *size = sizes[draw(&dice) % 4];

    return (struct plan){.name = "chance",
                         .hosts = size[0],
                         .cap = size[1],
                         .service_s = PICK(&dice, 0.02, 0.2, 1.0),
                         .load = PICK(&dice, 0.7, 1.5),
                         .faults = faults,
                         .fault_gap_s = gap_s,
                         .loss = 0.02,
                         .stuck = 0.1,
                         .bursty = draw(&dice) % 3 != 0,
                         .hints = true,
                         .seconds = SECONDS};
}

struct sums {
    uint64_t worlds, calls, over, faults, steps;
};

static bool try_world(const struct plan *plan, uint64_t seed, struct sums *sums)
{
    struct world *world = ledger_alloc(1, sizeof(*world));
    bool sound;

    build(world, plan, seed);
    live(world);
    sums->worlds++;
    sums->calls += world->started;
    sums->over += world->over;
    sums->steps += world->ledger.steps;
    for (int i = 0; i < FAULTS; i++)
        sums->faults += world->faults[i];
    sound = world->over == 0;
    if (!sound && plan->mutant == SOUND && plan->ledger == LEDGER_SOUND) {
        printf("FAILED: seed %llu, faults %x, %u hosts, cap %u: %llu calls too many, peak %u\n",
               (unsigned long long)seed, plan->faults, plan->hosts, plan->cap,
               (unsigned long long)world->over, world->peak);
        failed++;
    }
    tear_down(world);
    free(world);
    return sound;
}

static void print_sums(const char *name, const struct sums *sums)
{
    printf("%s: %llu worlds, %llu calls, %llu faults, %llu steps of the store, %llu calls above the cap\n",
           name, (unsigned long long)sums->worlds, (unsigned long long)sums->calls,
           (unsigned long long)sums->faults, (unsigned long long)sums->steps, (unsigned long long)sums->over);
}

static void faulty_worlds(uint64_t seed, uint64_t worlds)
{
    struct sums all = {0}, clock = {0}, share = {0};

    for (uint64_t i = 0; i < worlds; i++) {
        struct plan plan = plan_by(seed + i, ALL_FAULTS, 4);

        try_world(&plan, seed + i, &all);
    }
    for (uint64_t i = 0; i < worlds / 3 + 1; i++) {
        struct plan plan = plan_by(seed + i, (1u << LEAP) | (1u << CUT) | (1u << KILL), 3);

        try_world(&plan, seed + i, &clock);
    }
    for (uint64_t i = 0; i < worlds / 3 + 1; i++) {
        struct plan plan = plan_by(seed + i, 1u << AWAY, 8);

        plan.shares = true;
        try_world(&plan, seed + i, &share);
    }
    print_sums("all faults", &all);
    print_sums("clock of the store, +60 s", &clock);
    print_sums("share while the store is away", &share);
}

static void mutants(uint64_t seed)
{
    static const struct {
        const char *name;
        enum mutant mutant;
        enum ledger_mutant ledger;
        unsigned faults;
        double gap_s;
        bool shares, saturated;
    } all[] = {
        {"a store that lost its book lends all again", SOUND, LEDGER_FORGETS_TO_LEARN,
         (1u << WIPE) | (1u << CUT), 4, 0, 0},
        {"old numbers are taken", SOUND, LEDGER_TAKES_OLD_NUMBERS, 1u << CUT, 4, 0, 0},
        {"late requests are taken, numbers forgotten", SOUND, LEDGER_TAKES_LATE_ONES, 1u << CUT, 4, 0, 0},
        {"a failover is not noticed", SOUND, LEDGER_IGNORES_RUN_ID, (1u << FAILOVER) | (1u << CUT), 4, 0, 0},
        {"a step of the store's clock is not noticed", SOUND, LEDGER_IGNORES_SILENCE,
         (1u << LEAP) | (1u << CUT), 3, 0, 0},
        {"a lease is three seconds longer for its host", LEASE_IS_LONGER, LEDGER_SOUND, 1u << CUT, 8, 0, 1},
        {"calls start until the lease ends", STARTS_UNTIL_END, LEDGER_SOUND, 1u << CUT, 8, 0, 1},
        {"any answer is taken", TAKES_ANY_ANSWER, LEDGER_SOUND, 1u << CUT, 4, 0, 0},
        {"no new epoch after a silence, with shares", SOUND, LEDGER_IGNORES_SILENCE, 1u << AWAY, 8, 1, 0},
        {"shares begin abruptly", SHARE_WITHOUT_GLIDE, LEDGER_SOUND, 1u << AWAY, 8, 1, 0},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct sums sums = {0};
        bool found = false;

        for (uint64_t world = 0; world < 60 && !found; world++) {
            struct plan plan = plan_by(seed + world, all[i].faults, all[i].gap_s);

            plan.mutant = all[i].mutant;
            plan.ledger = all[i].ledger;
            plan.shares = all[i].shares;
            if (all[i].saturated) {
                plan.bursty = false;
                plan.load = 1.5;
                plan.service_s = 1;
                plan.seconds = 90;
                plan.is_tight_in_time = true;
            }
            found = !try_world(&plan, seed + world, &sums);
        }
        printf("broken: %s: %s after %llu worlds\n", all[i].name, found ? "found" : "NOT FOUND",
               (unsigned long long)sums.worlds);
        failed += !found;
    }
}

static void large_worlds(uint64_t seed)
{
    struct plan plan = {
        "large", 10000, 20000, 0.05,        1.5,  (1u << KILL) | (1u << CUT) | (1u << AWAY) | (1u << WIPE),
        4,       0.01,  0.02,  true,        true, false,
        false,   180,   SOUND, LEDGER_SOUND};
    struct sums sums = {0};

    try_world(&plan, seed, &sums);
    print_sums("10,000 hosts", &sums);
}

static uint64_t number_after(int argc, char **argv, const char *name, uint64_t usual)
{
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return strtoull(argv[i + 1], NULL, 10);
    }
    return usual;
}

int main(int argc, char **argv)
{
    uint64_t seed = number_after(argc, argv, "--seed", 1);

    calm_worlds(seed);
    faulty_worlds(seed, number_after(argc, argv, "--worlds", 24));
    mutants(seed);
    if (argc > 1 && strcmp(argv[argc - 1], "--large") == 0)
        large_worlds(seed);
    printf("%d passed, %u failed\n", failed == 0, failed);
    return failed != 0;
}
