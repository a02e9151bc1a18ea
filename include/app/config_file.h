#ifndef CURFEW_APP_CONFIG_FILE_H
#define CURFEW_APP_CONFIG_FILE_H

#include <stdbool.h>
#include <stdio.h>

#include "app/file_list.h"
#include "config/load.h"
#include "config/snapshot.h"

/*
 * A configuration as it lies on disk: in a file, in the *.yaml of a directory, or ("-") on standard input. What is said
 * of it, and which files belong to it, is known once it has been loaded.
 */
struct config_file {
    const char *path; /* the caller's */
    struct config_errors errors, warnings;
    struct file_list sources; /* the files that it stands in */
    struct file_list named;   /* those that it names, whether they can be read or not */
    bool is_check; /* the caller's: nothing is started, so that what is in the way of that is looked for */
    bool is_again; /* the caller's: this is a reload, which waits for no pipe */
    bool is_short; /* memory or descriptors were missing to load it: that says nothing of the files */
};

/* NULL: no memory, which has been written to standard error. */
struct config_file *config_file_new(const char *path) __attribute__((warn_unused_result));
void config_file_free(struct config_file *file_or_null);

/* NULL: file->errors says what is wrong. The result is snapshot_free'd. Once for each config_file. */
struct snapshot *config_file_load(struct config_file *file) __attribute__((warn_unused_result));

/*
 * The files that it stands in and those that it names, in this order, as they are on disk now: put into `now`, which is
 * empty. False: no memory.
 */
bool config_file_look(const struct config_file *file, struct file_list *now)
    __attribute__((warn_unused_result));

/* What is wrong, then what is odd, a line each. */
void config_file_put(FILE *out, const struct config_file *file);

/* Adds what is wrong with all of it, and with no line of it. */
void config_file_report(struct config_file *file, const char *what);

/*
 * For a command that needs the configuration alone: what is wrong has been written to standard error if it is NULL.
 */
struct snapshot *config_file_get(const char *path) __attribute__((warn_unused_result));

/*
 * Where the admin listener is, by admin.listen of a configuration in which other things may be wrong; or, if it has
 * none and that will do, by admin.metrics_listen. Put into `text`, terminated. False: it does not say; why not has been
 * written to `complaints`, unless that is NULL.
 */
bool config_file_find_admin(const char *path, bool metrics_will_do, FILE *complaints, char *text, size_t cap)
    __attribute__((warn_unused_result));

#endif
