#ifndef CURFEW_CONFIG_ARENA_H
#define CURFEW_CONFIG_ARENA_H

#include <stddef.h>

#include "base/span.h"

/*
 * Memory that is given back all at once: a snapshot's, or a file's while it is read. Nothing in it is freed or
 * grown by itself. One thread at a time.
 */
struct arena;

/* NULL: no memory. */
struct arena *arena_new(void) __attribute__((warn_unused_result));
void arena_free(struct arena *arena_or_null);

/* Zeroed, and fit for any type; NULL when there is no memory or the product overflows. 0 items give a block too. */
void *arena_calloc(struct arena *arena, size_t count, size_t size) __attribute__((warn_unused_result));

/* A terminated copy. */
char *arena_text(struct arena *arena, struct span s) __attribute__((warn_unused_result));

#endif
