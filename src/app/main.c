#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/advise_command.h"
#include "app/calls_command.h"
#include "app/check.h"
#include "app/crash.h"
#include "app/explain.h"
#include "app/fleet_command.h"
#include "app/output.h"
#include "app/ready_command.h"
#include "app/reload_command.h"
#include "app/serve.h"
#include "app/top_command.h"
#include "app/usage.h"
#include "app/version.h"
#include "config/suggest.h"
#include "faulty/faulty.h"
#include "runtime/journal.h"

static int version_main(int argc, char **argv);
static int help_main(int argc, char **argv);

static const struct command {
    const char *name;
    int (*main)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"serve", serve_main, "runs the proxy: curfew serve FILE"},
    {"reload", reload_command_main, "has a running curfew load its configuration anew: curfew reload FILE"},
    {"ready", ready_command_main,
     "says by its exit status whether a running curfew takes calls: curfew ready FILE"},
    {"top", top_command_main, "shows what a running curfew does, again and again: curfew top FILE"},
    {"calls", calls_command_main, "lists calls in flight, cuts one: curfew calls FILE"},
    {"advise", advise_command_main,
     "works out deadlines and sizes of pools from what a running curfew has measured: curfew advise FILE"},
    {"check", check_main, "checks a configuration: curfew check FILE"},
    {"fleet", fleet_command_main, "what the fleet's store has written down, host by host: curfew fleet FILE"},
    {"explain", explain_main, "what a request is subject to: curfew explain FILE METHOD URL"},
    {"faulty", faulty_main, "an API that misbehaves on purpose: curfew faulty --listen ADDRESS"},
    {"help", help_main, "tells what a command does, and what its options are: curfew help COMMAND"},
    {"version", version_main, "prints the version"},
};

static void put_usage(FILE *out)
{
    fputs(
        "usage: curfew COMMAND …\n\nA sidecar that puts every call to an API under a deadline and a cap.\n\n",
        out);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
    fputs("\nFILE is the configuration; left out: what $CURFEW_CONFIG names, else /etc/curfew/curfew.yaml.\n"
          "curfew COMMAND --help tells more. -h and --help give this text, -v and --version the version.\n",
          out);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(name, commands[i].name) == 0)
            return &commands[i];
    }
    return NULL;
}

static int complain_of_command(const char *name)
{
    struct suggestion suggestion = suggest_for(span_of(name));

    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        suggest_offer(&suggestion, span_of(commands[i].name));
    fprintf(stderr, "curfew: unknown command \"%s\"%s\n\n", name, suggest_text(&suggestion).text);
    put_usage(stderr);
    return USAGE_WRONG;
}

static bool asks_for_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int version_main(int argc, char **argv)
{
    static const struct usage usage = {"version", "usage: curfew version\n\nPrints the version.\n"};

    if (argc == 2 && asks_for_help(argv[1])) {
        fputs(usage.text, stdout);
        return 0;
    }
    if (argc > 1)
        return usage_wrong(&usage, "unexpected argument \"%s\"", argv[1]);
    printf("curfew %s\n", curfew_version);
    return 0;
}

static int help_main(int argc, char **argv)
{
    static const struct usage usage = {
        "help", "usage: curfew help [COMMAND]\n\n"
                "Tells what a command does, and what its options are; without one, which there are.\n"};
    static char help[] = "--help";
    const struct command *command;

    if (argc == 1) {
        put_usage(stdout);
        return 0;
    }
    if (argc > 2)
        return usage_wrong(&usage, "unexpected argument \"%s\"", argv[2]);
    if (asks_for_help(argv[1])) {
        fputs(usage.text, stdout);
        return 0;
    }
    command = find_command(argv[1]);
    return command != NULL ? command->main(2, (char *[]){argv[1], help, NULL}) : complain_of_command(argv[1]);
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

static int perform(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    const struct command *command = find_command(name);

    if (command != NULL)
        return command->main(argc - 1, argv + 1);
    if (asks_for_help(name))
        return help_main(1, argv);
    if (strcmp(name, "--version") == 0 || strcmp(name, "-v") == 0)
        return version_main(1, argv);
    if (argc > 1)
        return complain_of_command(name);
    fputs("curfew: a command is missing\n\n", stderr);
    put_usage(stderr);
    return USAGE_WRONG;
}

int main(int argc, char **argv)
{
    int status;

    if (!hold_standard_descriptors())
        return EXIT_FAILURE;
    journal_look();
    crash_report_init();
    status = perform(argc, argv);
    /* What was printed may be a help text, of any command. */
    return status == EXIT_SUCCESS && !output_is_written() ? EXIT_FAILURE : status;
}
