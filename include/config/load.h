#ifndef CURFEW_CONFIG_LOAD_H
#define CURFEW_CONFIG_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/status.h"
#include "config/snapshot.h"

/* One thing wrong in a file: "upstreams.payments.deadline: …" at a line and a column, both from 1. */
struct config_error {
    uint32_t line, column;
    uint32_t path_len; /* of the key's path, which the text begins with; 0: there is none */
    char text[256];    /* terminated; the path of the key, a colon, what is wrong and what would be right */
};

#define CONFIG_ERRORS_MAX 100

/* All that is wrong, in the order of the file. */
struct config_errors {
    struct config_errors *warnings; /* where what is only odd goes; NULL: nowhere */
    uint32_t count;                 /* counted beyond CONFIG_ERRORS_MAX too */
    struct config_error list[CONFIG_ERRORS_MAX];
};

/*
 * The world outside, which this room does not see. `read` gives what a file holds, without its last line break: NULL
 * and a static text in *why if it can't be read; NULL and nothing in *why if there is no memory.
 */
struct config_files {
    char *(*read)(void *arg, const char *path, size_t *len, const char **why); /* result is mem_free'd */
    /* The number of a group of users. False: there is none of this name. */
    bool (*group)(void *arg, const char *name, uint32_t *number);
    const char *(*variable)(void *arg, const char *name); /* of the environment; NULL: it is unset */
    void *arg;
};

/*
 * Makes a snapshot of a file's bytes. ST_OK; ST_BAD: *errors says what is wrong; ST_NOMEM. What is odd is added to
 * errors->warnings in any case. Files that the
 * configuration names are read through `files`: this room opens none itself. Those named for TLS are only checked
 * to be readable here, and loaded by runtime/tls.
 */
enum status config_load(struct span bytes, const struct config_files *files, struct snapshot **out,
                        struct config_errors *errors) MUST_CHECK;

/*
 * admin.listen of a file's bytes as it is written there, put into `text`, terminated; whatever is wrong with the rest.
 * False: it is not there, or *errors says why the file can't be read as YAML.
 */
bool config_find_admin(struct span bytes, const struct config_files *files, struct config_errors *errors,
                       char *text, size_t cap) MUST_CHECK;

#endif
