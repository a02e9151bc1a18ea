#include "app/fleet_command.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/config_file.h"
#include "app/output.h"
#include "app/usage.h"
#include "base/number.h"
#include "proxy/fleet_book.h"

static const struct usage usage = {
    "fleet",
    "usage: curfew fleet [[-c] FILE]\n"
    "       curfew fleet begin [[-c] FILE]\n"
    "\n"
    "Asks the fleet's store what it has written down: what each host has of each pool of the fleet. The\n"
    "configuration says which store, and which pools.\n"
    "\n"
    "A store that is new, or has lost its memory, lends nothing until it can know what hosts hold. With\n"
    "begin you say that no host calls the API now: it lends at once. If one does call, the cap does not hold.\n"
    "\n" USAGE_CONFIG "\n"
    "  -c, --config FILE   the configuration\n"
    "  -h, --help          this text\n"
    "\n"
    "Exit status: 0 done, 1 the store did not answer, 2 wrong usage.\n"};

#define FIELDS  6 /* before the hosts, */
#define COLUMNS 4 /* and of each */

static int64_t number_at(const struct store_reply *answer, uint32_t item)
{
    int64_t number;

    return store_reply_number(answer, item, &number) ? number : 0;
}

static void print_host(const struct store_reply *answer, uint32_t at)
{
    struct span host = store_reply_text(answer, at);
    char block[128];
    struct text name = text_over(block, sizeof(block));

    /* Whoever can write to the store may have put anything there. */
    if (strspn(host.ptr, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_./-") >= host.len)
        text_put(&name, host);
    else
        text_excerpt(&name, host);
    printf("  %-40.*s %7" PRId64 " %7" PRId64 " %7" PRId64 "\n", SPAN_FMT(text_span(&name)),
           number_at(answer, at + 1), number_at(answer, at + 2), number_at(answer, at + 3));
}

static void print_book(void *arg, const struct store_reply *answer)
{
    const struct pool_config *pool = arg;
    int64_t hosts = number_at(answer, 5), learning_us = number_at(answer, 3);

    printf("pool %s (%s in the fleet): ", pool->name, pool->fleet);
    if (store_reply_text(answer, 0).len == 0) {
        printf("the store has nothing written down\n");
        return;
    }
    printf("%" PRId64 " of %" PRId64 " lent, %" PRId64 " host%s, %" PRId64 " wait\n", number_at(answer, 1),
           number_at(answer, 2), hosts, hosts == 1 ? "" : "s", number_at(answer, 4));
    if (learning_us != 0)
        printf("  for another %" PRId64
               " s the store lends only what hosts give back: it does not know yet what they hold\n",
               (learning_us + 999999) / 1000000);
    if (answer->count > FIELDS)
        printf("  %-40s %7s %7s %7s\n", "HOST", "LENT", "HELD", "WANTED");
    for (uint32_t at = FIELDS; at + COLUMNS <= answer->count; at += COLUMNS)
        print_host(answer, at);
    if (hosts > (answer->count - FIELDS) / COLUMNS)
        printf("  … and %" PRId64 " more\n", hosts - (answer->count - FIELDS) / COLUMNS);
}

static int show(const struct snapshot *snapshot, bool begins)
{
    char why[512];

    if (!snapshot->fleet.enabled) {
        fprintf(stderr, "curfew: fleet: the configuration has no fleet\n");
        return EXIT_FAILURE;
    }
    for (uint32_t i = 0; i < snapshot->pool_count; i++) {
        struct pool_config *pool = &snapshot->pools[i];

        if (pool->fleet == NULL)
            continue;
        if (!fleet_book_ask(snapshot, pool, begins, print_book, pool, why, sizeof(why))) {
            fprintf(stderr, "curfew: fleet: pool %s: %s\n", pool->name, why);
            return EXIT_FAILURE;
        }
    }
    return output_is_written() ? EXIT_SUCCESS : EXIT_FAILURE;
}

int fleet_command_main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *path = NULL;
    struct snapshot *snapshot;
    bool begins;
    int option, status;

    opterr = 0;
    while ((option = getopt_long(argc, argv, ":c:h", options, NULL)) != -1) {
        switch (option) {
        case 'c': path = optarg; break;
        case 'h': fputs(usage.text, stdout); return EXIT_SUCCESS;
        default: return usage_wrong_option(&usage, options, option, argv);
        }
    }
    begins = optind < argc && strcmp(argv[optind], "begin") == 0;
    optind += begins;
    path = usage_config(&usage, path, argv + optind, argc - optind);
    if (path == NULL)
        return USAGE_WRONG;
    snapshot = config_file_get(path);
    status = snapshot != NULL ? show(snapshot, begins) : EXIT_FAILURE;
    snapshot_free(snapshot);
    return status;
}
