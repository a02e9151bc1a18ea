#ifndef CURFEW_CONFIG_LOAD_H
#define CURFEW_CONFIG_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/status.h"
#include "config/snapshot.h"

/* The bytes of a file of the configuration. */
struct config_source {
    const char *name; /* outlives what is said of it */
    struct span bytes;
    uint32_t index; /* among all of them; config_load_all fills it in */
};

/* One thing wrong in a file: "upstreams.payments.deadline: …" at a line and a column, both from 1. */
struct config_error {
    const char *file;    /* the name of its config_source */
    uint32_t file_index; /* among the sources */
    uint32_t line, column;
    uint32_t path_len; /* of the key's path, which the text begins with; 0: there is none */
    char text[256];    /* terminated; the path of the key, a colon, what is wrong and what would be right */
};

#define CONFIG_ERRORS_MAX 100

/* All that is wrong, in the order of the files and the lines in them. */
struct config_errors {
    const char *file;               /* the name of the first source, for what has no place */
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
 * The same of several files as one configuration: `upstreams`, `pools` and `forward` may stand in more than one of them
 * with different names in each, any other key in one. A file of several may be empty.
 */
enum status config_load_all(struct config_source *sources, uint32_t count, const struct config_files *files,
                            struct snapshot **out, struct config_errors *errors) MUST_CHECK;

/*
 * admin.listen as it is written in one of the files, or, where there is none and that will do, admin.metrics_listen:
 * put into `text`, terminated; whatever is wrong with the rest. False: it is not there, or *errors says why a file is
 * not to be read as YAML.
 */
bool config_find_admin(struct config_source *sources, uint32_t count, const struct config_files *files,
                       bool metrics_will_do, struct config_errors *errors, char *text, size_t cap) MUST_CHECK;

#endif
