/*
 * A pool that is asked for twice as much as it can do: what its queue's length, `least` and `share_by` make of it.
 * core/permit and stats/start_times do what they do in a pool; arrivals, the clock and the API are simulated. The same
 * seed gives the same world. The curves are those of the documentation (docs/queues.md).
 *
 *   queueing [--seed N]
 *
 * Calls come at random (Poisson) at nearly twice what 50 permits can do; each needs its permit for a time whose logarithm
 * is normal, with a median of 200 ms and a p95 of 480 ms; a call is cut 2 s after it came, wherever it is.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/number.h"
#include "core/permit.h"
#include "stats/start_times.h"

#define PERMITS     50u
#define TWICE       1.98
#define ONE_KEY     (450 * 0.1956 / PERMITS) /* 450 calls a second, which need 196 ms each */
#define CALLS       (1u << 16)               /* of one world */
#define WARM        (CALLS / 8)
#define ms(n)       ((n)*NS_PER_MS)
#define DEADLINE_NS (2 * NS_PER_S)
#define SIGMA       0.53
#define ALIVE_MAX   (1u << 14)
#define SEEDS       4u

#define CHECK(condition, ...)                                                                                \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: %s does not hold: ", __FILE__, __LINE__, #condition);                    \
            fprintf(stderr, __VA_ARGS__);                                                                    \
            fputc('\n', stderr);                                                                             \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

/* What differs between worlds. `heavy` of a thousand calls are of one key, the others of ten more; 0: all of one. */
struct terms {
    const char *name;
    uint32_t queue;
    int64_t median_ns;
    int64_t least_ns; /* 0: none; -1: p95 */
    double load;      /* what is asked for, of what the permits can do */
    bool shares;
    uint32_t heavy;
};

struct call {
    struct permit permit;
    int64_t came_ns, started_ns, needs_ns;
    uint32_t key, slot; /* its place in the heap of ends */
};

static struct world {
    uint64_t seed;
    int64_t now_ns;
    struct permit_pool pool;
    struct queue_shares shares;
    struct start_times *times;
    struct call calls[CALLS];
    struct call *ends[ALIVE_MAX]; /* a heap: who has to be looked at next */
    uint32_t alive, begun;
    const struct terms *terms;
    /* What came of those that came after the beginning: by key 0 (heavy) and the others. */
    uint64_t came[2], served[2];
    int64_t used_ns, wasted_ns;
    int64_t waits_ns[CALLS];
    uint32_t wait_count;
} world;

static double chance(void)
{
    world.seed ^= world.seed << 13, world.seed ^= world.seed >> 7, world.seed ^= world.seed << 17;
    return (double)(world.seed >> 11) * 0x1p-53;
}

static double normal(void)
{
    return sqrt(-2 * log(1 - chance())) * cos(2 * 3.14159265358979 * chance());
}

static double mean_ns(void)
{
    return (double)world.terms->median_ns * exp(SIGMA * SIGMA / 2);
}

/* ---- who has to be looked at next ----------------------------------------------------------------------- */

static int64_t due_ns(const struct call *call)
{
    int64_t deadline_ns = call->came_ns + DEADLINE_NS, end_ns = call->started_ns + call->needs_ns;

    return call->started_ns != 0 && end_ns < deadline_ns ? end_ns : deadline_ns;
}

static void put(uint32_t at, struct call *call)
{
    world.ends[at] = call;
    call->slot = at;
}

