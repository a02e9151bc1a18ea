/* The limit that a pool gives itself when the API refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/number.h"
#include "core/adaptive.h"

static struct adaptive adaptive;

/* So many good tries with all permits in use; the limit after them. */
static uint32_t after_good(uint32_t tries)
{
    for (uint32_t i = 0; i < tries; i++)
        (void)adaptive_note_good(&adaptive, adaptive.limit, NS_PER_S);
    return adaptive.limit;
}

static void it_begins_at_the_size_and_never_goes_down_by_itself(void **state)
{
    adaptive_init(&adaptive, 50, 5);
    assert_int_equal(adaptive.limit, 50);
    assert_int_equal(after_good(1000), 50);
    assert_false(adaptive_is_lowered(&adaptive));
}

static void a_refusal_leaves_seven_tenths(void **state)
{
    static const struct {
        uint32_t limit, lower;
    } table[] = {{50, 35}, {35, 24}, {24, 16}, {16, 11}, {11, 7}, {7, 4}, {4, 2}, {2, 1}, {1000000, 700000}};

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        adaptive_init(&adaptive, table[i].limit, 1);
        assert_true(adaptive_note_refused(&adaptive, 0));
        assert_int_equal(adaptive.limit, table[i].lower);
    }
}

static void refusals_of_one_second_count_once(void **state)
{
    adaptive_init(&adaptive, 50, 5);
    assert_true(adaptive_note_refused(&adaptive, 10));
    assert_false(adaptive_note_refused(&adaptive, 10));
    assert_false(adaptive_note_refused(&adaptive, 10 + NS_PER_S - 1));
    assert_int_equal(adaptive.limit, 35);
    assert_true(adaptive_note_refused(&adaptive, 10 + NS_PER_S));
    assert_int_equal(adaptive.limit, 24);
}

static void it_is_never_below_min(void **state)
{
    adaptive_init(&adaptive, 50, 30);
    assert_true(adaptive_note_refused(&adaptive, 0));
    assert_int_equal(adaptive.limit, 35);
    assert_true(adaptive_note_refused(&adaptive, NS_PER_S));
    assert_int_equal(adaptive.limit, 30);
    assert_false(adaptive_note_refused(&adaptive, 2 * NS_PER_S));
    assert_int_equal(adaptive.limit, 30);
    adaptive_init(&adaptive, 1, 1);
    assert_false(adaptive_note_refused(&adaptive, 0));
    assert_int_equal(adaptive.limit, 1);
}

static void it_grows_by_one_after_as_many_good_tries_as_it_allows_at_once(void **state)
{
    adaptive_init(&adaptive, 10, 1);
    (void)adaptive_note_refused(&adaptive, 0);
    assert_int_equal(adaptive.limit, 7);
    assert_int_equal(after_good(6), 7);
    assert_int_equal(after_good(1), 8);
    assert_int_equal(after_good(7), 8);
    assert_int_equal(after_good(1), 9);
    assert_int_equal(after_good(9), 10);
    assert_int_equal(after_good(1000), 10);
}

static void good_tries_below_the_limit_show_nothing(void **state)
{
    adaptive_init(&adaptive, 10, 1);
    (void)adaptive_note_refused(&adaptive, 0);
    for (uint32_t i = 0; i < 1000; i++)
        assert_false(adaptive_note_good(&adaptive, 6, NS_PER_S));
    assert_int_equal(adaptive.limit, 7);
    /* More may be held than the limit, while it comes down. */
    for (uint32_t i = 0; i < 6; i++)
        assert_false(adaptive_note_good(&adaptive, 10, NS_PER_S));
    assert_true(adaptive_note_good(&adaptive, 10, NS_PER_S));
    assert_int_equal(adaptive.limit, 8);
}

static void a_refusal_takes_back_what_was_counted(void **state)
{
    adaptive_init(&adaptive, 10, 7);
    (void)adaptive_note_refused(&adaptive, 0);
    assert_int_equal(after_good(6), 7);
    assert_false(adaptive_note_refused(&adaptive, 1)); /* it lowers nothing */
    assert_int_equal(after_good(6), 7);
    assert_int_equal(after_good(1), 8);
}

