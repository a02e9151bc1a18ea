/*
 * A fleet's rate and pauses in simulated worlds: core/turn on core/permit is what each host does, turns.h what the store
 * does. An API looks at each start: it has a bucket of its own, and knows when it has asked for a pause; a start that the
 * rate does not allow, one within a pause, or a second one before the first after it was answered, fails the run.
 *
 *   rates [--seed N] [--worlds N]
 *
 * The same seed gives the same worlds. Each rule is then broken once, and some world has to find it.
 */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/permit_lent.h"
#include "core/turn.h"
#include "events.h"
#include "turns.h"

#define NS_A_S   INT64_C(1000000000)
#define NS_A_MS  INT64_C(1000000)
#define HOSTS    20u
#define CALLS    400u /* of a host, at once */
#define SECONDS  40
#define PATIENCE (2 * NS_A_S)
/* A slot may be used so late, and an answer takes so long at most: so much later a start may come than it was lent. */
#define LATE_NS  (RATE_LENT_LATE_NS + 3 * NS_A_MS)
#define STORE_US INT64_C(1000000000000000)

enum fault { KILL, AWAY, WIPE, FAILOVER, STEP, FAULTS };
#define ALL_FAULTS ((1u << KILL) | (1u << AWAY) | (1u << WIPE) | (1u << FAILOVER) | (1u << STEP))

/* Rules of a host that are broken, beside those of the store (turns.h). */
enum mutant { SOUND, USES_LATE_SLOTS, USES_EARLY_SLOTS, ALONE_BEGINS_FULL, KEEPS_PAUSE_TO_ITSELF, MUTANTS };

struct plan {
    const char *name;
    int64_t period_us;
    uint32_t hosts, burst;
    double load; /* of the rate */
    unsigned faults;
    bool bursty, pauses, stalls;
    enum mutant mutant;
    enum turns_mutant turns;
};

struct world;
struct host;

struct call {
    struct happening event; /* its end */
    struct permit permit;
    struct host *host;
    int64_t started_ns;
    bool refused; /* by the API */
};

struct host {
    struct happening arrival, poll, boot;
    struct world *world;
    uint32_t id, born;
    bool alive;
    struct permit_pool permits;
    struct turn turn;
    struct call calls[CALLS];
    int64_t burst_ns;
    double burst;
    uint64_t started;
};

struct message {
    struct happening event;
    struct host *host;
    uint32_t born;
    bool lost;
    struct turn_request request;
    struct turn_reply reply;
};

struct world {
    struct plan plan;
    uint64_t random;
    int64_t now_ns;
    struct events events;
    struct happening fault, limit, heal, snap;
    struct turns turns, snaps[2];
    struct host hosts[HOSTS];
    bool away;
    int64_t step_us;
    int64_t due_ns;               /* of the API's own bucket */
    int64_t limited_ns, heard_ns; /* it asks for a pause until then; and since then hosts have heard */
    uint32_t first_open;          /* calls since its end, before one was answered */
    bool returned;
    uint64_t started, refused, over, early, crowd, faults[FAULTS];
};

static struct world world;

/* ---- chance -------------------------------------------------------------------------------------------- */

