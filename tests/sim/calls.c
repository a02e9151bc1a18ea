/*
 * Many calls through curfew's real ones, in worlds that misbehave (tests/world): one after another, each from a seed.
 *
 *   calls [--seed N] [--calls N]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../world/world.h"

#define CALLS_DEFAULT UINT64_C(100000)
#define RUN_CALLS     UINT64_C(1000)
/* Of so many calls, some have met with everything. */
#define CALLS_FOR_ALL UINT64_C(50000)

static uint64_t first_seed;

/* splitmix64 */
static uint64_t draw(struct world *world)
{
    uint64_t z = world->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void world_say_how(const struct world *world)
{
    const uint64_t *seed = world->lots;

    printf("reproduce with: --seed %llu --calls %llu\n0 passed, 1 failed\n", (unsigned long long)*seed,
           (unsigned long long)world->wanted);
}

static void add(struct world *sum, const struct world *world)
{
    sum->steps += world->steps;
    sum->begun += world->begun;
    sum->ended += world->ended;
    sum->replaced += world->replaced;
    sum->reused += world->reused;
    sum->lingered += world->lingered;
    sum->retried += world->retried;
    for (enum retry_stop stop = 0; stop < RETRY_STOP_COUNT; stop++)
        sum->reasons[stop] += world->reasons[stop];
    sum->refused_by_breakers += world->refused_by_breakers;
    for (uint32_t i = 0; i < UPSTREAMS; i++)
        for (enum try_kind kind = 0; kind < TRY_KIND_COUNT; kind++)
            sum->tries[0][kind] += world->tries[i][kind];
    sum->sent_twice += world->sent_twice;
    sum->early += world->early;
    sum->answers += world->answers;
    sum->cut_answers += world->cut_answers;
    sum->queued += world->queued;
    sum->spared += world->spared;
    sum->grown += world->grown;
    sum->shrunk += world->shrunk;
    sum->streams += world->streams;
    sum->refused += world->refused;
    sum->given_up += world->given_up;
    sum->late_starts += world->late_starts;
    sum->slow_starts += world->slow_starts;
    sum->no_slots += world->no_slots;
    sum->paused_away += world->paused_away;
    sum->put_out += world->put_out;
    sum->pauses += world->pauses;
    sum->longer += world->longer;
    sum->recovered += world->recovered;
    sum->let_go += world->let_go;
    sum->told_long += world->told_long;
    sum->echoed += world->echoed;
    for (enum tunnel_end end = 0; end < TUNNEL_END_COUNT; end++)
        sum->tunnels[end] += world->tunnels[end];
    sum->resets += world->resets;
    sum->retired += world->retired;
    sum->pings += world->pings;
    sum->doubts += world->doubts;
    sum->narrow += world->narrow;
    if (world->most_streams > sum->most_streams)
        sum->most_streams = world->most_streams;
    if (world->most_resets > sum->most_resets)
        sum->most_resets = world->most_resets;
    for (enum outcome outcome = 0; outcome < OUTCOME_COUNT; outcome++)
        sum->outcomes[outcome] += world->outcomes[outcome];
    for (enum phase phase = 0; phase < PHASE_COUNT; phase++)
        sum->stuck[phase] += world->stuck[phase];
}

static void print(const struct world *sum)
{
    printf("%llu requests in %llu steps: ended %llu", (unsigned long long)sum->begun,
           (unsigned long long)sum->steps, (unsigned long long)sum->ended);
    for (enum outcome outcome = 0; outcome <= OUTCOME_NOT_A_CALL; outcome++)
        printf(", %s %llu", outcome_name(outcome), (unsigned long long)sum->outcomes[outcome]);
    printf("\nstuck in");
    for (enum phase phase = 0; phase < PHASE_COUNT; phase++)
        printf(" %s %llu", phase_name(phase), (unsigned long long)sum->stuck[phase]);
    printf("\ntries:");
    for (enum try_kind kind = 0; kind < TRY_KIND_COUNT; kind++)
        printf(" %s %llu", try_kind_name(kind), (unsigned long long)sum->tries[0][kind]);
    printf("\nnot tried again:");
    for (enum retry_stop stop = RETRY_NOT_MEANT + 1; stop < RETRY_STOP_COUNT; stop++)
        printf(" %s %llu", retry_stop_word(stop), (unsigned long long)sum->reasons[stop]);
    printf(", refused by breakers %llu", (unsigned long long)sum->refused_by_breakers);
    printf(
        "\nwhole answers %llu, cut ones %llu, queued %llu, spared %llu, on used connections %llu, replaced %llu, "
        "heard twice %llu, answered early %llu, pools made larger %llu, smaller than what was held %llu, permits that lingered %llu, retried %llu, streams of HTTP/2 %llu, refused ones %llu, given up %llu\n",
        (unsigned long long)sum->answers, (unsigned long long)sum->cut_answers,
        (unsigned long long)sum->queued, (unsigned long long)sum->spared, (unsigned long long)sum->reused,
        (unsigned long long)sum->replaced, (unsigned long long)sum->sent_twice,
        (unsigned long long)sum->early, (unsigned long long)sum->grown, (unsigned long long)sum->shrunk,
        (unsigned long long)sum->lingered, (unsigned long long)sum->retried, (unsigned long long)sum->streams,
        (unsigned long long)sum->refused, (unsigned long long)sum->given_up);
    printf(
        "waited for a slot %llu, refused for one %llu; pauses %llu, lengthened %llu, refused %llu and put out %llu, "
        "starts behind one %llu, got over %llu, taken away %llu; told to wait for seconds %llu\n",
        (unsigned long long)sum->late_starts, (unsigned long long)sum->no_slots,
        (unsigned long long)sum->pauses, (unsigned long long)sum->longer,
        (unsigned long long)sum->paused_away, (unsigned long long)sum->put_out,
        (unsigned long long)sum->slow_starts, (unsigned long long)sum->recovered,
        (unsigned long long)sum->let_go, (unsigned long long)sum->told_long);
    printf("tunnels: bytes that came back %llu", (unsigned long long)sum->echoed);
    for (enum tunnel_end end = 0; end < TUNNEL_END_COUNT; end++)
        printf(", ended by %s %llu", tunnel_end_name(end), (unsigned long long)sum->tunnels[end]);
    puts("");
    printf(
        "over HTTP/2 at most %u streams at once; streams reset %llu, %u of a connection at most, retired for that %llu, "
        "pings %llu, doubtful connections %llu, held up by a window %llu\n",
        sum->most_streams, (unsigned long long)sum->resets, sum->most_resets,
        (unsigned long long)sum->retired, (unsigned long long)sum->pings, (unsigned long long)sum->doubts,
        (unsigned long long)sum->narrow);
}

/* A simulation in which something never happens shows nothing about it. */
static void check_everything_happened(const struct world *sum)
{
    for (enum outcome outcome = 0; outcome <= OUTCOME_NOT_A_CALL; outcome++)
        CHECK(sum, sum->outcomes[outcome] > 0);
    for (enum try_kind kind = 0; kind < TRY_KIND_COUNT; kind++)
        CHECK(sum, sum->tries[0][kind] > 0);
    CHECK(sum, sum->refused_by_breakers > 0);
    for (enum phase phase = 0; phase < PHASE_COUNT; phase++)
        CHECK(sum, phase == PHASE_BACKOFF || sum->stuck[phase] > 0);
    for (enum tunnel_end end = 0; end < TUNNEL_END_COUNT; end++) /* nobody cuts one by hand */
        CHECK(sum, end == TUNNEL_END_OPERATOR || sum->tunnels[end] > 0);
    CHECK(sum, sum->spared > 0 && sum->replaced > 0 && sum->reused > 0 && sum->early > 0);
    CHECK(sum, sum->cut_answers > 0 && sum->grown > 0 && sum->shrunk > 0 && sum->queued > 0 &&
                   sum->lingered > 0 && sum->retried > 0 && sum->streams > 0 && sum->refused > 0 &&
                   sum->given_up > 0);
    CHECK(sum, sum->late_starts > 0 && sum->no_slots > 0 && sum->pauses > 0 && sum->longer > 0 &&
                   sum->paused_away > 0 && sum->put_out > 0 && sum->slow_starts > 0 && sum->recovered > 0 &&
                   sum->let_go > 0 && sum->told_long > 0);
    CHECK(sum,
          sum->most_streams > 2 && sum->resets > 0 && sum->pings > 0 && sum->doubts > 0 && sum->narrow > 0);
}

static uint64_t number_after(int argc, char **argv, const char *option, uint64_t otherwise)
{
    for (int i = 1; i + 1 < argc; i += 2)
        if (strcmp(argv[i], option) == 0)
            return strtoull(argv[i + 1], NULL, 10);
    return otherwise;
}

/* Worlds that something broke in once: a request had been seen, and `sent` was none; a closed socket was asked. */
static const uint64_t broke_once[] = {654, 704};

static uint64_t run(uint64_t seed, uint64_t calls, struct world *sum)
{
    static struct world world;

    world_make(&world, draw, &seed, seed, calls < RUN_CALLS ? calls : RUN_CALLS);
    while (world_step(&world))
        ;
    world_end(&world);
    add(sum, &world);
    return world.wanted;
}

int main(int argc, char **argv)
{
    static struct world sum;
    const char *wanted = getenv("SIM_CALLS");
    uint64_t left = wanted != NULL ? strtoull(wanted, NULL, 10) : CALLS_DEFAULT;

    first_seed = number_after(argc, argv, "--seed", 1);
    left = number_after(argc, argv, "--calls", left);
    sum.lots = &first_seed;
    sum.wanted = left;
    printf("seed %llu, %llu calls\n", (unsigned long long)first_seed, (unsigned long long)left);
    for (size_t i = 0; argc == 1 && i < sizeof(broke_once) / sizeof(broke_once[0]); i++)
        (void)run(broke_once[i], RUN_CALLS, &sum);
    for (uint64_t seed = first_seed; left > 0; seed++)
        left -= run(seed, left, &sum);
    print(&sum);
    if (sum.begun >= CALLS_FOR_ALL)
        check_everything_happened(&sum);
    puts("1 passed, 0 failed");
    return 0;
}
