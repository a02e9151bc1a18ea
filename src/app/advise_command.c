#include "app/advise_command.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/admin_client.h"
#include "app/advise_print.h"
#include "app/output.h"
#include "app/usage.h"
#include "view/advise.h"

static const struct usage usage = {
    "advise",
    "usage: curfew advise [OPTION]... [[-c] FILE]\n"
    "       curfew advise [OPTION]... --admin ADDRESS\n"
    "\n"
    "Works out, from how long the calls of a running curfew took since it counts them, for each route the\n"
    "deadlines that make no more than 1 % and 0.1 % of the calls false timeouts (calls that are cut though\n"
    "they would have completed), and what each of them cuts in all; and for each pool, by Little's law, how\n"
    "many permits it takes. It is asked by its admin listener. Calls that a deadline cuts do not show how\n"
    "long they would have taken: with observe: true in the configuration nothing is cut, and they do.\n"
    "\n" USAGE_CONFIG "\n"
    "  -c, --config FILE          the configuration: its admin.listen says where\n"
    "  -a, --admin ADDRESS        where: 127.0.0.1:9600, [::1]:9600 or unix:/path\n"
    "  -u, --upstream NAME        only this upstream\n"
    "  -f, --false-timeouts RATE  another rate, 0.0001% to 50%; as often as wanted, up to 8 times\n"
    "  -j, --json                 the same as JSON\n"
    "  -h, --help                 this text\n"
    "\n"
    "Exit status: 0 done, 1 nobody answers, or there is no such upstream, 2 wrong usage.\n"};

/* Workers answer within a second, or the admin listener says that they do not. */
#define PATIENCE_S 5

struct wish {
    const char *path, *where, *upstream;
    uint64_t rates_ppm[ADVISE_RATES_MAX];
    uint32_t rate_count;
    bool as_json;
};

static bool has_upstream(const struct advise_question *question)
{
    for (uint32_t i = 0; i < question->durations->route_count; i++)
        if (advise_wants_route(question, &question->durations->routes[i]))
            return true;
    return false;
}

static bool advise(const struct wish *wish, const struct durations *durations)
{
    const struct advise_question question = {durations, wish->upstream, wish->rates_ppm, wish->rate_count};

    if (wish->upstream != NULL && !has_upstream(&question)) {
        fprintf(stderr, "curfew: advise: There is no upstream \"%s\".\n", wish->upstream);
        return false;
    }
    if (wish->as_json)
        advise_print_json(&question);
    else
        advise_print(&question);
    return output_is_written();
}

static int perform(const struct wish *wish, const char *where)
{
    const struct admin_question question = {where, "GET", "/durations", PATIENCE_S, false};
    struct durations durations = {0};
    struct admin_answer answer;
    bool is_done = false;
    char why[512];

    if (!admin_client_ask(&question, &answer, why, sizeof(why))) {
        fprintf(stderr, "curfew: advise: %s: %s\n", where, why);
    } else if (answer.status != 200) {
        admin_answer_put_why(&answer, why, sizeof(why));
        fprintf(stderr, "curfew: advise: %s\n", why);
    } else if (!durations_read(&durations, answer.content)) {
        fprintf(stderr, "curfew: advise: this is not how long calls took\n");
    } else {
        is_done = advise(wish, &durations);
    }
    durations_free(&durations);
    admin_answer_free(&answer);
    return is_done ? EXIT_SUCCESS : EXIT_FAILURE;
}

static bool add_rate(struct wish *wish, const char *text)
{
    if (wish->rate_count == ADVISE_RATES_MAX)
        (void)usage_wrong(&usage, "--false-timeouts comes more than %d times", ADVISE_RATES_MAX);
    else if (!advise_read_rate(span_of(text), &wish->rates_ppm[wish->rate_count++]))
        (void)usage_wrong(&usage, "--false-timeouts is a rate from 0.0001%% to 50%%, not \"%s\"", text);
    else
        return true;
    return false;
}

/* False: it is wrong, and that has been said. */
static bool take_option(struct wish *wish, int option, const char *value)
{
    switch (option) {
    case 'c': wish->path = value; return true;
    case 'a': wish->where = value; return true;
    case 'u': wish->upstream = value; return true;
    case 'f': return add_rate(wish, value);
    default: wish->as_json = true; return true;
    }
}

/* False: the exit status is known. */
static bool read_options(int argc, char **argv, struct wish *wish, int *status)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"admin", required_argument, NULL, 'a'},
        {"upstream", required_argument, NULL, 'u'},
        {"false-timeouts", required_argument, NULL, 'f'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    opterr = 0;
    *status = USAGE_WRONG;
    while ((option = getopt_long(argc, argv, ":c:a:u:f:jh", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage.text, stdout);
            *status = EXIT_SUCCESS;
            return false;
        }
        if (option == '?' || option == ':') {
            (void)usage_wrong_option(&usage, options, option, argv);
            return false;
        }
        if (!take_option(wish, option, optarg))
            return false;
    }
    return usage_admin(&usage, wish->path, wish->where, argv + optind, argc - optind, &wish->path);
}

int advise_command_main(int argc, char **argv)
{
    struct wish wish = {0};
    char where[256];
    int status;

    if (!read_options(argc, argv, &wish, &status))
        return status;
    if (wish.rate_count == 0) {
        wish.rates_ppm[wish.rate_count++] = ADVISE_PPM / 100;
        wish.rates_ppm[wish.rate_count++] = ADVISE_PPM / 1000;
    }
    return admin_client_find(wish.path, wish.where, where, sizeof(where)) ? perform(&wish, where)
                                                                          : EXIT_FAILURE;
}
