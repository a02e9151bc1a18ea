/* Blocks come back: the heap is asked for each once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/slab.h"

static unsigned asked;

static bool count_and_allow(void *arg, size_t size)
{
    (void)arg;
    (void)size;
    asked++;
    return false;
}

static bool refuse(void *arg, size_t size)
{
    (void)arg;
    (void)size;
    return true;
}

static unsigned asked_since(unsigned before)
{
    return asked - before;
}

static bool keeps_blocks(struct slab *slab)
{
    void *block = slab_take(slab, 1);
    unsigned before;

    assert_non_null(block);
    slab_give(slab, block, 1);
    before = asked;
    block = slab_take(slab, 1);
    slab_give(slab, block, 1);
    return asked_since(before) == 0;
}

static void a_block_serves_all_sizes_of_its_step(void **state)
{
    struct slab slab = {0};
    unsigned before;
    char *block;

    if (!keeps_blocks(&slab))
        skip();
    for (size_t size = SLAB_STEP - SLAB_HEAP + 1; size <= 2 * SLAB_STEP - SLAB_HEAP; size++) {
        before = asked;
        block = slab_take_zeroed(&slab, size);
        assert_non_null(block);
        assert_int_equal(asked_since(before), size == SLAB_STEP - SLAB_HEAP + 1 ? 1 : 0);
        assert_true(block[0] == 0 && memcmp(block, block + 1, size - 1) == 0);
        memset(block, 'x', size);
        slab_give(&slab, block, size);
    }
    slab_drop(&slab);
}

static void what_is_larger_than_all_steps_is_the_heaps(void **state)
{
    struct slab slab = {0};
    unsigned before = asked;

    for (int i = 0; i < 3; i++)
        slab_give(&slab, slab_take(&slab, SLAB_MAX + 1), SLAB_MAX + 1);
    assert_int_equal(asked_since(before), 3);
    slab_give(&slab, slab_take(&slab, SLAB_MAX), SLAB_MAX);
    slab_drop(&slab);
    for (unsigned i = 0; i < SLAB_STACKS; i++)
        assert_int_equal(slab.of[i].count, 0);
}

static void few_blocks_are_kept(void **state)
{
    struct slab slab = {0};
    void *blocks[100];

    for (int i = 0; i < 100; i++)
        assert_non_null(blocks[i] = slab_take(&slab, 500));
    for (int i = 0; i < 100; i++)
        slab_give(&slab, blocks[i], 500);
    assert_true(slab.of[(499 + SLAB_HEAP) / SLAB_STEP].count <= 64);
    slab_drop(&slab);
}

static void without_memory_there_is_no_block(void **state)
{
    struct slab slab = {0};

    mem_set_fault(refuse, NULL);
    assert_null(slab_take(&slab, 10));
    assert_null(slab_take_zeroed(&slab, 2000));
    mem_set_fault(count_and_allow, NULL);
    slab_give(&slab, NULL, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_serves_all_sizes_of_its_step),
        cmocka_unit_test(what_is_larger_than_all_steps_is_the_heaps),
        cmocka_unit_test(few_blocks_are_kept),
        cmocka_unit_test(without_memory_there_is_no_block),
    };

    mem_set_fault(count_and_allow, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
