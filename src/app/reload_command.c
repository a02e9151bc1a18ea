#include "app/reload_command.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/admin_client.h"

static const char usage[] =
    "usage: curfew reload -c FILE\n"
    "       curfew reload --admin ADDRESS\n"
    "\n"
    "Has a running curfew load its configuration anew, and waits until that is in force. If something\n"
    "is wrong with it, says what; then nothing has changed. It is asked by its admin listener.\n"
    "\n"
    "  -c, --config FILE     the configuration: its admin.listen says where\n"
    "  -a, --admin ADDRESS   where: 127.0.0.1:9600, [::1]:9600 or unix:/path\n"
    "  -h, --help            this text\n"
    "\n"
    "Exit status: 0 the new configuration is in force, 1 it is not, 2 wrong usage.\n";

/* A worker goes over between two calls; longer only means that it hangs. */
#define PATIENCE_S 60

static int reload(const char *where)
{
    const struct admin_question question = {where, "POST", "/reload", PATIENCE_S};
    struct admin_answer answer;
    char why[512];
    bool is_done = false;

    if (!admin_client_ask(&question, &answer, why, sizeof(why))) {
        fprintf(stderr, "curfew: reload: %s: %s\n", where, why);
        /* With a file that has just been given another admin.listen, nobody is where it says. */
        if (answer.nobody_is_there)
            fputs(
                "curfew: reload: one that runs still has the admin.listen of its start: --admin asks there\n",
                stderr);
    } else {
        is_done = answer.status == 200;
        fputs(answer.content.ptr, is_done ? stdout : stderr);
    }
    admin_answer_free(&answer);
    return is_done ? EXIT_SUCCESS : EXIT_FAILURE;
}

int reload_command_main(int argc, char **argv)
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

    while ((option = getopt_long(argc, argv, "c:a:h", options, NULL)) != -1) {
        switch (option) {
        case 'c': path = optarg; break;
        case 'a': where = optarg; break;
        case 'h': fputs(usage, stdout); return EXIT_SUCCESS;
        default: fputs(usage, stderr); return 2;
        }
    }
    if ((path == NULL) == (where == NULL) || optind != argc) {
        fputs(usage, stderr);
        return 2;
    }
    return admin_client_find(path, where, block, sizeof(block)) ? reload(block) : EXIT_FAILURE;
}
