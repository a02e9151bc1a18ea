#ifndef CURFEW_CONFIG_ERRORS_H
#define CURFEW_CONFIG_ERRORS_H

#include <stdint.h>

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

#endif
