/* Instants as HTTP writes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

#include "http/date.h"

static void check(int64_t unix_s, const char *want)
{
    char block[DATE_LEN];
    struct text text = text_over(block, sizeof(block));

    date_put(&text, unix_s);
    assert_false(text.overflow);
    assert_int_equal(text.len, DATE_LEN);
    assert_memory_equal(block, want, DATE_LEN);
}

static void an_instant_is_told_by_its_day_and_time(void **state)
{
    check(784111777, "Sun, 06 Nov 1994 08:49:37 GMT");
    check(0, "Thu, 01 Jan 1970 00:00:00 GMT");
    check(68169600, "Tue, 29 Feb 1972 00:00:00 GMT");
    check(951782400, "Tue, 29 Feb 2000 00:00:00 GMT");
    check(INT64_C(4107542399), "Sun, 28 Feb 2100 23:59:59 GMT");
    check(INT64_C(4107542400), "Mon, 01 Mar 2100 00:00:00 GMT");
    check(INT64_C(253402300799), "Fri, 31 Dec 9999 23:59:59 GMT");
}

static void what_no_date_can_say_is_the_next_that_it_can(void **state)
{
    check(-1, "Thu, 01 Jan 1970 00:00:00 GMT");
    check(INT64_MIN, "Thu, 01 Jan 1970 00:00:00 GMT");
    check(INT64_C(253402300800), "Fri, 31 Dec 9999 23:59:59 GMT");
    check(INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT");
}

static void each_day_is_what_the_c_library_says(void **state)
{
    for (int64_t unix_s = 12345; unix_s < INT64_C(16725225600); unix_s += 86399 * 3) {
        time_t seconds = (time_t)unix_s;
        struct tm utc;
        char want[32];

        gmtime_r(&seconds, &utc);
        strftime(want, sizeof(want), "%a, %d %b %Y %H:%M:%S GMT", &utc);
        check(unix_s, want);
    }
}

#define NOW_S INT64_C(1796000000) /* 29 Nov 2026 */

static bool reads(const char *text, int64_t *unix_s)
{
    return date_parse(span_of(text), NOW_S, unix_s);
}

static void reads_as(const char *text, int64_t want)
{
    int64_t unix_s = -1;

    assert_true(reads(text, &unix_s));
    assert_int_equal(unix_s, want);
}

static void each_of_the_three_forms_is_read(void **state)
{
    (void)state;
    reads_as("Sun, 06 Nov 1994 08:49:37 GMT", 784111777);
    reads_as("Sunday, 06-Nov-94 08:49:37 GMT", 784111777);
    reads_as("Sun Nov  6 08:49:37 1994", 784111777);
    reads_as("Wed Nov 16 08:49:37 1994", 784975777);
    reads_as("Thu, 01 Jan 1970 00:00:00 GMT", 0);
    reads_as("Wed, 31 Dec 1969 23:59:59 GMT", -1);
    reads_as("Sat, 31 Dec 2016 23:59:60 GMT", 1483228800); /* a leap second */
}

static void a_year_of_two_digits_is_near(void **state)
{
    (void)state;
    reads_as("Sunday, 29-Nov-26 00:00:00 GMT", 1795910400);
    reads_as("Sunday, 01-Jan-76 00:00:00 GMT", INT64_C(3345062400));
    reads_as("Friday, 01-Jan-77 00:00:00 GMT", 220924800);
}

static void what_is_no_date_is_not_read(void **state)
{
    static const char *const texts[] = {"",
                                        "Sun",
                                        "Sun,",
                                        "Sun, ",
                                        "5",
                                        "tomorrow",
                                        "Son, 06 Nov 1994 08:49:37 GMT",
                                        "Sun, 06 Nov 1994 08:49:37",
                                        "Sun, 06 Nov 1994 08:49:37 UTC",
                                        "Sun, 06 Nov 1994 08:49:37 GMT ",
                                        "Sun, 6 Nov 1994 08:49:37 GMT",
                                        "Sun, 00 Nov 1994 08:49:37 GMT",
                                        "Sun, 31 Nov 1994 08:49:37 GMT",
                                        "Sun, 29 Feb 1994 08:49:37 GMT",
                                        "Sun, 29 Feb 2100 08:49:37 GMT",
                                        "Sun, 06 Foo 1994 08:49:37 GMT",
                                        "Sun, 06 Nov 1994 24:49:37 GMT",
                                        "Sun, 06 Nov 1994 08:60:37 GMT",
                                        "Sun, 06 Nov 1994 08:49:61 GMT",
                                        "Sun, 06 Nov 1994 08:49:3x GMT",
                                        "Sunday, 06-Nov-1994 08:49:37 GMT",
                                        "Sun Nov 6 08:49:37 1994",
                                        "Sun, 06 Nov 19\3774 08:49:37 GMT"};
    int64_t unix_s;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_false(reads(texts[i], &unix_s));
}

static void what_is_written_is_read_again(void **state)
{
    char block[DATE_LEN];

    (void)state;
    for (int64_t unix_s = 0; unix_s < INT64_C(253402300799); unix_s += 86399 * 31) {
        struct text text = text_over(block, sizeof(block));
        int64_t again = -1;

        date_put(&text, unix_s);
        assert_true(date_parse(text_span(&text), NOW_S, &again));
        assert_int_equal(again, unix_s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_instant_is_told_by_its_day_and_time),
        cmocka_unit_test(what_no_date_can_say_is_the_next_that_it_can),
        cmocka_unit_test(each_day_is_what_the_c_library_says),
        cmocka_unit_test(each_of_the_three_forms_is_read),
        cmocka_unit_test(a_year_of_two_digits_is_near),
        cmocka_unit_test(what_is_no_date_is_not_read),
        cmocka_unit_test(what_is_written_is_read_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
