#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static mem_fault_fn fault;
static void *fault_arg;

void mem_set_fault(mem_fault_fn fn, void *arg)
{
    fault = fn;
    fault_arg = arg;
}

bool mem_is_to_fail(size_t size)
{
    return fault && fault(fault_arg, size);
}

/* Of 0 bytes too a block is made, so that NULL means one thing only. */
static size_t at_least_one(size_t size)
{
    return size ? size : 1;
}

void *mem_alloc(size_t size)
{
    return mem_is_to_fail(size) ? NULL : malloc(at_least_one(size));
}

void *mem_zalloc(size_t size)
{
    return mem_calloc(1, size);
}

void *mem_calloc(size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes) || mem_is_to_fail(bytes))
        return NULL;
    return calloc(1, at_least_one(bytes));
}

void *mem_realloc(void *block, size_t size)
{
    return mem_is_to_fail(size) ? NULL : realloc(block, at_least_one(size));
}

char *mem_dup(const char *bytes, size_t len)
{
    char *copy = len < SIZE_MAX ? mem_alloc(len + 1) : NULL;

    if (!copy)
        return NULL;
    if (len != 0)
        memcpy(copy, bytes, len);
    copy[len] = '\0';
    return copy;
}

void mem_free(void *block)
{
    free(block);
}
