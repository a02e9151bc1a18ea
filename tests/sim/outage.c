/*
 * An API that is down for a while, behind a breaker and a pool: core/breaker, core/verdict and core/permit do what
 * they do in a worker, at a clock that moves by milliseconds.
 *
 *   outage [--seeds N]
 *
 * First the curves that the design was made by: down for 30 s at 200 calls a second, an API that refuses connections
 * or hangs; how many tries reach it meanwhile, and how long after its return calls are let in again. Then worlds by seed,
 * in which calls come at random, callers leave, some answers are bad or 429 at any time, and several outages of either
 * kind follow each other. After each millisecond:
 *
 *   - places that are taken = probes on their way <= probes, and none but half-open
 *   - no call begins at the API while the breaker is open
 *   - once the API is well, it is closed within open_max * 1.1, a probe's time and one answer
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "core/breaker.h"
#include "core/permit.h"
#include "core/verdict.h"

#define CALLS_MAX   20000u
#define DEADLINE_MS 2000
#define POOL        50u
#define QUEUE       100u
#define SEEDS       200u

enum api { API_WELL, API_REFUSES, API_HANGS };

enum place { NOT_YET, QUEUED, AT_API, OVER };

struct call {
    enum place place;
    struct permit permit;
    struct breaker_pass pass;
    int64_t begun_ms, tried_ms, ends_ms; /* NS_NEVER: the API never answers */
    int64_t leaves_ms;
    uint16_t status; /* of the answer; 0: it is refused */
};

struct world {
    uint64_t seed, random;
    int64_t now_ms, well_since_ms;
    enum api api;
    struct breaker breaker;
    struct breaker_terms terms;
    struct breaker_window goods;
    struct permit_pool pool;
    struct call calls[CALLS_MAX];
    uint32_t begun, first; /* calls before `first` are over */
    uint32_t tries, refused, completed, openings;
    bool noisy; /* callers leave, and answers are bad at any time */
};

#define CHECK(world, condition) ((condition) ? (void)0 : broken(world, #condition))

static void broken(const struct world *world, const char *what)
{
    printf("seed %llu, at %lld ms: %s\n", (unsigned long long)world->seed, (long long)world->now_ms, what);
    exit(1);
}

static uint64_t draw(struct world *world, uint64_t below)
{
    world->random ^= world->random << 13;
    world->random ^= world->random >> 7;
    world->random ^= world->random << 17;
    return world->random % below;
}

static int64_t now_ns(const struct world *world)
{
    return world->now_ms * NS_PER_MS;
}

static enum breaker_answer ask(struct world *world, struct call *call)
{
    return breaker_ask(&world->breaker, &world->terms, 0, now_ns(world), &call->pass);
}

static void begin_try(struct world *world, struct call *call)
{
    bool unlucky = world->noisy && draw(world, 50) == 0;

    CHECK(world, world->breaker.state != BREAKER_OPEN);
    world->tries++;
    call->place = AT_API;
    call->tried_ms = world->now_ms;
    call->status = 200;
    call->ends_ms = world->now_ms + 5 + (int64_t)draw(world, 36);
    if (unlucky)
        call->status = draw(world, 2) == 0 ? 503 : 429;
    if (world->api == API_REFUSES) {
        call->status = 0;
        call->ends_ms = world->now_ms + 1;
    }
    if (world->api == API_HANGS)
        call->ends_ms = INT64_MAX;
}

static void granted(struct world *world, struct call *call)
{
    /* The breaker may have opened while it waited. */
    if (call->pass.generation == world->breaker.generation || ask(world, call) != BREAKER_REFUSES) {
        begin_try(world, call);
        return;
    }
    world->refused++;
    call->place = OVER;
    CHECK(world,
          permit_give_back(&world->pool, &call->permit, 0) == NULL || world->pool.queue.length < QUEUE);
}

static void leave_pool(struct world *world, struct call *call)
{
    struct permit *next = permit_give_back(&world->pool, &call->permit, 0);

    call->place = OVER;
    if (next != NULL)
        granted(world, CONTAINER_OF(next, struct call, permit));
}

