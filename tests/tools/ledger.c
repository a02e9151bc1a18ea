/*
 * The C ledger (tests/sim/ledger.h) as a filter, to be held against the script that a real store runs: a request a line,
 * and what came of it a line, with the hosts that were hinted.
 *
 *   ledger LEASE_US MARGIN_US
 *
 *   in   time run host number epoch not-after claim held want weight size yields adrift
 *   out  OK epoch granted aim tight turn_ns reserve total hosts | hinted…
 *        EPOCH | LATE | OLD epoch
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "../sim/ledger.h"

#define HOSTS 1000u

static uint32_t hinted[64];
static unsigned hinted_count;

static void note_hint(void *world, uint32_t host)
{
    (void)world;
    if (hinted_count < sizeof(hinted) / sizeof(hinted[0]))
        hinted[hinted_count++] = host;
}

static void print(const struct block_reply *reply)
{
    static const char *const words[] = {
        [BLOCK_OK] = "OK", [BLOCK_EPOCH] = "EPOCH", [BLOCK_LATE] = "LATE", [BLOCK_OLD] = "OLD"};

    printf("%s %s", words[reply->answer], reply->epoch);
    if (reply->answer == BLOCK_OK) {
        printf(" %u %u %d %" PRId64 " %u %u %u %u %" PRId64 " %u |", reply->granted, reply->aim, reply->tight,
               reply->turn_ns == INT64_MAX ? -1 : reply->turn_ns, reply->reserve, reply->total_granted,
               reply->hosts, reply->waiting_hosts, reply->learning_us, reply->smallest);
        for (unsigned i = 0; i < hinted_count; i++)
            printf(" %u", hinted[i]);
    }
    putchar('\n');
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct block_request request;
    struct block_reply reply;
    struct ledger ledger;
    int64_t time_us;
    uint32_t host;
    unsigned yields, adrift;
    char epoch[BLOCK_EPOCH_MAX];

    if (argc != 3) {
        fputs("usage: ledger LEASE_US MARGIN_US\n", stderr);
        return 2;
    }
    ledger_init(&ledger, HOSTS);
    ledger.lease_us = strtoll(argv[1], NULL, 10);
    ledger.margin_us = strtoll(argv[2], NULL, 10);
    ledger.hint = note_hint;
    request = (struct block_request){.epoch = epoch};
    while (scanf("%" SCNd64 " %" SCNu64 " %" SCNu32 " %" SCNu64 " %63s %" SCNd64 " %u %u %u %u %u %u %u",
                 &time_us, &ledger.run, &host, &request.number, epoch, &request.not_after_us, &request.claim,
                 &request.held, &request.want, &request.weight, &request.size, &yields, &adrift) == 13 &&
           host < HOSTS) {
        request.yields = yields != 0;
        request.adrift = adrift != 0;
        hinted_count = 0;
        ledger_renew(&ledger, host, time_us, &request, &reply);
        print(&reply);
    }
    ledger_fini(&ledger);
    return 0;
}
