#include "base/slab.h"

#include <string.h>

#include "base/invariant.h"
#include "base/mem.h"

struct slab_block {
    struct slab_block *next;
};

/* Of each size: 450 KiB in all, at most. */
#if defined(__SANITIZE_ADDRESS__)
#define KEPT 0u
#else
#define KEPT 64u
#endif

/* NULL: a block of that size is not kept. */
static struct slab_stack *stack_of(struct slab *slab, size_t size)
{
    return size - 1 < SLAB_MAX ? &slab->of[(size - 1 + SLAB_HEAP) / SLAB_STEP] : NULL;
}

/* So that each block of a stack serves for all sizes of its step. */
static size_t rounded(size_t size)
{
    return (size + SLAB_HEAP + SLAB_STEP - 1) / SLAB_STEP * SLAB_STEP - SLAB_HEAP;
}

void *slab_take(struct slab *slab, size_t size)
{
    struct slab_stack *stack = stack_of(slab, size);
    struct slab_block *block;

    if (stack == NULL)
        return mem_alloc(size);
    block = stack->first;
    if (block == NULL)
        return mem_alloc(rounded(size));
    PRE(stack->count > 0);
    stack->first = block->next;
    stack->count--;
    return block;
}

void *slab_take_zeroed(struct slab *slab, size_t size)
{
    void *block = slab_take(slab, size);

    /* The compiler does not see the size: it would store word by word, and the C library has wider stores. */
    __asm__("" : "+r"(size));
    return block != NULL ? memset(block, 0, size) : NULL;
}

void slab_give(struct slab *slab, void *given, size_t size)
{
    struct slab_stack *stack = stack_of(slab, size);
    struct slab_block *block = given;

    if (block == NULL)
        return;
    if (stack == NULL || stack->count == KEPT) {
        mem_free(block);
        return;
    }
    PRE(stack->first != block); /* given once */
    block->next = stack->first;
    stack->first = block;
    stack->count++;
}

void slab_drop(struct slab *slab)
{
    for (unsigned i = 0; i < SLAB_STACKS; i++) {
        struct slab_stack *stack = &slab->of[i];

        while (stack->first != NULL)
            mem_free(slab_take(slab, (size_t)(i + 1) * SLAB_STEP - SLAB_HEAP));
        POST(stack->count == 0);
    }
}
