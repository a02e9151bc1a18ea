#include "config/arena.h"

#include <stdalign.h>
#include <stdint.h>

#include "base/mem.h"

#define BLOCK_BYTES 4096

struct block {
    struct block *next;
    size_t used, size; /* of data */
    alignas(max_align_t) char data[];
};

struct arena {
    struct block *blocks; /* the one in use first */
};

struct arena *arena_new(void)
{
    return mem_zalloc(sizeof(struct arena));
}

void arena_free(struct arena *arena)
{
    struct block *next;

    if (!arena)
        return;
    for (struct block *block = arena->blocks; block; block = next) {
        next = block->next;
        mem_free(block);
    }
    mem_free(arena);
}

static struct block *add_block(struct arena *arena, size_t at_least)
{
    size_t size = at_least > BLOCK_BYTES ? at_least : BLOCK_BYTES;
    struct block *block = mem_zalloc(sizeof(*block) + size);

    if (!block)
        return NULL;
    block->size = size;
    block->next = arena->blocks;
    arena->blocks = block;
    return block;
}

void *arena_calloc(struct arena *arena, size_t count, size_t size)
{
    const size_t align = alignof(max_align_t);
    struct block *block = arena->blocks;
    size_t bytes;
    void *result;

    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2 || mem_is_to_fail(bytes))
        return NULL;
    bytes = (bytes + align - 1) / align * align;
    if (!block || bytes > block->size - block->used)
        block = add_block(arena, bytes);
    if (!block)
        return NULL;
    result = block->data + block->used;
    block->used += bytes;
    return result;
}

char *arena_text(struct arena *arena, struct span s)
{
    char *copy = arena_calloc(arena, s.len + 1, 1);

    if (copy && s.len != 0)
        memcpy(copy, s.ptr, s.len);
    return copy;
}
