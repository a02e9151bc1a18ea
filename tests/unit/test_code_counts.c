/* Counters of status codes: each for itself, in little memory, and what happens without any. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/mem.h"
#include "stats/code_counts.h"

static uint64_t sum_of(const struct code_counts *counts)
{
    uint64_t sum = counts->other;

    for (uint32_t code = CODE_MIN; code < CODE_END; code++)
        sum += code_counts_of(counts, code);
    return sum;
}

static void each_code_has_a_counter_of_its_own(void **state)
{
    struct code_counts counts = {0};

    for (uint32_t code = CODE_MIN; code < CODE_END; code++)
        for (uint32_t i = 0; i < code; i++)
            code_counts_count(&counts, code);
    for (uint32_t code = CODE_MIN; code < CODE_END; code++)
        assert_int_equal(code_counts_of(&counts, code), code);
    assert_int_equal(counts.other, 0);
    code_counts_fini(&counts);
}

static void what_is_no_code_is_other(void **state)
{
    static const uint32_t codes[] = {0, 1, 99, 600, 999, 65535, UINT32_MAX};
    struct code_counts counts = {0};

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        code_counts_count(&counts, codes[i]);
    assert_int_equal(counts.other, 7);
    assert_int_equal(sum_of(&counts), 7);
    for (uint32_t i = 0; i < CODE_QUARTERS; i++)
        assert_null(counts.quarters[i]);
}

static void server_errors_are_5xx_and_what_is_to_be_understood_as_one(void **state)
{
    static const uint32_t codes[] = {200, 429, 499, 500, 503, 524, 525, 599, 600, 777};
    struct code_counts counts = {0};

    assert_int_equal(code_counts_server_errors(&counts), 0);
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        code_counts_count(&counts, codes[i]);
    assert_int_equal(code_counts_server_errors(&counts), 7);
    code_counts_fini(&counts);
}

/* ------------------------------------------------------------------------------------ memory */

struct heap {
    uint32_t blocks, left; /* allocations that there were, and those that will succeed */
    size_t bytes;
};

static bool ask_heap(void *arg, size_t size)
{
    struct heap *heap = arg;

    if (heap->left == 0)
        return true;
    heap->left--;
    heap->blocks++;
    heap->bytes += size;
    return false;
}

/* What docs/metrics.md says of it. */
static void memory_is_taken_for_quarters_that_were_seen(void **state)
{
    static const uint32_t codes[] = {200, 204, 404, 400, 429, 500, 503, 200};
    struct heap heap = {.left = UINT32_MAX};
    struct code_counts counts = {0};

    assert_int_equal(sizeof(counts), 168);
    mem_set_fault(ask_heap, &heap);
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        code_counts_count(&counts, codes[i]);
    assert_int_equal(heap.blocks, 4);
    assert_int_equal(heap.bytes, 800);
    for (uint32_t code = CODE_MIN; code < CODE_END; code++)
        code_counts_count(&counts, code);
    assert_int_equal(heap.bytes, 4000);
    mem_set_fault(NULL, NULL);
    code_counts_fini(&counts);
}

static void without_memory_a_code_is_other_and_none_is_lost(void **state)
{
    struct heap heap = {.left = 1};
    struct code_counts counts = {0};

    mem_set_fault(ask_heap, &heap);
    code_counts_count(&counts, 200);
    code_counts_count(&counts, 500);
    code_counts_count(&counts, 201);
    mem_set_fault(NULL, NULL);
    code_counts_count(&counts, 500);
    assert_int_equal(code_counts_of(&counts, 200), 1);
    assert_int_equal(code_counts_of(&counts, 201), 1);
    assert_int_equal(code_counts_of(&counts, 500), 1);
    assert_int_equal(counts.other, 1);
    code_counts_fini(&counts);
}

/* --------------------------------------------------------------------------- sums, and moving */

static void a_sum_has_what_its_parts_have(void **state)
{
    struct code_counts sum = {0}, one = {0}, other = {0};

    code_counts_count(&one, 200);
    code_counts_count(&one, 700);
    code_counts_count(&other, 200);
    code_counts_count(&other, 503);
    assert_true(code_counts_add(&sum, &one));
    assert_true(code_counts_add(&sum, &other));
    assert_int_equal(code_counts_of(&sum, 200), 2);
    assert_int_equal(code_counts_of(&sum, 503), 1);
    assert_int_equal(sum.other, 1);
    assert_int_equal(sum_of(&sum), 4);
    code_counts_clear(&sum);
    assert_int_equal(sum_of(&sum), 0);
    code_counts_fini(&sum);
    code_counts_fini(&one);
    code_counts_fini(&other);
}

static void a_sum_without_memory_says_so(void **state)
{
    struct heap heap = {.left = 0};
    struct code_counts sum = {0}, part = {0};

    code_counts_count(&part, 200);
    mem_set_fault(ask_heap, &heap);
    assert_false(code_counts_add(&sum, &part));
    mem_set_fault(NULL, NULL);
    assert_true(code_counts_add(&sum, &part));
    mem_set_fault(ask_heap, &heap);
    assert_true(code_counts_add(&sum, &part)); /* there is room for it */
    mem_set_fault(NULL, NULL);
    assert_int_equal(code_counts_of(&sum, 200), 2);
    code_counts_fini(&sum);
    code_counts_fini(&part);
}

static void a_move_needs_no_memory_and_leaves_nothing(void **state)
{
    struct heap heap = {.left = 0};
    struct code_counts to = {0}, from = {0};

    code_counts_count(&from, 418);
    code_counts_count(&from, 600);
    mem_set_fault(ask_heap, &heap);
    code_counts_move(&to, &from);
    mem_set_fault(NULL, NULL);
    assert_int_equal(sum_of(&from), 0);
    assert_int_equal(code_counts_of(&to, 418), 1);
    assert_int_equal(to.other, 1);
    code_counts_fini(&from);
    code_counts_fini(&to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_code_has_a_counter_of_its_own),
        cmocka_unit_test(what_is_no_code_is_other),
        cmocka_unit_test(server_errors_are_5xx_and_what_is_to_be_understood_as_one),
        cmocka_unit_test(memory_is_taken_for_quarters_that_were_seen),
        cmocka_unit_test(without_memory_a_code_is_other_and_none_is_lost),
        cmocka_unit_test(a_sum_has_what_its_parts_have),
        cmocka_unit_test(a_sum_without_memory_says_so),
        cmocka_unit_test(a_move_needs_no_memory_and_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
