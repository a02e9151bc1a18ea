#ifndef CURFEW_ADMIN_CONTENT_H
#define CURFEW_ADMIN_CONTENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

/* The content of an answer, which grows as it is written. Zero: empty. */
struct content {
    char *bytes; /* NULL: none of its own */
    size_t len, cap;
    bool is_incomplete; /* there was no memory for all of it */
};

void content_add(struct content *content, struct span bytes);
void content_fini(struct content *content);

#endif
