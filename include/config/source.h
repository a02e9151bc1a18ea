#ifndef CURFEW_CONFIG_SOURCE_H
#define CURFEW_CONFIG_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

/* The bytes of a file of the configuration. */
struct config_source {
    const char *name; /* outlives what is said of it */
    struct span bytes;
    uint32_t index; /* among all of them; config_load_all fills it in */
};

/*
 * The world outside, which this room does not see. `read` gives what a file holds, without its last line break: NULL
 * and a static text in *why if it can't be read; NULL and nothing in *why if there is no memory.
 */
struct config_files {
    char *(*read)(void *arg, const char *path, size_t *len, const char **why); /* result is mem_free'd */
    /* The number of a group of users. False: there is none of this name. */
    bool (*group)(void *arg, const char *name, uint32_t *number);
    /* Why no unix socket can be made there, whatever may come to be until the start; NULL: one can. */
    const char *(*refuse_socket)(void *arg, const char *path);
    const char *(*variable)(void *arg, const char *name); /* of the environment; NULL: it is unset */
    void *arg;
};

#endif
