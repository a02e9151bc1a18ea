/*
 * An API with a cap of its own, which it enforces by refusing (429), behind a pool that is always asked for more than
 * it has: what the pool's `linger` and `adapt` make of it. core/permit and core/adaptive do what they do in a pool;
 * the clock, the API and its callers are simulated. The same seed gives the same world.
 *
 *   capped_api [--seed N]
 */
#include <stdbool.h>
#include <string.h>

#include "core/adaptive.h"
#include "core/permit.h"
#include "events.h"

#define CALLERS    100u
#define SECONDS    120
#define SEEDS      10u
#define REFUSAL_NS (5 * NS_PER_MS) /* how long the API takes to refuse */
#define ms(n)      ((n)*NS_PER_MS)

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: %s does not hold, seed %llu\n", __FILE__, __LINE__, #condition,          \
                    (unsigned long long)world.seed);                                                         \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

/* What of the world differs between the runs. */
struct terms {
    uint32_t size;       /* of the pool */
    uint32_t room;       /* at the API */
    uint32_t min;        /* of `adapt`; 0: none */
    int64_t linger_ns;   /* 0: none */
    uint32_t slow_in;    /* one call in so many takes longer than the deadline; 0: none */
    int64_t deadline_ns; /* of those; */
    int64_t after_ns;    /* and the API works on for up to so long when they have been cut */
};

/* Its permit outlives it as a ghost's. */
struct ghost {
    struct happening over;
    struct permit permit;
    bool is_used;
};

/* A caller, who calls again as soon as a call is over, and the work at the API that a cut call leaves behind. */
struct caller {
    struct happening next; /* the answer, the refusal, or the deadline */
    struct permit permit;
    bool is_refused, is_cut;
};

struct leftover {
    struct happening over;
    bool is_used;
};

static struct world {
    struct terms terms;
    struct events events;
    struct permit_pool pool;
    struct adaptive adaptive;
    struct caller callers[CALLERS];
    struct ghost ghosts[CALLERS];
    struct leftover leftovers[CALLERS];
    uint64_t seed, random;
    int64_t now_ns;
    uint32_t at_api, calls, ghost_count;
    uint64_t good, refused, cut;
    uint32_t lowest, highest; /* limit in the second half */
} world;

