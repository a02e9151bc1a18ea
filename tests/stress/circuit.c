/*
 * A circuit under eight threads that ask, try and tell as fast as they can, at an API that is well and down by turns.
 *
 *   circuit [CALLS]      calls over all threads (400000)
 *
 * Oracles that do not read the breaker's books:
 *   - probes on their way are counted where they are: never more than there are places, of one generation
 *   - each thread's audit agrees with the probes that it has itself
 *   - every opening is heard of by mail in each loop, or one mail stands for several
 *   - once all have told, no place is taken; and with the API well at the end, it closes
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/verdict.h"
#include "runtime/circuit.h"
#include "runtime/loop.h"

#define THREADS 8
#define FLYING  8 /* calls that a thread has at once */
#define PROBES  2

struct flight {
    struct breaker_pass pass;
    bool is_taken, is_probe;
};

struct pilot {
    struct loop loop;
    pthread_t thread;
    struct flight flights[FLYING];
    uint64_t random, calls, let, refused, probes, opened, heard;
};

static struct circuit circuit;
static struct pilot pilots[THREADS];
static struct loop *loops[THREADS];
static atomic_bool well = true;
static atomic_int flying[65536]; /* probes on their way, by generation */
static uint64_t calls_each = 50000;

static void must(bool right, const char *what)
{
    if (right)
        return;
    fprintf(stderr, "circuit: %s\n", what);
    _exit(1);
}

static uint64_t draw(struct pilot *pilot, uint64_t below)
{
    pilot->random ^= pilot->random << 13;
    pilot->random ^= pilot->random >> 7;
    pilot->random ^= pilot->random << 17;
    return pilot->random % below;
}

static struct pilot *pilot_of(struct loop *loop)
{
    return CONTAINER_OF(loop, struct pilot, loop);
}

static void opened(struct circuit *which, struct loop *loop)
{
    must(which == &circuit, "a mail of another circuit");
    pilot_of(loop)->heard++;
}

static void land(struct pilot *pilot, struct flight *flight)
{
    enum verdict verdict = draw(pilot, 8) == 0  ? VERDICT_NEUTRAL
                           : atomic_load(&well) ? VERDICT_GOOD
                                                : VERDICT_BAD;
    struct circuit_news news;

    if (flight->is_probe)
        atomic_fetch_sub(&flying[flight->pass.generation % 65536], 1);
    flight->is_taken = false;
    if (circuit_tell(&circuit, &pilot->loop, verdict, draw(pilot, 4) == 0, loop_clock_ns(), &flight->pass,
                     &news))
        pilot->opened++;
    must(flight->pass.place == 0, "a place is left on a pass");
}

static void begin(struct pilot *pilot, struct flight *flight)
{
    struct circuit_news news;
    enum breaker_answer answer = circuit_ask(&circuit, &pilot->loop, loop_clock_ns(), &flight->pass, &news);

    pilot->opened += news.opened;
    flight->is_taken = answer != BREAKER_REFUSES;
    flight->is_probe = answer == BREAKER_PROBES;
    pilot->let += answer == BREAKER_LETS;
    pilot->probes += flight->is_probe;
    pilot->refused += answer == BREAKER_REFUSES;
    if (flight->is_probe)
        must(atomic_fetch_add(&flying[flight->pass.generation % 65536], 1) < PROBES,
             "more probes than places");
}

static uint32_t count_live(void *arg)
{
    struct pilot *pilot = arg;
    uint32_t count = 0;

    for (int i = 0; i < FLYING; i++)
        count +=
            pilot->flights[i].is_taken && circuit_is_live_probe_locked(&circuit, &pilot->flights[i].pass);
    return count;
}

static void *fly(void *arg)
{
    struct pilot *pilot = arg;

    for (; pilot->calls < calls_each; pilot->calls++) {
        struct flight *flight = &pilot->flights[draw(pilot, FLYING)];

        if (flight->is_taken)
            land(pilot, flight);
        else
            begin(pilot, flight);
        if (draw(pilot, 64) == 0)
            mailbox_deliver(&pilot->loop.mailbox);
        if (draw(pilot, 64) == 0)
            must(circuit_audit(&circuit, &pilot->loop, count_live, pilot),
                 "the audit's places are other ones");
        if (pilot == &pilots[0] && draw(pilot, 500) == 0)
            atomic_store(&well, !atomic_load(&well));
        if (draw(pilot, 2000) == 0)
            usleep(200);
    }
    for (int i = 0; i < FLYING; i++)
        if (pilot->flights[i].is_taken)
            land(pilot, &pilot->flights[i]);
    return NULL;
}

static void check_the_end(void)
{
    struct pilot *pilot = &pilots[0];
    struct circuit_news news = circuit_look(&circuit, loop_clock_ns());

    must(circuit_audit(&circuit, &pilot->loop, count_live, pilot), "a place is taken at the end");
    atomic_store(&well, true);
    for (int i = 0; i < 100000 && news.state != BREAKER_CLOSED; i++) {
        begin(pilot, &pilot->flights[0]);
        if (pilot->flights[0].is_taken)
            land(pilot, &pilot->flights[0]);
        news = circuit_look(&circuit, loop_clock_ns());
        usleep(100);
    }
    must(news.state == BREAKER_CLOSED, "it stays open");
}

int main(int argc, char **argv)
{
    static const struct breaker_terms terms = {.failures = 5,
                                               .ratio_percent = 50,
                                               .volume = 20,
                                               .window_ns = 10000000,
                                               .open_ns = 200000,
                                               .open_max_ns = 1000000,
                                               .probes = PROBES,
                                               .verdict_ns = INT64_C(10000000000)};
    uint64_t opened_sum = 0, let = 0, probes = 0, refused = 0;

    calls_each = argc > 1 ? strtoull(argv[1], NULL, 10) / THREADS : calls_each;
    for (uint32_t i = 0; i < THREADS; i++) {
        must(loop_init(&pilots[i].loop, i) == ST_OK, "no loop");
        loops[i] = &pilots[i].loop;
        pilots[i].random = i * UINT64_C(0x9e3779b97f4a7c15) + 1;
    }
    must(circuit_init(&circuit, 7, loops, THREADS, opened) == ST_OK, "no circuit");
    circuit_set(&circuit, &terms, false);
    for (uint32_t i = 0; i < THREADS; i++)
        must(pthread_create(&pilots[i].thread, NULL, fly, &pilots[i]) == 0, "no thread");
    for (uint32_t i = 0; i < THREADS; i++)
        pthread_join(pilots[i].thread, NULL);
    check_the_end();
    for (uint32_t i = 0; i < THREADS; i++) {
        struct pilot *pilot = &pilots[i];

        mailbox_deliver(&pilot->loop.mailbox);
        must(pilot->heard != 0, "a loop that never heard of an opening");
        opened_sum += pilot->opened, let += pilot->let, probes += pilot->probes, refused += pilot->refused;
    }
    must(opened_sum > 10 && let != 0 && probes > 10 && refused > 10, "not everything has happened");
    printf("let in %llu, probes %llu, refused %llu, opened %llu times\n", (unsigned long long)let,
           (unsigned long long)probes, (unsigned long long)refused, (unsigned long long)opened_sum);
    circuit_recall(&circuit);
    circuit_fini(&circuit);
    for (uint32_t i = 0; i < THREADS; i++)
        loop_fini(&pilots[i].loop);
    puts("1 passed, 0 failed");
    return 0;
}
