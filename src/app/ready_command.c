#include "app/ready_command.h"

#include <stdio.h>
#include <stdlib.h>

#include "app/admin_client.h"
#include "app/config_file.h"
#include "app/usage.h"

static const struct usage usage = {
    "ready",
    "usage: curfew ready [[-c] FILE]\n"
    "       curfew ready --admin ADDRESS\n"
    "\n"
    "Asks a running curfew whether it takes calls, as GET /readyz does: for probes that are commands.\n"
    "It takes a second at most, and says why it fails.\n"
    "\n" USAGE_CONFIG "\n"
    "  -c, --config FILE     the configuration: its admin.listen says where, or admin.metrics_listen\n"
    "  -a, --admin ADDRESS   where: 127.0.0.1:9600, [::1]:9600 or unix:/path\n"
    "  -h, --help            this text\n"
    "\n"
    "Exit status: 0 it takes calls, 1 it does not, or there is no answer, 2 wrong usage.\n"};

static int ask(const char *where)
{
    const struct admin_question question = {
        .where = where, .method = "GET", .target = "/readyz", .patience_s = 1, .patience_is_for_all = true};
    struct admin_answer answer;
    char why[512];
    bool is_answered = admin_client_ask(&question, &answer, why, sizeof(why));
    bool is_ready = is_answered && answer.status == 200;

    if (is_answered && !is_ready)
        admin_answer_put_why(&answer, why, sizeof(why));
    if (!is_ready)
        fprintf(stderr, "curfew: ready: %s: %s\n", where, why);
    admin_answer_free(&answer);
    return is_ready ? EXIT_SUCCESS : EXIT_FAILURE;
}

int ready_command_main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"admin", required_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *path = NULL, *where = NULL;
    char block[256];
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, ":c:a:h", options, NULL)) != -1) {
        switch (option) {
        case 'c': path = optarg; break;
        case 'a': where = optarg; break;
        case 'h': fputs(usage.text, stdout); return EXIT_SUCCESS;
        default: return usage_wrong_option(&usage, options, option, argv);
        }
    }
    if (!usage_admin(&usage, path, where, argv + optind, argc - optind, &path))
        return USAGE_WRONG;
    if (where != NULL)
        return ask(where);
    return config_file_find_admin(path, true, stderr, block, sizeof(block)) ? ask(block) : EXIT_FAILURE;
}
