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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_instant_is_told_by_its_day_and_time),
        cmocka_unit_test(what_no_date_can_say_is_the_next_that_it_can),
        cmocka_unit_test(each_day_is_what_the_c_library_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