static uint64_t draw(void)
{
    uint64_t z = world.random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static int64_t draw_until(int64_t max_ns)
{
    return (int64_t)(draw() % ((uint64_t)max_ns + 1));
}

static void plan(struct happening *event, int64_t in_ns)
{
    events_plan(&world.events, event, world.now_ns + in_ns, draw());
}

static void check(void)
{
    CHECK(permit_pool_is_sound(&world.pool));
    CHECK(world.pool.held == world.calls + world.ghost_count);
    CHECK(world.pool.held <= world.terms.size && world.adaptive.limit <= world.terms.size);
    CHECK(world.at_api <= world.terms.room);
}

/* ---- a call -------------------------------------------------------------------------------------------- */

static void begin(struct caller *caller)
{
    bool is_slow = world.terms.slow_in != 0 && draw() % world.terms.slow_in == 0;

    world.calls++;
    caller->is_refused = world.at_api == world.terms.room;
    caller->is_cut = !caller->is_refused && is_slow;
    if (!caller->is_refused)
        world.at_api++;
    plan(&caller->next, caller->is_refused ? REFUSAL_NS
                        : caller->is_cut   ? world.terms.deadline_ns
                                           : ms(100) + draw_until(ms(200)));
}

static void ask(struct caller *caller)
{
    if (permit_acquire(&world.pool, &caller->permit, 0) == PERMIT_GRANTED)
        begin(caller);
}

static void grant(struct permit *permit)
{
    if (permit != NULL)
        begin(CONTAINER_OF(permit, struct caller, permit));
}

static void obey_limit(bool changed)
{
    struct permit *next;

    if (!changed)
        return;
    permit_pool_resize(&world.pool, world.adaptive.limit, CALLERS);
    while ((next = permit_next(&world.pool, 0)) != NULL)
        grant(next);
}

static void ghost_is_over(struct happening *event)
{
    struct ghost *ghost = CONTAINER_OF(event, struct ghost, over);

    ghost->is_used = false;
    world.ghost_count--;
    grant(permit_give_back(&world.pool, &ghost->permit, 0));
    check();
}

static void linger(struct permit *permit)
{
    struct ghost *ghost = world.ghosts;

    while (ghost->is_used)
        ghost++;
    ghost->is_used = true;
    ghost->permit.state = PERMIT_HELD;
    permit->state = PERMIT_FREE;
    world.ghost_count++;
    ghost->over.fn = ghost_is_over;
    plan(&ghost->over, world.terms.linger_ns);
}

static void leftover_is_done(struct happening *event)
{
    struct leftover *leftover = CONTAINER_OF(event, struct leftover, over);

    leftover->is_used = false;
    world.at_api--;
}

/* The API does not notice, and works on. */
static void leave_behind(void)
{
    struct leftover *leftover = world.leftovers;

    while (leftover->is_used)
        leftover++;
    leftover->is_used = true;
    leftover->over.fn = leftover_is_done;
    plan(&leftover->over, draw_until(world.terms.after_ns));
}

static void cut(struct caller *caller)
{
    world.cut++;
    leave_behind();
    if (world.terms.linger_ns != 0)
        linger(&caller->permit);
    else
        grant(permit_give_back(&world.pool, &caller->permit, 0));
}

static void answered(struct caller *caller)
{
    if (caller->is_refused) {
        world.refused++;
        obey_limit(adaptive_note_refused(&world.adaptive, world.now_ns));
    } else {
        world.good++;
        world.at_api--;
        obey_limit(adaptive_note_good(&world.adaptive, world.pool.held, world.now_ns));
    }
    grant(permit_give_back(&world.pool, &caller->permit, 0));
}

static void call_is_over(struct happening *event)
{
    struct caller *caller = CONTAINER_OF(event, struct caller, next);

    world.calls--;
    if (caller->is_cut)
        cut(caller);
    else
        answered(caller);
    ask(caller);
    check();
}

/* ---- a world ------------------------------------------------------------------------------------------- */

static void note_limit(void)
{
    if (world.now_ns < SECONDS / 2 * NS_PER_S)
        return;
    if (world.adaptive.limit < world.lowest)
        world.lowest = world.adaptive.limit;
    if (world.adaptive.limit > world.highest)
        world.highest = world.adaptive.limit;
}

static void run(const struct terms *terms, uint64_t seed)
{
    struct events events = world.events;

    memset(&world, 0, sizeof(world));
    events.count = 0;
    world.events = events;
    world.terms = *terms;
    world.seed = world.random = seed;
    world.lowest = UINT32_MAX;
    permit_pool_init(&world.pool, terms->size, CALLERS);
    adaptive_init(&world.adaptive, terms->size, terms->min);
    for (uint32_t i = 0; i < CALLERS; i++) {
        permit_init(&world.callers[i].permit, 0);
        permit_init(&world.ghosts[i].permit, 0);
        world.callers[i].next.fn = call_is_over;
        ask(&world.callers[i]);
    }
    while ((world.now_ns = events_next(&world.events)) < SECONDS * NS_PER_S) {
        events_run_one(&world.events);
        note_limit();
    }
}

/* ---- what is to be shown ------------------------------------------------------------------------------- */

/* A pool as large as the API's room, one call in five is cut, and the API works on for up to 500 ms. */
static void show_ghosts(uint64_t seed)
{
    static const int64_t lingers[] = {0, ms(250), ms(500)};
    uint64_t refused[3];

    for (size_t i = 0; i < 3; i++) {
        const struct terms terms = {.size = 20,
                                    .room = 20,
                                    .linger_ns = lingers[i],
                                    .slow_in = 5,
                                    .deadline_ns = NS_PER_S,
                                    .after_ns = ms(500)};

        run(&terms, seed);
        refused[i] = world.refused;
        if (seed == 1)
            printf("linger %3lld ms: %llu refusals, %llu good, %llu cut\n",
                   (long long)(lingers[i] / NS_PER_MS), (unsigned long long)world.refused,
                   (unsigned long long)world.good, (unsigned long long)world.cut);
    }
    CHECK(refused[0] > 10000 && refused[1] < refused[0] / 2 && refused[1] > 0 && refused[2] == 0);
}

/* A pool of 50 before an API that has room for 20. */
static void show_adapt(uint64_t seed)
{
    struct terms terms = {.size = 50, .room = 20};
    struct world fixed;

    run(&terms, seed);
    fixed = world;
    terms.min = 5;
    run(&terms, seed);
    if (seed == 1)
        printf("adapt: %llu refusals instead of %llu, %llu good instead of %llu, limit %u to %u\n",
               (unsigned long long)world.refused, (unsigned long long)fixed.refused,
               (unsigned long long)world.good, (unsigned long long)fixed.good, world.lowest, world.highest);
    CHECK(world.refused * 100 <= fixed.refused && world.good * 100 >= fixed.good * 85);
    CHECK(world.lowest >= 10 && world.highest <= 25);
}

/* An API that refuses nothing keeps the whole pool. */
static void show_no_probing(uint64_t seed)
{
    const struct terms terms = {.size = 50, .room = 50, .min = 5};

    run(&terms, seed);
    CHECK(world.refused == 0 && world.lowest == 50 && world.highest == 50);
}

/* Both at once: a limit that moves, and ghosts in `held`. */
static void show_both(uint64_t seed)
{
    const struct terms terms = {.size = 50,
                                .room = 20,
                                .min = 5,
                                .linger_ns = ms(500),
                                .slow_in = 5,
                                .deadline_ns = NS_PER_S,
                                .after_ns = ms(500)};

    run(&terms, seed);
    CHECK(world.good > 0 && world.cut > 0 && world.highest < 50 && world.lowest >= 5);
}

int main(int argc, char **argv)
{
    uint64_t seed = argc == 3 && strcmp(argv[1], "--seed") == 0 ? strtoull(argv[2], NULL, 10) : 1;

    for (uint64_t each = seed; each < seed + SEEDS; each++) {
        show_ghosts(each);
        show_adapt(each);
        show_no_probing(each);
        show_both(each);
    }
    free(world.events.heap);
    puts("4 passed, 0 failed");
    return 0;
}
