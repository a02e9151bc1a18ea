/* Slots of a fleet's rate that were lent to this host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/number.h"
#include "core/rate_lent.h"

#define MS  NS_PER_MS
#define NOW (INT64_C(1000) * NS_PER_S)
#define T   (10 * MS)

static struct rate_lent lent;

static int set_up(void **state)
{
    (void)state;
    lent = (struct rate_lent){.is_on = true, .period_ns = 1};
    return 0;
}

static void none_is_open_before_it_is_due(void **state)
{
    (void)state;
    assert_false(rate_lent_is_open(&lent, NOW));
    rate_lent_put(&lent, 2, 5 * MS, T, NOW);
    assert_false(rate_lent_is_open(&lent, NOW + 5 * MS - 1));
    assert_true(rate_lent_is_open(&lent, NOW + 5 * MS));
    rate_lent_take(&lent, NOW + 5 * MS);
    assert_false(rate_lent_is_open(&lent, NOW + 15 * MS - 1));
    assert_true(rate_lent_is_open(&lent, NOW + 15 * MS));
    rate_lent_take(&lent, NOW + 15 * MS);
    assert_int_equal(rate_lent_left(&lent, NOW + 15 * MS), 0);
    assert_int_equal(lent.unused + lent.owed, 0);
}

static void a_burst_is_open_at_once_and_not_for_long(void **state)
{
    (void)state;
    rate_lent_put(&lent, 5, -3 * T, T, NOW);
    for (int i = 0; i < 4; i++)
        assert_int_equal(rate_lent_slot_ns(&lent, (uint32_t)i, NOW), NOW);
    assert_int_equal(rate_lent_slot_ns(&lent, 4, NOW), NOW + T);
    rate_lent_take(&lent, NOW);
    assert_int_equal(rate_lent_left(&lent, NOW + RATE_LENT_LATE_NS), 4);
    /* Those three are too old, the last one is not due yet. */
    assert_int_equal(rate_lent_left(&lent, NOW + RATE_LENT_LATE_NS + 1), 1);
    assert_false(rate_lent_is_open(&lent, NOW + RATE_LENT_LATE_NS + 1));
    rate_lent_take(&lent, NOW + T);
    assert_int_equal(lent.unused, 3);
    assert_int_equal(lent.left, 0);
}

static void one_that_is_not_used_in_time_is_lost(void **state)
{
    (void)state;
    rate_lent_put(&lent, 3, 0, T, NOW);
    assert_int_equal(rate_lent_left(&lent, NOW + T + RATE_LENT_LATE_NS), 2);
    assert_int_equal(rate_lent_left(&lent, NOW + T + RATE_LENT_LATE_NS + 1), 1);
    assert_int_equal(rate_lent_left(&lent, NOW + 1000 * T), 0);
    rate_lent_age(&lent, NOW + 1000 * T);
    assert_int_equal(lent.unused, 3);
    rate_lent_take(&lent, NOW + 1000 * T);
    assert_int_equal(lent.owed, 1);
}

static void beyond_what_is_lent_it_is_what_the_store_lets_expect(void **state)
{
    (void)state;
    rate_lent_put(&lent, 2, 0, T, NOW);
    lent.beyond_ns = NOW + 100 * MS;
    lent.pace_ns = 50 * MS;
    assert_int_equal(rate_lent_slot_ns(&lent, 1, NOW), NOW + T);
    assert_int_equal(rate_lent_slot_ns(&lent, 2, NOW), NOW + 100 * MS);
    assert_int_equal(rate_lent_slot_ns(&lent, 4, NOW), NOW + 200 * MS);
    assert_int_equal(rate_lent_slot_ns(&lent, 1, NOW + NS_PER_S), NOW + NS_PER_S + 50 * MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(none_is_open_before_it_is_due, set_up),
        cmocka_unit_test_setup(a_burst_is_open_at_once_and_not_for_long, set_up),
        cmocka_unit_test_setup(one_that_is_not_used_in_time_is_lost, set_up),
        cmocka_unit_test_setup(beyond_what_is_lent_it_is_what_the_store_lets_expect, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
