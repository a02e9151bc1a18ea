#ifndef CURFEW_APP_BYTES_H
#define CURFEW_APP_BYTES_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes that are read from somewhere, however many there are. Zero is none; mem_free(ptr) ends it. */
struct bytes {
    char *ptr;
    size_t len, cap;
};

/* Makes room for more, the more the more there are already. False: no memory, and errno is ENOMEM. */
bool bytes_grow(struct bytes *bytes) __attribute__((warn_unused_result));

#endif
