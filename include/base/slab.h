#ifndef CURFEW_BASE_SLAB_H
#define CURFEW_BASE_SLAB_H

#include <stddef.h>
#include <stdint.h>

/*
 * Blocks that wait to be used again, so that what comes and goes with each request asks the heap for nothing: a stack
 * for each size, in steps, that is kept warm and short. Blocks come from base/mem, as do those that are larger than the
 * largest step. Zero: none waits. One thread. Built with AddressSanitizer none is kept, so that it sees each end.
 *
 * With the word that the heap has of each, a block takes a whole number of steps: a step more would be 16 bytes.
 */
#define SLAB_STEP   128u
#define SLAB_HEAP   8u
#define SLAB_STACKS 10u
#define SLAB_MAX    (SLAB_STACKS * SLAB_STEP - SLAB_HEAP)

struct slab_block;

struct slab {
    struct slab_stack {
        struct slab_block *first;
        uint32_t count;
    } of[SLAB_STACKS];
};

/* As mem_alloc. */
void *slab_take(struct slab *slab, size_t size) __attribute__((warn_unused_result));
/* As mem_zalloc. */
void *slab_take_zeroed(struct slab *slab, size_t size) __attribute__((warn_unused_result));
/* `size` is what it was taken for. `block` may be NULL. */
void slab_give(struct slab *slab, void *block, size_t size);
/* Frees the blocks that wait. */
void slab_drop(struct slab *slab);

#endif