static bool is_good_at(int64_t now_ns, uint32_t tries)
{
    bool changed = false;

    for (uint32_t i = 0; i < tries; i++)
        changed |= adaptive_note_good(&adaptive, adaptive.limit, now_ns);
    return changed;
}

static void within_a_second_it_does_not_come_back_to_where_it_was_refused(void **state)
{
    adaptive_init(&adaptive, 100, 1);
    adaptive.limit = 21;
    assert_true(adaptive_note_refused(&adaptive, 0));
    assert_int_equal(adaptive.limit, 14);
    assert_true(is_good_at(NS_PER_S - 1, 1000));
    assert_int_equal(adaptive.limit, 20);
    assert_false(is_good_at(NS_PER_S - 1, 1000));
    assert_true(is_good_at(NS_PER_S, 20));
    assert_int_equal(adaptive.limit, 21);
}

static void off_it_is_the_size_whatever_comes(void **state)
{
    adaptive_init(&adaptive, 10, 0);
    assert_false(adaptive_note_refused(&adaptive, 0));
    assert_false(adaptive_note_good(&adaptive, 10, NS_PER_S));
    assert_int_equal(adaptive.limit, 10);
}

/* ---- new bounds, at a reload --------------------------------------------------------------------------- */

static void lower_to_seven_of_ten(uint32_t min)
{
    adaptive_init(&adaptive, 10, min);
    (void)adaptive_note_refused(&adaptive, 0);
    assert_int_equal(adaptive.limit, 7);
}

static void what_was_learnt_outlives_new_bounds(void **state)
{
    lower_to_seven_of_ten(1);
    adaptive_change(&adaptive, 100, 1);
    assert_int_equal(adaptive.limit, 7);
    adaptive_change(&adaptive, 100, 20);
    assert_int_equal(adaptive.limit, 20);
    adaptive_change(&adaptive, 12, 1);
    assert_int_equal(adaptive.limit, 12);
}

static void a_limit_that_was_never_lowered_follows_the_size(void **state)
{
    adaptive_init(&adaptive, 10, 1);
    adaptive_change(&adaptive, 40, 1);
    assert_int_equal(adaptive.limit, 40);
    adaptive_change(&adaptive, 5, 1);
    assert_int_equal(adaptive.limit, 5);
}

static void turned_off_or_on_it_begins_anew(void **state)
{
    lower_to_seven_of_ten(1);
    adaptive_change(&adaptive, 10, 0);
    assert_int_equal(adaptive.limit, 10);
    adaptive_change(&adaptive, 10, 1);
    assert_int_equal(adaptive.limit, 10);
}

static void what_was_counted_never_exceeds_a_smaller_limit(void **state)
{
    adaptive_init(&adaptive, 100, 1);
    (void)adaptive_note_refused(&adaptive, 0);
    assert_int_equal(after_good(60), 70);
    adaptive_change(&adaptive, 20, 1);
    assert_int_equal(adaptive.limit, 20);
    assert_true(adaptive.good < adaptive.limit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_begins_at_the_size_and_never_goes_down_by_itself),
        cmocka_unit_test(a_refusal_leaves_seven_tenths),
        cmocka_unit_test(refusals_of_one_second_count_once),
        cmocka_unit_test(it_is_never_below_min),
        cmocka_unit_test(it_grows_by_one_after_as_many_good_tries_as_it_allows_at_once),
        cmocka_unit_test(good_tries_below_the_limit_show_nothing),
        cmocka_unit_test(a_refusal_takes_back_what_was_counted),
        cmocka_unit_test(within_a_second_it_does_not_come_back_to_where_it_was_refused),
        cmocka_unit_test(off_it_is_the_size_whatever_comes),
        cmocka_unit_test(what_was_learnt_outlives_new_bounds),
        cmocka_unit_test(a_limit_that_was_never_lowered_follows_the_size),
        cmocka_unit_test(turned_off_or_on_it_begins_anew),
        cmocka_unit_test(what_was_counted_never_exceeds_a_smaller_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
