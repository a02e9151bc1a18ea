#include "wire/h2_heap.h"

#include "base/mem.h"

static void *heap_alloc(size_t size, void *arg)
{
    (void)arg;
    return mem_alloc(size);
}

static void heap_free(void *block, void *arg)
{
    (void)arg;
    mem_free(block);
}

static void *heap_calloc(size_t count, size_t size, void *arg)
{
    (void)arg;
    return mem_calloc(count, size);
}

static void *heap_realloc(void *block, size_t size, void *arg)
{
    (void)arg;
    return mem_realloc(block, size);
}

nghttp2_mem h2_heap = {NULL, heap_alloc, heap_free, heap_calloc, heap_realloc};
