/* The least rate: any full stretch of time counts, to the nanosecond where arrivals are few. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/number.h"
#include "core/min_rate.h"

static const struct min_rate_terms terms = {.bytes = 1000, .per_ns = 16 * NS_PER_S};

static struct min_rate rate;

static int begin(void **state)
{
    min_rate_begin(&rate);
    return 0;
}

static void add(uint64_t bytes, int64_t at_s)
{
    min_rate_add(&rate, &terms, bytes, at_s * NS_PER_S);
}

#define assert_end(at_s) assert_int_equal(min_rate_end_ns(&rate, &terms), (at_s)*NS_PER_S)

static void it_begins_with_the_first_byte(void **state)
{
    assert_int_equal(min_rate_end_ns(&rate, &terms), NS_NEVER);
    add(1, 100);
    assert_end(116);
}

static void a_first_stretch_with_too_little_breaks_it_when_it_is_full(void **state)
{
    add(1, 100);
    add(998, 115);
    assert_end(116);
    add(1, 115);
    assert_end(116); /* the byte at 100 is needed for the 1000 */
}

static void what_lies_far_enough_back_is_not_needed_any_more(void **state)
{
    add(1000, 0);
    assert_end(16);
    add(500, 4);
    assert_end(16);
    add(500, 10);
    assert_end(20); /* from 4 on there were 1000 */
    add(5000, 12);
    assert_end(28);
}

static void a_stretch_may_begin_anywhere(void **state)
{
    /* 600 in each of the stretches that begin at 0 and 16, but only 400 from 10 to 26. */
    add(1200, 0);
    add(400, 9);
    add(800, 27);
    assert_int_equal(min_rate_end_ns(&rate, &terms), (9 + 16) * NS_PER_S);
}

static void a_steady_drip_that_is_fast_enough_never_breaks_it(void **state)
{
    /* 1000 bytes in 16 s, one every 16 ms, and one more now and then for the granularity. */
    for (int64_t i = 0; i < 10000; i++) {
        int64_t now_ns = i * 15 * NS_PER_MS;

        assert_true(i < 1000 || min_rate_end_ns(&rate, &terms) > now_ns);
        min_rate_add(&rate, &terms, 1, now_ns);
    }
}

static void a_steady_drip_that_is_too_slow_breaks_it_within_a_sixteenth(void **state)
{
    int64_t now_ns = 0;

    for (int64_t i = 0; i < 1000; i++, now_ns += 8 * NS_PER_MS)
        min_rate_add(&rate, &terms, 1, now_ns); /* 2000 in 16 s */
    for (int64_t i = 0; min_rate_end_ns(&rate, &terms) > now_ns; i++, now_ns += 32 * NS_PER_MS) {
        assert_in_range(i, 0, 1000);
        min_rate_add(&rate, &terms, 1, now_ns); /* 500 in 16 s */
    }
    /* t from 8 on: (16 - (t - 8)) * 125 of the fast ones and (t - 8) * 31.25 are 1000 at t = 18.67 (the first 8 s had 1000) */
    assert_in_range(now_ns, 18660 * NS_PER_MS, 19670 * NS_PER_MS);
}

static void arrivals_close_together_count_as_the_last_of_them(void **state)
{
    add(999, 0);
    min_rate_add(&rate, &terms, 1, NS_PER_S / 2);
    assert_int_equal(min_rate_end_ns(&rate, &terms), 16 * NS_PER_S + NS_PER_S / 2);
}

static void what_came_long_ago_is_forgotten(void **state)
{
    for (int64_t s = 0; s < 100; s++)
        add(10, s);
    /* 17 slots hold 170 bytes: far too little, since long */
    assert_end(16);
}

static void no_number_overflows(void **state)
{
    static const struct min_rate_terms large = {.bytes = UINT64_MAX, .per_ns = INT64_MAX};

    min_rate_add(&rate, &large, 1, NS_PER_S);
    assert_int_equal(min_rate_end_ns(&rate, &large), NS_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(it_begins_with_the_first_byte, begin),
        cmocka_unit_test_setup(a_first_stretch_with_too_little_breaks_it_when_it_is_full, begin),
        cmocka_unit_test_setup(what_lies_far_enough_back_is_not_needed_any_more, begin),
        cmocka_unit_test_setup(a_stretch_may_begin_anywhere, begin),
        cmocka_unit_test_setup(a_steady_drip_that_is_fast_enough_never_breaks_it, begin),
        cmocka_unit_test_setup(a_steady_drip_that_is_too_slow_breaks_it_within_a_sixteenth, begin),
        cmocka_unit_test_setup(arrivals_close_together_count_as_the_last_of_them, begin),
        cmocka_unit_test_setup(what_came_long_ago_is_forgotten, begin),
        cmocka_unit_test_setup(no_number_overflows, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
