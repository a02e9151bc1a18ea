#ifndef CURFEW_APP_USAGE_H
#define CURFEW_APP_USAGE_H

#include <getopt.h>
#include <stdbool.h>

/*
 * What the command lines of all commands have in common: which configuration is meant, and that what is wrong with a
 * line is said before how it is used.
 */

/* Exit status of a command line that is not understood. */
#define USAGE_WRONG 2

/* A paragraph of each help text. */
#define USAGE_CONFIG                                                                                         \
    "The configuration is FILE (a directory stands for its *.yaml, - for standard input), else what\n"       \
    "$CURFEW_CONFIG names, else /etc/curfew/curfew.yaml.\n"

/* A command's name and its help text, which begins with lines of how it is used and then an empty one. */
struct usage {
    const char *command;
    const char *text;
};

/* Why the command line is wrong, how it is meant and where more is told, to standard error. Returns USAGE_WRONG. */
int usage_wrong(const struct usage *usage, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Likewise of what getopt_long has just returned '?' or ':' for: it has to be silent (opterr is 0), and its string to
 * begin with a colon.
 */
int usage_wrong_option(const struct usage *usage, const struct option *options, int returned, char **argv);

/*
 * The configuration that a command is to read: by -c (or NULL), or by its only argument, else $CURFEW_CONFIG, else
 * /etc/curfew/curfew.yaml. NULL: why not has been said, and the exit status is USAGE_WRONG.
 */
const char *usage_config(const struct usage *usage, const char *by_option, char **arguments, int count);

/*
 * Where a command finds the admin listener: *path is the configuration, or NULL if --admin has said it (`address`, or
 * NULL). False: why not has been said, and the exit status is USAGE_WRONG.
 */
bool usage_admin(const struct usage *usage, const char *by_option, const char *address, char **arguments,
                 int count, const char **path);

#endif
