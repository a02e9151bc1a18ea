/*
 * The C step of a fleet's rate and pause (tests/sim/turns.h) as a filter, to be held against the script that a real store
 * runs: a request a line, and what came of it a line, with how often all hosts were told so far.
 *
 *   in   time run host period burst wanted patience back taken spent adrift pause word round deadline life
 *   out  granted due beyond pace share round pause state told
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

#include "../sim/turns.h"

static struct turns turns;

int main(void)
{
    struct turn_request r = {0};
    struct turn_reply reply;
    int64_t time_us;
    uint32_t host;
    unsigned adrift, word;

    turns_init(&turns);
    while (scanf("%" SCNd64 " %" SCNu64 " %" SCNu32 " %" SCNd64 " %" SCNd64 " %" SCNu32 " %" SCNd64
                 " %" SCNu32 " %" SCNd64 " %" SCNu32 " %u %" SCNd64 " %u %" SCNu64 " %" SCNd64 " %" SCNd64,
                 &time_us, &turns.run, &host, &r.period_us, &r.burst, &r.wanted, &r.patience_us, &r.back,
                 &r.taken_us, &r.spent, &adrift, &r.pause_us, &word, &r.round, &r.deadline_us,
                 &r.life_us) == 16 &&
           host < TURNS_HOSTS) {
        r.adrift = adrift != 0;
        r.word = (enum turn_word)word;
        turns_step(&turns, host, time_us, &r, &reply);
        printf("%u %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRIu64 " %" PRId64 " %d %" PRIu64 "\n",
               reply.granted, reply.due_us, reply.beyond_us, reply.pace_us, reply.share_us, reply.round,
               reply.pause_us, reply.state, turns.told);
        fflush(stdout);
    }
    return 0;
}