/* All who wait are refused. */
static void flush(struct world *world)
{
    world->openings++;
    for (uint32_t i = world->first; i < world->begun; i++) {
        struct call *call = &world->calls[i];

        if (call->place != QUEUED)
            continue;
        breaker_neutral(&world->breaker, &world->terms, false, now_ns(world), &call->pass);
        world->refused++;
        leave_pool(world, call);
    }
}

static void tell(struct world *world, struct call *call, enum cause cause)
{
    struct try_end end = {.cause = cause,
                          .status = cause == CAUSE_NONE ? call->status : 0,
                          .api_to_move = true,
                          .took_ns = (world->now_ms - call->tried_ms) * NS_PER_MS,
                          .deadline_ns = DEADLINE_MS * NS_PER_MS};
    struct breaker *breaker = &world->breaker;
    int64_t window_ns = world->terms.window_ns;

    switch (verdict_of(&end, &verdict_bad_statuses)) {
    case VERDICT_GOOD:
        if (breaker->state == BREAKER_CLOSED && call->pass.generation == breaker->generation)
            breaker_window_count(&world->goods, window_ns, breaker->generation, now_ns(world));
        breaker_good(breaker, &call->pass);
        break;
    case VERDICT_BAD:
        breaker_bad(breaker, &world->terms,
                    breaker_window_sum(&world->goods, window_ns, breaker->generation, now_ns(world)),
                    now_ns(world), &call->pass);
        break;
    default: breaker_neutral(breaker, &world->terms, end.status == 429, now_ns(world), &call->pass); break;
    }
}

static void end_call(struct world *world, struct call *call, enum cause cause)
{
    uint32_t generation = world->breaker.generation;

    if (call->place == AT_API)
        tell(world, call, cause);
    else
        breaker_neutral(&world->breaker, &world->terms, false, now_ns(world), &call->pass);
    world->completed += cause == CAUSE_NONE && call->status == 200;
    if (world->breaker.generation != generation)
        flush(world);
    leave_pool(world, call);
}

static void look_at(struct world *world, struct call *call)
{
    if (call->place != QUEUED && call->place != AT_API)
        return;
    if (call->place == AT_API && world->now_ms >= call->ends_ms)
        end_call(world, call, call->status != 0 ? CAUSE_NONE : CAUSE_REFUSED);
    else if (world->now_ms >= call->begun_ms + DEADLINE_MS)
        end_call(world, call, CAUSE_DEADLINE);
    else if (world->now_ms >= call->leaves_ms)
        end_call(world, call, CAUSE_CALLER_GONE);
}

static void arrive(struct world *world)
{
    struct call *call = &world->calls[world->begun++];
    uint32_t generation = world->breaker.generation;
    enum breaker_answer answer;

    permit_init(&call->permit, 0);
    call->begun_ms = world->now_ms;
    call->leaves_ms =
        world->noisy && draw(world, 20) == 0 ? world->now_ms + (int64_t)draw(world, DEADLINE_MS) : INT64_MAX;
    answer = ask(world, call);
    if (world->breaker.generation != generation)
        flush(world);
    if (answer == BREAKER_REFUSES) {
        world->refused++;
        call->place = OVER;
        return;
    }
    switch (permit_acquire(&world->pool, &call->permit, 0)) {
    case PERMIT_GRANTED: begin_try(world, call); break;
    case PERMIT_QUEUED: call->place = QUEUED; break;
    default:
        breaker_neutral(&world->breaker, &world->terms, false, now_ns(world), &call->pass);
        call->place = OVER;
        break;
    }
}

static void check(struct world *world)
{
    uint32_t live = 0;
    int64_t well_ms = world->now_ms - world->well_since_ms;
    int64_t bound_ms = (world->terms.open_max_ns / 10 * 11 + world->terms.verdict_ns) / NS_PER_MS + 100;

    while (world->first < world->begun && world->calls[world->first].place == OVER)
        world->first++;
    for (uint32_t i = world->first; i < world->begun; i++)
        live +=
            world->calls[i].place != OVER && breaker_is_live_probe(&world->breaker, &world->calls[i].pass);
    CHECK(world, breaker_is_sound(&world->breaker) && permit_pool_is_sound(&world->pool));
    CHECK(world, live == world->breaker.places && live <= world->terms.probes);
    if (!world->noisy)
        CHECK(world, world->api != API_WELL || well_ms < bound_ms || world->breaker.state == BREAKER_CLOSED);
}

