#ifndef CURFEW_APP_CONFIG_FILE_H
#define CURFEW_APP_CONFIG_FILE_H

#include <stdbool.h>
#include <stdio.h>

#include "config/load.h"
#include "config/snapshot.h"

/*
 * The configuration in a file; "-" is standard input. NULL if there is none to be had: then all that is wrong has
 * been written to standard error, a line each. The result is snapshot_free'd.
 */
struct snapshot *config_file_load(const char *path) __attribute__((warn_unused_result));

/* Writes what is wrong, or what is odd, to `out`, a line each. */
void config_file_print(FILE *out, const char *path, bool are_warnings, const struct config_errors *errors);

#endif
