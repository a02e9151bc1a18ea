#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/mem.h"

static void zeroed_memory_is_zero(void **state)
{
    const char zeros[64] = {0};
    char *one = mem_zalloc(sizeof(zeros));
    char *many = mem_calloc(8, 8);

    assert_memory_equal(one, zeros, sizeof(zeros));
    assert_memory_equal(many, zeros, sizeof(zeros));
    mem_free(one);
    mem_free(many);
}

static void nothing_is_still_a_block(void **state)
{
    void *blocks[] = {mem_alloc(0), mem_zalloc(0), mem_calloc(0, 8), mem_realloc(NULL, 0)};

    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        assert_non_null(blocks[i]);
        mem_free(blocks[i]);
    }
    mem_free(NULL);
}

static void a_product_that_overflows_is_no_memory(void **state)
{
    volatile size_t half = SIZE_MAX / 2 + 1;

    assert_null(mem_calloc(half, 2));
    assert_null(mem_dup("", SIZE_MAX));
}

static void a_copy_is_terminated_and_may_hold_any_byte(void **state)
{
    char *copy = mem_dup("a\0b", 3);
    char *empty = mem_dup(NULL, 0);

    assert_memory_equal(copy, "a\0b", 4);
    assert_string_equal(empty, "");
    mem_free(copy);
    mem_free(empty);
}

struct countdown {
    int left;
    size_t last_size;
};

static bool fail_at_zero(void *arg, size_t size)
{
    struct countdown *countdown = arg;

    countdown->last_size = size;
    return countdown->left-- == 0;
}

static void the_hook_makes_any_allocation_fail(void **state)
{
    struct countdown countdown = {1, 0};
    char *block = mem_dup("old", 3);
    void *first, *second;

    mem_set_fault(fail_at_zero, &countdown);
    first = mem_alloc(24);
    assert_int_equal(countdown.last_size, 24);
    second = mem_calloc(3, 16);
    assert_int_equal(countdown.last_size, 48);
    countdown.left = 0;
    assert_null(mem_realloc(block, 1000));
    countdown.left = 0;
    assert_null(mem_dup("new", 3));
    mem_set_fault(NULL, NULL);

    assert_non_null(first);
    assert_null(second);
    assert_string_equal(block, "old");
    mem_free(first);
    mem_free(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zeroed_memory_is_zero),
        cmocka_unit_test(nothing_is_still_a_block),
        cmocka_unit_test(a_product_that_overflows_is_no_memory),
        cmocka_unit_test(a_copy_is_terminated_and_may_hold_any_byte),
        cmocka_unit_test(the_hook_makes_any_allocation_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
