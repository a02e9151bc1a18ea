/* When a start has its slot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/number.h"
#include "core/rate.h"

#define NOW (INT64_C(1000000) * NS_PER_S)
#define MS  NS_PER_MS

static struct rate rate;

static void set(uint32_t limit, int64_t per_ns, uint32_t burst)
{
    rate = (struct rate){0};
    rate_set(&rate, rate_period_ns(limit, per_ns), burst, NOW);
}

static int64_t slot(uint32_t ahead, int64_t now_ns)
{
    assert_int_equal(rate_is_open(&rate, now_ns), rate_slot_ns(&rate, 0, now_ns) == now_ns);
    return rate_slot_ns(&rate, ahead, now_ns) - NOW;
}

static void the_period_is_rounded_up_so_that_the_limit_is_never_passed(void **state)
{
    (void)state;
    assert_int_equal(rate_period_ns(100, NS_PER_S), 10 * MS);
    assert_int_equal(rate_period_ns(3, NS_PER_S), 333333334);
    assert_int_equal(rate_period_ns(1000000, NS_PER_S), 1000);
    assert_int_equal(rate_period_ns(20, 3600 * NS_PER_S), 180 * NS_PER_S);
    assert_int_equal(rate_period_ns(1, 3600 * NS_PER_S), 3600 * NS_PER_S);
}

static void without_a_rate_every_start_has_its_slot(void **state)
{
    (void)state;
    rate = (struct rate){0};
    for (int i = 0; i < 1000; i++)
        rate_take(&rate, NOW);
    assert_int_equal(slot(0, NOW), 0);
    assert_int_equal(slot(UINT32_MAX, NOW), 0);
}

static void a_burst_starts_at_once_and_then_one_each_period(void **state)
{
    int64_t now_ns = NOW;

    (void)state;
    set(100, NS_PER_S, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(slot(0, NOW), 0);
        rate_take(&rate, NOW);
    }
    for (int i = 1; i < 100; i++) {
        assert_int_equal(slot(0, now_ns), i * 10 * MS);
        assert_int_equal(slot(0, now_ns + 10 * MS - 1), i * 10 * MS);
        now_ns = NOW + i * 10 * MS;
        assert_int_equal(slot(0, now_ns), now_ns - NOW);
        rate_take(&rate, now_ns);
    }
}

static void who_comes_behind_others_has_a_later_slot(void **state)
{
    (void)state;
    set(100, NS_PER_S, 3);
    assert_int_equal(slot(2, NOW), 0);
    assert_int_equal(slot(3, NOW), 10 * MS);
    rate_take(&rate, NOW);
    assert_int_equal(slot(1, NOW), 0);
    assert_int_equal(slot(2, NOW), 10 * MS);
    assert_int_equal(slot(100, NOW), 990 * MS);
    /* Whoever waits for a pause to end comes behind them still. */
    assert_int_equal(slot(3, NOW + NS_PER_S), NS_PER_S + 10 * MS);
}

static void after_a_rest_the_burst_is_there_again_and_no_more(void **state)
{
    int64_t now_ns = NOW + 3600 * NS_PER_S;

    (void)state;
    set(100, NS_PER_S, 2);
    rate_take(&rate, NOW);
    rate_take(&rate, NOW);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(rate_slot_ns(&rate, 0, now_ns), now_ns);
        rate_take(&rate, now_ns);
    }
    assert_int_equal(rate_slot_ns(&rate, 0, now_ns), now_ns + 10 * MS);
}

static void the_slowest_and_the_widest_rate_do_not_overflow(void **state)
{
    (void)state;
    set(1, 3600 * NS_PER_S, RATE_BURST_MAX);
    assert_int_equal(slot(0, NOW), 0);
    for (uint32_t i = 0; i < RATE_BURST_MAX; i++)
        rate_take(&rate, NOW);
    assert_int_equal(slot(0, NOW), 3600 * NS_PER_S);
    assert_int_equal(slot(1000000, NOW), INT64_C(1000001) * 3600 * NS_PER_S);
}