static void sift(uint32_t at)
{
    struct call *call = world.ends[at];

    while (at > 0 && due_ns(call) < due_ns(world.ends[(at - 1) / 2])) {
        put(at, world.ends[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (uint32_t child; (child = 2 * at + 1) < world.alive; at = child) {
        if (child + 1 < world.alive && due_ns(world.ends[child + 1]) < due_ns(world.ends[child]))
            child++;
        if (due_ns(call) <= due_ns(world.ends[child]))
            break;
        put(at, world.ends[child]);
    }
    put(at, call);
}

static void enter(struct call *call)
{
    CHECK(world.alive < ALIVE_MAX, "too many calls");
    put(world.alive++, call);
    sift(call->slot);
}

static void leave(struct call *call)
{
    uint32_t at = call->slot;

    world.alive--;
    if (at == world.alive)
        return;
    put(at, world.ends[world.alive]);
    sift(at);
}

/* ---- calls ---------------------------------------------------------------------------------------------- */

static bool counts(const struct call *call)
{
    return call - world.calls >= WARM;
}

static void start(struct call *call)
{
    call->started_ns = world.now_ns;
    if (counts(call) && call->key != 0)
        world.waits_ns[world.wait_count++] = world.now_ns - call->came_ns;
    sift(call->slot);
}

/* Once more by what is known now, as call/pool_wait has it. */
static bool is_too_late(const struct call *call)
{
    return world.terms->least_ns == -1 &&
           call->came_ns + DEADLINE_NS - world.now_ns < start_times_p95_ns(world.times);
}

static void hear(struct permit *next)
{
    while (next != NULL) {
        struct call *call = CONTAINER_OF(next, struct call, permit);
        bool is_granted = next->state == PERMIT_HELD;

        next = NULL;
        if (is_granted && !is_too_late(call)) {
            start(call);
        } else {
            leave(call);
            if (is_granted)
                next = permit_give_back(&world.pool, &call->permit, world.now_ns);
        }
        if (next == NULL)
            next = permit_next(&world.pool, world.now_ns);
    }
    CHECK(permit_pool_is_sound(&world.pool), "%s", world.terms->name);
}

static void end(struct call *call)
{
    bool had_permit = call->permit.state == PERMIT_HELD;
    int64_t held_ns = world.now_ns - call->started_ns;
    bool is_served = had_permit && held_ns == call->needs_ns;

    leave(call);
    if (is_served)
        start_times_count(world.times, held_ns);
    else if (had_permit)
        start_times_count_cut(world.times, held_ns);
    if (counts(call) && had_permit) {
        world.used_ns += held_ns;
        world.wasted_ns += is_served ? 0 : held_ns;
        world.served[call->key != 0] += is_served;
    }
    hear(permit_give_back(&world.pool, &call->permit, world.now_ns));
}

static void come(struct call *call)
{
    int64_t least_ns = world.terms->least_ns;

    call->came_ns = world.now_ns;
    call->needs_ns = (int64_t)((double)world.terms->median_ns * exp(SIGMA * normal()));
    call->key = chance() * 1000 < world.terms->heavy ? 0 : 1 + (uint32_t)(chance() * 10);
    world.came[call->key != 0] += counts(call);
    permit_init(&call->permit, 0);
    call->permit.place.bucket = (uint8_t)call->key;
    if (least_ns == -1)
        least_ns = start_times_p95_ns(world.times);
    if (least_ns > 0)
        call->permit.start_by_ns = call->came_ns + DEADLINE_NS - least_ns;
    switch (permit_acquire(&world.pool, &call->permit, world.now_ns)) {
    case PERMIT_GRANTED:
        enter(call);
        start(call);
        break;
    case PERMIT_QUEUED:
        enter(call);
        hear(permit_next(&world.pool, world.now_ns));
        break;
    default: break;
    }
}

static void run(const struct terms *terms, uint64_t seed)
{
    int64_t next_ns = 1;
    double gap_ns;

    world.seed = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    world.now_ns = 1;
    world.terms = terms;
    gap_ns = mean_ns() / PERMITS / terms->load;
    world.alive = world.begun = 0;
    permit_pool_init(&world.pool, PERMITS, terms->queue);
    if (terms->shares)
        queue_share(&world.pool.queue, &world.shares);
    world.times = start_times_new();
    CHECK(world.times != NULL, "no memory");
    while (world.begun < CALLS || world.alive != 0) {
        bool is_end = world.alive != 0 && (world.begun == CALLS || due_ns(world.ends[0]) <= next_ns);

        world.now_ns = is_end ? due_ns(world.ends[0]) : next_ns;
        if (is_end) {
            end(world.ends[0]);
            continue;
        }
        world.calls[world.begun] = (struct call){.started_ns = 0};
        come(&world.calls[world.begun++]);
        next_ns += 1 + (int64_t)(-log(1 - chance()) * gap_ns);
    }
    CHECK(world.pool.held == 0 && world.pool.queue.length == 0, "%s", terms->name);
    mem_free(world.times);
}

static int by_length(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* Of the waits of those that are not the heavy key. */
static double p99_ms(void)
{
    qsort(world.waits_ns, world.wait_count, sizeof(world.waits_ns[0]), by_length);
    return world.wait_count != 0
               ? (double)world.waits_ns[world.wait_count - world.wait_count / 100 - 1] * 1e-6
               : 0;
}

static double percent(double part, double whole)
{
    return whole > 0 ? 100 * part / whole : 0;
}

struct figures {
    double served, wasted, light, heavy, wait_ms;
};

static struct figures simulate(const struct terms *terms, uint64_t seed, uint32_t seeds)
{
    struct figures sum = {0};

    for (uint32_t i = 0; i < seeds; i++) {
        memset(world.came, 0, sizeof(world.came));
        memset(world.served, 0, sizeof(world.served));
        world.used_ns = world.wasted_ns = 0;
        world.wait_count = 0;
        run(terms, seed + i);
        sum.served +=
            percent((double)(world.served[0] + world.served[1]), (double)(world.came[0] + world.came[1]));
        sum.wasted += percent((double)world.wasted_ns, (double)world.used_ns);
        sum.heavy += percent((double)world.served[0], (double)world.came[0]);
        sum.light += percent((double)world.served[1], (double)world.came[1]);
        sum.wait_ms += p99_ms();
    }
    sum.served /= seeds, sum.wasted /= seeds, sum.heavy /= seeds, sum.light /= seeds, sum.wait_ms /= seeds;
    printf(
        "%-24s served %5.1f %%, wasted %5.1f %%, heavy %5.1f %%, light %5.1f %%, a light one's wait p99 %.0f ms\n",
        terms->name, sum.served, sum.wasted, sum.heavy, sum.light, sum.wait_ms);
    return sum;
}

static void is_about(double figure, double expected, double by)
{
    CHECK(fabs(figure - expected) <= by, "%s: %.1f, not %.1f", world.terms->name, figure, expected);
}

int main(int argc, char **argv)
{
    static const struct terms bounded = {"queue 100", 100, ms(200), 0, TWICE, false, 0},
                              fifo = {"queue 1000", 1000, ms(200), 0, TWICE, false, 0},
                              median = {"queue 1000, least 200ms", 1000, ms(200), ms(200), TWICE, false, 0},
                              p95 = {"queue 1000, least p95", 1000, ms(200), -1, TWICE, false, 0},
                              alone = {"a heavy key, by arrival", 100, ms(170), 0, ONE_KEY, false, 889},
                              shared = {"a heavy key, by shares", 100, ms(170), 0, ONE_KEY, true, 889};
    uint64_t seed = argc == 3 && strcmp(argv[1], "--seed") == 0 ? strtoull(argv[2], NULL, 10) : 1;
    struct figures f;

    f = simulate(&bounded, seed, SEEDS);
    is_about(f.served, 50.3, 0.5);
    is_about(f.wasted, 0, 0.5);
    f = simulate(&fifo, seed, SEEDS);
    is_about(f.served, 17.4, 1);
    f = simulate(&median, seed, SEEDS);
    is_about(f.served, 36.2, 1);
    f = simulate(&p95, seed, SEEDS);
    is_about(f.served, 50, 1);
    is_about(f.wasted, 10, 1);
    f = simulate(&alone, seed, SEEDS);
    CHECK(f.light < 65 && f.wait_ms > 300, "light %.1f %%, %.0f ms", f.light, f.wait_ms);
    f = simulate(&shared, seed, SEEDS);
    CHECK(f.light >= 99.9 && f.wait_ms <= 30 && f.heavy > 45, "light %.1f %%, %.0f ms", f.light, f.wait_ms);
    return 0;
}
