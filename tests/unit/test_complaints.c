/* Which complaints are worth a line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/complaints.h"

static struct complaints complaints;

/* How many were left out before it; -1: it is not told. */
static int tell(uint64_t key, int64_t second)
{
    uint64_t left_out;

    return complaints_may_tell(&complaints, key, second * NS_PER_S, &left_out) ? (int)left_out : -1;
}

static int begin(void **state)
{
    (void)state;
    complaints = (struct complaints){0};
    return 0;
}

static void the_same_one_is_told_once_a_minute(void **state)
{
    (void)state;
    assert_int_equal(tell(7, 0), 0);
    assert_int_equal(tell(7, 1), -1);
    assert_int_equal(tell(7, 59), -1);
    assert_int_equal(tell(7, 60), 2);
    assert_int_equal(tell(7, 119), -1);
    assert_int_equal(tell(7, 1000), 1);
}

static void another_one_is_told_at_once_with_what_was_left_out(void **state)
{
    (void)state;
    assert_int_equal(tell(7, 100), 0);
    assert_int_equal(tell(7, 100), -1);
    assert_int_equal(tell(8, 100), 1);
    assert_int_equal(tell(0, 100), 0);
    assert_int_equal(tell(0, 101), -1);
}

static void of_many_different_ones_only_so_many_are_told_in_a_minute(void **state)
{
    int told = 0;

    (void)state;
    for (uint64_t key = 0; key < 10000; key++)
        told += tell(key, 5) >= 0;
    assert_int_equal(told, COMPLAINTS_PLACES);
    assert_int_equal(tell(20000, 64), -1);
    assert_int_equal(tell(20000, 65), 10000 - (int)COMPLAINTS_PLACES + 1);
    /* The places of those whose minute is over go to others, one at a time. */
    for (uint64_t key = 30000; key < 30000 + COMPLAINTS_PLACES - 1; key++)
        assert_int_equal(tell(key, 66), 0);
    assert_int_equal(tell(40000, 66), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_same_one_is_told_once_a_minute, begin),
        cmocka_unit_test_setup(another_one_is_told_at_once_with_what_was_left_out, begin),
        cmocka_unit_test_setup(of_many_different_ones_only_so_many_are_told_in_a_minute, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