static uint64_t draw(void)
{
    uint64_t z = (world.random += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static double uniform(void)
{
    return (double)(draw() >> 11) / (double)(UINT64_C(1) << 53);
}

static int64_t exponential_ns(double mean_s)
{
    return (int64_t)(-log(1 - uniform()) * mean_s * (double)NS_A_S);
}

static void plan_in(struct happening *event, int64_t in_ns)
{
    events_plan(&world.events, event, world.now_ns + (in_ns > 0 ? in_ns : 0), draw());
}

static int64_t hop_ns(void)
{
    int64_t hop = 250000 + exponential_ns(0.0001);

    return hop < 3 * NS_A_MS / 2 ? hop : 3 * NS_A_MS / 2;
}

/* ---- the API ------------------------------------------------------------------------------------------- */

static int64_t period_ns(void)
{
    return world.plan.period_us * 1000;
}

static void judge_rate(void)
{
    if (world.due_ns - (int64_t)(world.plan.burst - 1) * period_ns() - LATE_NS > world.now_ns)
        world.over++;
    world.due_ns = (world.due_ns > world.now_ns ? world.due_ns : world.now_ns) + period_ns();
}

static void judge_pause(struct call *call)
{
    call->refused = world.now_ns < world.limited_ns;
    if (call->refused && world.heard_ns != 0 && world.now_ns > world.heard_ns + 10 * NS_A_MS)
        world.early++;
    if (world.limited_ns == 0 || call->refused || world.returned || world.heard_ns == 0)
        return;
    if (world.first_open++ > 0)
        world.crowd++;
}

static void call_ends(struct happening *event);

static void start(struct call *call)
{
    call->started_ns = world.now_ns;
    judge_rate();
    judge_pause(call);
    world.started++;
    call->host->started++;
    plan_in(&call->event, exponential_ns(0.01));
}

/* These have news. */
static void hear(struct host *host, struct permit *first)
{
    for (struct permit *next = first; next != NULL; next = permit_next(&host->permits, world.now_ns)) {
        if (next->state == PERMIT_HELD)
            start((struct call *)(void *)((char *)next - offsetof(struct call, permit)));
        else
            world.refused++;
    }
}

static void run(struct host *host);

static void call_ends(struct happening *event)
{
    struct call *call = (struct call *)(void *)event;
    struct host *host = call->host;
    if (call->refused && world.limited_ns > world.now_ns) {
        permit_pool_pause(&host->permits, world.limited_ns, world.now_ns);
        if (world.heard_ns == 0)
            world.heard_ns = world.now_ns;
    } else if (!call->refused) {
        permit_answered(&host->permits, &call->permit);
        if (world.limited_ns != 0 && call->started_ns >= world.limited_ns)
            world.returned = true;
    }
    hear(host, permit_give_back(&host->permits, &call->permit, world.now_ns));
    run(host);
}

/* ---- hosts and the store ------------------------------------------------------------------------------- */

static void plan_poll(struct host *host)
{
    int64_t next_ns = turn_next_ns(&host->turn, &host->permits, world.now_ns);
    int64_t due_ns = permit_pool_due_ns(&host->permits, world.now_ns);

    if (due_ns < next_ns)
        next_ns = due_ns;
    if (world.plan.stalls && next_ns != NS_NEVER && uniform() < 0.05)
        next_ns += (int64_t)(uniform() * 1e8); /* the host is late */
    if (next_ns == NS_NEVER)
        events_cancel(&world.events, &host->poll);
    else
        plan_in(&host->poll, next_ns > world.now_ns ? next_ns - world.now_ns : 1000);
}

static void spread(struct host *host)
{
    hear(host, permit_next(&host->permits, world.now_ns));
}

static void lost(struct host *host)
{
    bool was_alone = turn_is_alone(&host->turn);

    turn_lost(&host->turn, &host->permits, world.now_ns, (uint32_t)draw());
    if (world.plan.mutant == ALONE_BEGINS_FULL && !was_alone && turn_is_alone(&host->turn))
        host->permits.rate.next_ns = 0;
}

static void answered(struct happening *event)
{
    struct message *message = (struct message *)(void *)event;
    struct host *host = message->host;

    if (message->born == host->born && host->alive) {
        if (message->lost)
            lost(host);
        else
            turn_answered(&host->turn, &host->permits, &message->reply, world.now_ns);
        if (world.plan.mutant == USES_EARLY_SLOTS)
            host->permits.lent.next_ns = world.now_ns;
        run(host);
    }
    free(message);
}

static void hinted(struct happening *event)
{
    struct message *message = (struct message *)(void *)event;

    if (message->born == message->host->born && message->host->alive) {
        turn_hint(&message->host->turn);
        run(message->host);
    }
    free(message);
}

static struct message *new_message(struct host *host, event_fn fn)
{
    struct message *message = calloc(1, sizeof(*message));

    if (message == NULL)
        exit(2);
    message->event.fn = fn;
    message->host = host;
    message->born = host->born;
    return message;
}

static void reaches_store(struct happening *event)
{
    struct message *message = (struct message *)(void *)event;
    uint64_t told = world.turns.told;

    message->event.fn = answered;
    if (world.away) {
        message->lost = true;
        plan_in(&message->event, 250 * NS_A_MS);
        return;
    }
    turns_step(&world.turns, message->host->id % TURNS_HOSTS, STORE_US + world.now_ns / 1000 + world.step_us,
               &message->request, &message->reply);
    plan_in(&message->event, hop_ns());
    for (uint32_t i = 0; told != world.turns.told && i < world.plan.hosts; i++) {
        struct message *hint = new_message(&world.hosts[i], hinted);

        plan_in(&hint->event, hop_ns());
    }
}

static void run(struct host *host)
{
    struct turn_request request;
    uint32_t size = host->permits.size;

    if (world.plan.mutant == USES_LATE_SLOTS && host->permits.lent.left > 0)
        host->permits.lent.got_ns = world.now_ns;
    if (world.plan.mutant == KEEPS_PAUSE_TO_ITSELF && host->permits.pause.round != 0)
        host->turn.told_until_ns = host->permits.pause.until_ns;
    spread(host);
    if (turn_step(&host->turn, &host->permits, size, world.now_ns, (uint32_t)draw(), &request)) {
        struct message *message = new_message(host, reaches_store);

        message->request = request;
        plan_in(&message->event, hop_ns());
    }
    spread(host);
    plan_poll(host);
}

static void polls(struct happening *event)
{
    struct host *host = (struct host *)(void *)((char *)event - offsetof(struct host, poll));

    if (host->alive)
        run(host);
}

static struct call *find_free(struct host *host)
{
    for (uint32_t i = 0; i < CALLS; i++)
        if (host->calls[i].permit.state == PERMIT_FREE && host->calls[i].event.place == 0)
            return &host->calls[i];
    return NULL;
}

static void arrives(struct happening *event)
{
    struct host *host = (struct host *)(void *)((char *)event - offsetof(struct host, arrival));
    double rate = world.plan.load * 1e6 / (double)world.plan.period_us / world.plan.hosts;
    struct call *call;

    if (!host->alive)
        return;
    if (world.plan.bursty && world.now_ns >= host->burst_ns) {
        host->burst_ns = world.now_ns + exponential_ns(1.0);
        host->burst = (const double[]){0.02, 0.02, 0.5, 4}[draw() % 4];
    }
    plan_in(event, exponential_ns(1 / (rate * host->burst)));
    call = find_free(host);
    if (call == NULL)
        return;
    permit_init(&call->permit, 0);
    call->permit.wait_until_ns = world.now_ns + PATIENCE;
    switch (permit_acquire(&host->permits, &call->permit, world.now_ns)) {
    case PERMIT_GRANTED: start(call); break;
    case PERMIT_QUEUED: break;
    default: world.refused++;
    }
    run(host);
}

static void boots(struct happening *event)
{
    struct host *host = (struct host *)(void *)((char *)event - offsetof(struct host, boot));
    int64_t part = period_ns() * world.plan.hosts;
    uint32_t burst = world.plan.burst / world.plan.hosts;
    struct turn_terms terms = {.period_us = world.plan.period_us,
                               .burst = world.plan.burst,
                               .pauses = world.plan.pauses,
                               .deadline_ns = PATIENCE,
                               .life_ns = 20 * NS_A_S,
                               .timeout_ns = 250 * NS_A_MS,
                               .renew_ns = NS_A_S};

    memset(host->calls, 0, sizeof(host->calls));
    for (uint32_t i = 0; i < CALLS; i++) {
        host->calls[i].host = host;
        host->calls[i].event.fn = call_ends;
    }
    host->alive = true;
    host->burst = 1;
    permit_pool_init(&host->permits, 50, 200);
    permit_pool_set_leased(&host->permits, true);
    permit_pool_set_rate(&host->permits, part, burst > 0 ? burst : 1, world.now_ns);
    turn_init(&host->turn, &terms, world.now_ns);
    turn_set_terms(&host->turn, &host->permits, &terms, world.now_ns);
    plan_in(&host->arrival, (int64_t)(uniform() * 1e7));
    plan_in(&host->poll, (int64_t)(uniform() * 1e8));
}

/* ---- faults -------------------------------------------------------------------------------------------- */

static void kill_host(struct host *host)
{
    if (!host->alive)
        return;
    host->alive = false;
    host->born++;
    events_cancel(&world.events, &host->poll);
    events_cancel(&world.events, &host->arrival);
    for (uint32_t i = 0; i < CALLS; i++)
        events_cancel(&world.events, &host->calls[i].event);
    plan_in(&host->boot, (int64_t)((0.5 + 3 * uniform()) * 1e9));
}

static void heals(struct happening *event)
{
    (void)event;
    world.away = false;
}

static void snaps(struct happening *event)
{
    world.snaps[1] = world.snaps[0];
    world.snaps[0] = world.turns;
    plan_in(event, 200 * NS_A_MS);
}

static void strikes(struct happening *event)
{
    enum fault fault;
    uint64_t run_id = world.turns.run + 1;

    do
        fault = (enum fault)(draw() % FAULTS);
    while ((world.plan.faults & (1u << fault)) == 0);
    world.faults[fault]++;
    switch (fault) {
    case KILL: kill_host(&world.hosts[draw() % world.plan.hosts]); break;
    case AWAY:
        if (world.heal.place == 0) {
            world.away = true;
            plan_in(&world.heal, (int64_t)((const double[]){0.1, 6, 10}[draw() % 3] * 1e9));
        }
        break;
    case WIPE:
        turns_init(&world.turns);
        world.turns.run = run_id;
        break;
    case FAILOVER:
        world.turns = world.snaps[1];
        world.turns.run = run_id;
        break;
    case STEP: world.step_us += (int64_t)((const double[]){-30, -2, -0.5, 60}[draw() % 4] * 1e6); break;
    case FAULTS: break;
    }
    world.turns.mutant = world.plan.turns;
    plan_in(event, exponential_ns(5));
}

/* The API has enough for a while. */
static void limits(struct happening *event)
{
    world.limited_ns = world.now_ns + (int64_t)((0.3 + 2 * uniform()) * 1e9);
    world.heard_ns = 0;
    world.first_open = 0;
    world.returned = false;
    plan_in(event, world.limited_ns - world.now_ns + 2 * NS_A_S + exponential_ns(2));
}

/* ---- worlds -------------------------------------------------------------------------------------------- */

static void live(const struct plan *plan, uint64_t seed)
{
    struct events events = world.events;

    memset(&world, 0, sizeof(world));
    world.plan = *plan;
    world.random = seed * 977;
    world.events = events;
    world.events.count = 0;
    turns_init(&world.turns);
    world.turns.run = 1;
    world.turns.mutant = plan->turns;
    if (plan->burst <
        plan->hosts) { /* begun by an operator: hosts' parts together have a burst of their number */
        world.turns.seen_run = 1;
        world.turns.stepped_us = STORE_US;
        world.turns.burst = plan->burst;
        world.turns.period_us = plan->period_us;
    }
    world.snaps[0] = world.snaps[1] = world.turns;
    world.fault.fn = strikes;
    world.limit.fn = limits;
    world.heal.fn = heals;
    world.snap.fn = snaps;
    for (uint32_t i = 0; i < plan->hosts; i++) {
        struct host *host = &world.hosts[i];

        host->world = &world;
        host->id = i;
        host->arrival.fn = arrives;
        host->poll.fn = polls;
        host->boot.fn = boots;
        plan_in(&host->boot, 0);
    }
    if (plan->faults != 0)
        plan_in(&world.fault, 3 * NS_A_S);
    if (plan->pauses)
        plan_in(&world.limit, 4 * NS_A_S);
    plan_in(&world.snap, 0);
    while (events_next(&world.events) < SECONDS * NS_A_S) {
        world.now_ns = events_next(&world.events);
        events_run_one(&world.events);
    }
    while (world.events.count > 0) {
        struct happening *left = world.events.heap[1];

        events_cancel(&world.events, left);
        if (left->fn == answered || left->fn == reaches_store || left->fn == hinted)
            free(left);
    }
}

static double used(void)
{
    return (double)world.started * (double)world.plan.period_us / 1e6 / SECONDS;
}

static bool is_right(void)
{
    return world.over == 0 && world.early == 0 && world.crowd == 0;
}

static void print(const struct plan *plan, uint64_t seed)
{
    printf(
        "%s, seed %llu: %llu started, %.2f of the rate, %llu refused, %llu above the rate, %llu in a pause, "
        "%llu too many after it; %llu requests\n",
        plan->name, (unsigned long long)seed, (unsigned long long)world.started, used(),
        (unsigned long long)world.refused, (unsigned long long)world.over, (unsigned long long)world.early,
        (unsigned long long)world.crowd, (unsigned long long)world.turns.steps);
}

static const struct plan plans[] = {
    {"100/s, burst 20, 20 hosts, saturated", 10000, 20, 20, 2, 0, false, false, false, SOUND, TURNS_SOUND},
    {"100/s, burst 20, 20 hosts, bursty", 10000, 20, 20, 0.8, 0, true, false, false, SOUND, TURNS_SOUND},
    {"20/s, burst 1, 5 hosts, saturated", 50000, 5, 1, 2, 0, false, false, false, SOUND, TURNS_SOUND},
    {"1000/s, burst 50, 10 hosts, saturated", 1000, 10, 50, 1.5, 0, false, false, false, SOUND, TURNS_SOUND},
    {"100/s, burst 20, 10 hosts, faults, saturated", 10000, 10, 20, 2, ALL_FAULTS, false, false, false, SOUND,
     TURNS_SOUND},
    {"100/s, burst 20, 10 hosts, faults, bursty", 10000, 10, 20, 0.8, ALL_FAULTS, true, false, false, SOUND,
     TURNS_SOUND},
    {"100/s, burst 20, 20 hosts, saturated, late", 10000, 20, 20, 2, 0, false, false, true, SOUND,
     TURNS_SOUND},
    {"100/s, burst 20, 20 hosts, bursty, late", 10000, 20, 20, 3, 0, true, false, true, SOUND, TURNS_SOUND},
    {"100/s, burst 3, 10 hosts, bursty, late", 10000, 10, 3, 0.9, 0, true, false, true, SOUND, TURNS_SOUND},
    {"500/s, burst 20, 20 hosts, pauses", 2000, 20, 20, 0.5, 0, false, true, false, SOUND, TURNS_SOUND},
    {"500/s, burst 20, 20 hosts, pauses, bursty", 2000, 20, 20, 0.5, 0, true, true, false, SOUND,
     TURNS_SOUND},
};
#define PLANS (sizeof(plans) / sizeof(plans[0]))

static int check_sound(uint64_t seed, uint64_t worlds)
{
    int failed = 0;

    for (size_t i = 0; i < PLANS; i++) {
        for (uint64_t n = 0; n < worlds; n++) {
            live(&plans[i], seed + n);
            if (n == 0 || !is_right())
                print(&plans[i], seed + n);
            failed |= !is_right();
            /* Of what was asked for, at most the rate, nine tenths are used, whatever fails in between. */
            if (plans[i].faults == 0 && !plans[i].pauses && !plans[i].bursty && used() < 0.9) {
                print(&plans[i], seed + n);
                printf("too little is used\n");
                failed = 1;
            }
        }
    }
    return failed;
}

struct broken {
    const char *what;
    size_t plan;
    enum mutant mutant;
    enum turns_mutant turns;
};

static int check_broken(const struct broken *broken, uint64_t seed)
{
    struct plan plan = plans[broken->plan];

    plan.mutant = broken->mutant;
    plan.turns = broken->turns;
    for (uint64_t n = 0; n < 60; n++) {
        live(&plan, seed + n);
        if (!is_right()) {
            printf("broken: %s: found after %llu worlds\n", broken->what, (unsigned long long)n + 1);
            return 0;
        }
    }
    printf("broken: %s: NOT FOUND\n", broken->what);
    return 1;
}

int main(int argc, char **argv)
{
    static const struct broken all[] = {
        {"a store without memory lends a burst at once", 5, SOUND, TURNS_BEGINS_FULL},
        {"a failover is not noticed", 4, SOUND, TURNS_IGNORES_RUN_ID},
        {"nor that nobody asked for so long", 4, SOUND, TURNS_IGNORES_SILENCE},
        {"what is given back is taken whatever was lent since", 8, SOUND, TURNS_TAKES_ALL_BACK},
        {"slots are lent as they are wished", 0, SOUND, TURNS_LENDS_BEYOND},
        {"all go first after a pause", 9, SOUND, TURNS_LETS_ALL_GO_FIRST},
        {"slots are used late", 8, USES_LATE_SLOTS, TURNS_SOUND},
        {"slots are used before they are due", 0, USES_EARLY_SLOTS, TURNS_SOUND},
        {"a host that is alone begins with a burst", 4, ALONE_BEGINS_FULL, TURNS_SOUND},
        {"a pause is not told to others", 9, KEEPS_PAUSE_TO_ITSELF, TURNS_SOUND},
    };
    uint64_t seed = 1, worlds = 6;
    int failed;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--worlds") == 0)
            worlds = strtoull(argv[i + 1], NULL, 10);
    }
    failed = check_sound(seed, worlds);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        failed |= check_broken(&all[i], seed);
    printf("1 passed, %d failed\n", failed);
    free(world.events.heap);
    return failed;
}
