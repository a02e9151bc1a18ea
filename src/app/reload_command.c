#include "app/reload_command.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/admin_client.h"
#include "app/config_file.h"
#include "app/usage.h"
#include "base/number.h"
#include "runtime/journal.h"

static const struct usage usage = {
    "reload",
    "usage: curfew reload [[-c] FILE]\n"
    "       curfew reload --admin ADDRESS\n"
    "\n"
    "Has a running curfew load its configuration anew, and waits until that is in force. If something\n"
    "is wrong with it, says what; then nothing has changed. It is asked by its admin listener.\n"
    "\n" USAGE_CONFIG "\n"
    "  -c, --config FILE     the configuration: its admin.listen says where\n"
    "  -a, --admin ADDRESS   where: 127.0.0.1:9600, [::1]:9600 or unix:/path\n"
    "  -h, --help            this text\n"
    "\n"
    "Where the file does not lead to an admin listener, and MAINPID names the running process (systemd sets\n"
    "it for ExecReload), that gets SIGHUP: it then says in its own log what is wrong, and counts it.\n"
    "\n"
    "Exit status: 0 the new configuration is in force, 1 it is not, 2 wrong usage.\n"};

/* A worker goes over between two calls; longer only means that it hangs. */
#define PATIENCE_S 60

/* The process that systemd has ExecReload work on; 0: none is named, or it can't be one. */
static pid_t main_process(void)
{
    const char *text = getenv("MAINPID");
    uint64_t pid;

    if (text == NULL || number_u64(span_of(text), &pid) != NUMBER_OK || pid <= 1 || pid > INT_MAX)
        return 0;
    return (pid_t)pid;
}

/* ExecReload writes to the journal of the unit, where the process that is asked says all by itself. */
static bool is_said_by_process(void)
{
    return main_process() != 0 && journal_is_stderr();
}

/* The last resort of ExecReload: how it goes is not told to us, so this is no success in any case. */
static int reload_by_signal(void)
{
    const char *priority = journal_is_stderr() ? JOURNAL_ERROR : "";
    pid_t pid = main_process();

    if (pid == 0)
        return EXIT_FAILURE;
    if (kill(pid, SIGHUP) == 0)
        fprintf(stderr, "%scurfew: reload: process %d was asked by SIGHUP; its log says how that went\n",
                priority, (int)pid);
    else
        fprintf(stderr, "%scurfew: reload: process %d: %s\n", priority, (int)pid, strerror(errno));
    return EXIT_FAILURE;
}

/* What the process has logged, too, is said once. An answer other than these two comes without a line in its log. */
static void put_answer(const struct admin_answer *answer)
{
    bool is_done = answer->status == 200;

    if ((is_done || answer->status == 422) && is_said_by_process())
        return;
    fputs(answer->content.ptr, is_done ? stdout : stderr);
}

static int reload(const char *where)
{
    const struct admin_question question = {where, "POST", "/reload", PATIENCE_S, false};
    struct admin_answer answer;
    char why[512];
    int status = EXIT_FAILURE;

    if (admin_client_ask(&question, &answer, why, sizeof(why))) {
        status = answer.status == 200 ? EXIT_SUCCESS : EXIT_FAILURE;
        put_answer(&answer);
    } else {
        fprintf(stderr, "curfew: reload: %s: %s\n", where, why);
    }
    /* With a file that has just been given another admin.listen, nobody is where it says. */
    if (answer.nobody_is_there) {
        fputs("curfew: reload: one that runs still has the admin.listen of its start: --admin asks there\n",
              stderr);
        status = reload_by_signal();
    }
    admin_answer_free(&answer);
    return status;
}

/* What is wrong with a file that leads nowhere is said here, unless the process that gets SIGHUP will say it. */
static bool find_admin(const char *path, const char *address, char *where, size_t cap)
{
    if (address == NULL && is_said_by_process())
        return config_file_find_admin(path, false, NULL, where, cap);
    return admin_client_find(path, address, where, cap);
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
    return find_admin(path, where, block, sizeof(block)) ? reload(block) : reload_by_signal();
}
