#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/advise_command.h"
#include "app/calls_command.h"
#include "app/check.h"
#include "app/crash.h"
#include "app/explain.h"
#include "app/output.h"
#include "app/reload_command.h"
#include "app/serve.h"
#include "app/top_command.h"
#include "app/version.h"
#include "faulty/faulty.h"
#include "runtime/journal.h"

static int version_main(int argc, char **argv)
{
    static const char usage[] = "usage: curfew version\n";
    bool asks_for_help = argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);

    if (argc > 1) {
        fputs(usage, asks_for_help ? stdout : stderr);
        return asks_for_help ? 0 : 2;
    }
    printf("curfew %s\n", curfew_version);
    return output_is_written() ? 0 : 1;
}

static const struct command {
    const char *name;
    int (*main)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"serve", serve_main, "runs the proxy: curfew serve -c FILE"},
    {"reload", reload_command_main,
     "has a running curfew load its configuration anew: curfew reload -c FILE"},
    {"top", top_command_main, "shows what a running curfew does, again and again: curfew top -c FILE"},
    {"calls", calls_command_main, "lists calls in flight, cuts one: curfew calls -c FILE"},
    {"advise", advise_command_main,
     "works out deadlines and sizes of pools from what a running curfew has measured: curfew advise -c FILE"},
    {"check", check_main, "checks a configuration: curfew check FILE"},
    {"explain", explain_main, "what a request is subject to: curfew explain -c FILE METHOD URL"},
    {"faulty", faulty_main, "an API that misbehaves on purpose: curfew faulty --listen ADDRESS"},
    {"version", version_main, "prints the version"},
};

static void put_usage(FILE *out)
{
    fputs(
        "usage: curfew COMMAND …\n\nA sidecar that puts every call to an API under a deadline and a cap.\n\n",
        out);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
    fputs("\ncurfew COMMAND --help tells more.\n", out);
}

/*
 * Who starts us may have closed some of the standard descriptors. A socket or a mailbox that got such a number would
 * be written to by whoever means standard output or error.
 */
static bool hold_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            return false;
    return true;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";

    if (!hold_standard_descriptors())
        return 1;
    journal_look();
    crash_report_init();
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].main(argc - 1, argv + 1);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        put_usage(stdout);
        return 0;
    }
    if (strcmp(name, "--version") == 0)
        return version_main(1, argv);
    if (argc > 1)
        fprintf(stderr, "curfew: unknown command \"%s\"\n\n", name);
    put_usage(stderr);
    return 2;
}