static void step(struct world *world)
{
    for (uint32_t i = world->first; i < world->begun; i++)
        look_at(world, &world->calls[i]);
    if (world->noisy ? draw(world, 5) == 0 : world->now_ms % 5 == 0)
        arrive(world);
    check(world);
    world->now_ms++;
}

static void set_api(struct world *world, enum api api)
{
    world->api = api;
    if (api == API_WELL)
        world->well_since_ms = world->now_ms;
}

static void make_world(struct world *world, uint64_t seed, int64_t open_max_ns)
{
    memset(world, 0, sizeof(*world));
    world->seed = seed;
    world->random = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    world->terms = (struct breaker_terms){.failures = 5,
                                          .ratio_percent = 50,
                                          .volume = 20,
                                          .window_ns = 10 * NS_PER_S,
                                          .open_ns = NS_PER_S,
                                          .open_max_ns = open_max_ns,
                                          .probes = 1,
                                          .verdict_ns = 5 * NS_PER_S};
    breaker_init(&world->breaker, draw(world, UINT64_MAX));
    permit_pool_init(&world->pool, POOL, QUEUE);
}

static void run_for(struct world *world, int64_t ms)
{
    for (int64_t end_ms = world->now_ms + ms; world->now_ms < end_ms;)
        step(world);
}

/* How it goes in the design's outage of 30 s. */
static void outage(struct world *world, enum api how, int64_t open_max_ns, uint32_t tries_max)
{
    uint32_t before;
    int64_t late_ms = 0;

    make_world(world, 1, open_max_ns);
    run_for(world, 5000);
    CHECK(world, world->breaker.state == BREAKER_CLOSED && world->refused == 0);
    before = world->tries;
    set_api(world, how);
    run_for(world, 30000);
    CHECK(world, world->breaker.state != BREAKER_CLOSED);
    printf("down for 30 s, %s, open_max %lld s: %u tries", how == API_HANGS ? "hangs" : "refuses",
           (long long)(open_max_ns / NS_PER_S), world->tries - before);
    CHECK(world, world->tries - before <= tries_max);
    set_api(world, API_WELL);
    for (; world->breaker.state != BREAKER_CLOSED; late_ms++)
        run_for(world, 1);
    printf(", let in again after %lld ms\n", (long long)late_ms);
    run_for(world, 5000);
    CHECK(world, world->breaker.state == BREAKER_CLOSED);
}

/* Outages of either kind, one after the other. */
static void life(struct world *world, uint64_t seed, bool noisy)
{
    make_world(world, seed, 2 * NS_PER_S);
    world->noisy = noisy;
    world->terms.probes = 1 + (uint32_t)draw(world, 3);
    for (int i = 0; i < 3; i++) {
        run_for(world, 1000 + (int64_t)draw(world, 10000));
        set_api(world, draw(world, 2) == 0 ? API_REFUSES : API_HANGS);
        run_for(world, 1000 + (int64_t)draw(world, 5000));
        set_api(world, API_WELL);
    }
    run_for(world, 15000);
    CHECK(world, noisy || world->breaker.state == BREAKER_CLOSED);
    CHECK(world, world->completed != 0);
    if (seed == 1)
        CHECK(world, world->openings != 0 && world->refused != 0);
}

int main(int argc, char **argv)
{
    static struct world world;
    uint64_t seeds = argc == 3 && strcmp(argv[1], "--seeds") == 0 ? strtoull(argv[2], NULL, 10) : SEEDS;

    outage(&world, API_REFUSES, 2 * NS_PER_S, 25);
    outage(&world, API_HANGS, 2 * NS_PER_S, POOL + 15);
    outage(&world, API_REFUSES, 8 * NS_PER_S, 15);
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        life(&world, seed, false);
        life(&world, seed, true);
    }
    printf("%llu seeds\n1 passed, 0 failed\n", (unsigned long long)seeds);
    return 0;
}
