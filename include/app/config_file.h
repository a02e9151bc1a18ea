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

/* The same, but that what is wrong is written to `out`. */
struct snapshot *config_file_read(const char *path, FILE *out) __attribute__((warn_unused_result));

/*
 * Where the admin listener is, by admin.listen of a file in which other things may be wrong: put into `text`,
 * terminated. False: it does not say; why not has been written to standard error.
 */
bool config_file_find_admin(const char *path, char *text, size_t cap) __attribute__((warn_unused_result));

/* Writes what is wrong, or what is odd, to `out`, a line each. */
void config_file_print(FILE *out, const char *path, bool are_warnings, const struct config_errors *errors);

#endif