/* Ends of windows are starts, so it is enough to look at those between two of them. */
static void no_window_has_more_than_burst_and_rate_allow(void **state)
{
    static int64_t starts[4000];
    uint64_t seed = 88172645463325252u;
    int64_t now_ns = NOW;
    uint32_t count = 0;

    (void)state;
    set(100, NS_PER_S, 20);
    while (count < 4000) {
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        now_ns += (int64_t)(seed % (seed % 97 == 0 ? 600 * MS : 4 * MS));
        assert_int_equal(rate_is_open(&rate, now_ns), rate_slot_ns(&rate, 0, now_ns) == now_ns);
        if (!rate_is_open(&rate, now_ns))
            continue;
        rate_take(&rate, now_ns);
        starts[count++] = now_ns;
    }
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = i; j < count && j < i + 400; j++)
            assert_true(j - i + 1 <= 20 + (starts[j] - starts[i]) / (10 * MS));
}

static void time_that_comes_in_out_of_order_makes_no_slot_early(void **state)
{
    (void)state;
    set(100, NS_PER_S, 1);
    rate_take(&rate, NOW + 5 * MS);
    assert_int_equal(slot(0, NOW), 15 * MS);
    rate_take(&rate, NOW); /* whether its slot has come or not */
    assert_int_equal(slot(0, NOW + 5 * MS), 25 * MS);
}

static void another_rate_is_no_second_burst_and_no_wait_of_hours(void **state)
{
    (void)state;
    set(100, NS_PER_S, 20);
    for (int i = 0; i < 20; i++)
        rate_take(&rate, NOW);
    rate_set(&rate, 10 * MS, 20, NOW); /* the same */
    assert_int_equal(slot(0, NOW), 10 * MS);
    set(1, 3600 * NS_PER_S, 10);
    for (int i = 0; i < 10; i++)
        rate_take(&rate, NOW);
    rate_set(&rate, 10 * MS, 20, NOW);
    assert_int_equal(slot(0, NOW), 10 * MS);
    rate_set(&rate, 0, 1, NOW);
    assert_int_equal(slot(0, NOW), 0);
}

static void who_tries_starts_in_the_slot_that_is_told_and_not_before(void **state)
{
    (void)state;
    set(100, NS_PER_S, 2);
    assert_true(rate_try(&rate, NOW) && rate_try(&rate, NOW));
    assert_int_equal(slot(0, NOW), 10 * MS);
    assert_false(rate_try(&rate, NOW + 10 * MS - 1));
    assert_int_equal(slot(0, NOW), 10 * MS); /* nothing is taken by that */
    assert_true(rate_try(&rate, NOW + 10 * MS));
    assert_int_equal(slot(0, NOW), 20 * MS);
    assert_true(rate_try(&rate, NOW + NS_PER_S) && rate_try(&rate, NOW + NS_PER_S));
    assert_false(rate_try(&rate, NOW + NS_PER_S));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_period_is_rounded_up_so_that_the_limit_is_never_passed),
        cmocka_unit_test(without_a_rate_every_start_has_its_slot),
        cmocka_unit_test(a_burst_starts_at_once_and_then_one_each_period),
        cmocka_unit_test(who_comes_behind_others_has_a_later_slot),
        cmocka_unit_test(after_a_rest_the_burst_is_there_again_and_no_more),
        cmocka_unit_test(the_slowest_and_the_widest_rate_do_not_overflow),
        cmocka_unit_test(no_window_has_more_than_burst_and_rate_allow),
        cmocka_unit_test(time_that_comes_in_out_of_order_makes_no_slot_early),
        cmocka_unit_test(who_tries_starts_in_the_slot_that_is_told_and_not_before),
        cmocka_unit_test(another_rate_is_no_second_burst_and_no_wait_of_hours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
