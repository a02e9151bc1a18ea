/* Figures for people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <math.h>

#include "view/format.h"

#define SECOND INT64_C(1000)
#define HOUR   (3600 * SECOND)

static char block[64];

static const char *ended(const struct text *text)
{
    assert_false(text->overflow);
    block[text->len] = '\0';
    return block;
}

static const char *time_of(int64_t ms)
{
    struct text text = text_over(block, 8);

    format_put_time(&text, ms);
    return ended(&text);
}

static const char *seconds_of(double seconds)
{
    struct text text = text_over(block, 63);

    format_put_seconds(&text, seconds, 60);
    return ended(&text);
}

static const char *count_of(uint64_t count)
{
    struct text text = text_over(block, 8);

    format_put_count(&text, count);
    return ended(&text);
}

static const char *rate_of(double rate)
{
    struct text text = text_over(block, 63);

    format_put_rate(&text, rate);
    return ended(&text);
}

static void times_have_two_parts_at_most(void **state)
{
    assert_string_equal(time_of(0), "0ms");
    assert_string_equal(time_of(999), "999ms");
    assert_string_equal(time_of(1000), "1.0s");
    assert_string_equal(time_of(9999), "9.9s");
    assert_string_equal(time_of(10 * SECOND), "10s");
    assert_string_equal(time_of(60 * SECOND), "1m00s");
    assert_string_equal(time_of(185 * SECOND), "3m05s");
    assert_string_equal(time_of(2 * HOUR + 185 * SECOND), "2h03m");
    assert_string_equal(time_of(9 * 24 * HOUR + 4 * HOUR), "9d04h");
    assert_string_equal(time_of(INT64_MAX), ">99d");
}

static void what_is_overdue_has_a_sign(void **state)
{
    assert_string_equal(time_of(-1), "-1ms");
    assert_string_equal(time_of(-1250), "-1.2s");
    assert_string_equal(time_of(INT64_MIN), "->99d");
}

static void seconds_have_three_digits(void **state)
{
    assert_string_equal(seconds_of(NAN), "-");
    assert_string_equal(seconds_of(INFINITY), ">60s");
    assert_string_equal(seconds_of(0), "0us");
    assert_string_equal(seconds_of(80e-6), "80us");
    assert_string_equal(seconds_of(2.5e-3), "2.5ms");
    assert_string_equal(seconds_of(0.25), "250ms");
    assert_string_equal(seconds_of(1.234), "1.23s");
    assert_string_equal(seconds_of(999.4), "999s");
    assert_string_equal(seconds_of(999.6), "16m39s");
    assert_string_equal(seconds_of(86399), "23h59m");
    assert_string_equal(seconds_of(1e300), ">99d");
}

static void counts_keep_two_digits_that_matter(void **state)
{
    assert_string_equal(count_of(0), "0");
    assert_string_equal(count_of(999), "999");
    assert_string_equal(count_of(1000), "1.0k");
    assert_string_equal(count_of(9999), "9.9k");
    assert_string_equal(count_of(45678), "45k");
    assert_string_equal(count_of(999999), "999k");
    assert_string_equal(count_of(3400000), "3.4M");
    assert_string_equal(count_of(UINT64_MAX), "18E");
}

static void small_rates_have_a_decimal(void **state)
{
    assert_string_equal(rate_of(0), "0");
    assert_string_equal(rate_of(-1), "0");
    assert_string_equal(rate_of(0.42), "0.4");
    assert_string_equal(rate_of(12.4), "12");
    assert_string_equal(rate_of(1234), "1.2k");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_have_two_parts_at_most), cmocka_unit_test(what_is_overdue_has_a_sign),
        cmocka_unit_test(seconds_have_three_digits),    cmocka_unit_test(counts_keep_two_digits_that_matter),
        cmocka_unit_test(small_rates_have_a_decimal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
