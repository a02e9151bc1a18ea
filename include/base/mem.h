#ifndef CURFEW_BASE_MEM_H
#define CURFEW_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The one door to the heap. All return NULL when there is no memory or when the fault hook says so; the caller
 * treats that as the failure of the call at hand, never of the process (but at start). Any thread.
 */
void *mem_alloc(size_t size) __attribute__((malloc, alloc_size(1), warn_unused_result));
void *mem_zalloc(size_t size) __attribute__((malloc, alloc_size(1), warn_unused_result));
/* Zeroed array; NULL too when count * size overflows. */
void *mem_calloc(size_t count, size_t size) __attribute__((malloc, alloc_size(1, 2), warn_unused_result));
/* As realloc: on NULL the old block stays as it was. */
void *mem_realloc(void *block, size_t size) __attribute__((alloc_size(2), warn_unused_result));
/* A terminated copy of `len` bytes. */
char *mem_dup(const char *bytes, size_t len) __attribute__((malloc, warn_unused_result));
void mem_free(void *block);

/*
 * Tests: the hook is asked before each allocation and makes it fail by returning true. NULL switches it off.
 * Set before threads start.
 */
typedef bool (*mem_fault_fn)(void *arg, size_t size);
void mem_set_fault(mem_fault_fn fn, void *arg);

/* Asks the hook. For what hands out pieces of larger blocks: so that each piece can fail, too. */
bool mem_is_to_fail(size_t size);

#endif
