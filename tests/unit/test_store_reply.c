#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/store_reply.h"

static struct store_reply items[] = {
    {.kind = STORE_TEXT, .text = {"OK", 2}},
    {.kind = STORE_NUMBER, .number = 7},
    {.kind = STORE_TEXT, .text = {"1700000000000000", 16}},
    {.kind = STORE_TEXT, .text = {"-1", 2}},
    {.kind = STORE_NOTHING},
    {.kind = STORE_TEXT, .text = {"9223372036854775807", 19}},
    {.kind = STORE_TEXT, .text = {"9223372036854775808", 19}},
    {.kind = STORE_TEXT, .text = {"-", 1}},
    {.kind = STORE_TEXT, .text = {"", 0}},
    {.kind = STORE_ERROR, .text = {"12", 2}},
    {.kind = STORE_TEXT, .text = {"1.5", 3}},
};
static const struct store_reply list = {.kind = STORE_LIST, .count = 11, .items = items};

static int64_t number_at(uint32_t item)
{
    int64_t number = INT64_MIN;

    return store_reply_number(&list, item, &number) ? number : INT64_MIN;
}

static void numbers_are_read_from_numbers_and_from_text(void **state)
{
    assert_int_equal(number_at(1), 7);
    assert_int_equal(number_at(2), INT64_C(1700000000000000));
    assert_int_equal(number_at(3), -1);
    assert_int_equal(number_at(5), INT64_MAX);
}

static void what_is_no_number_is_refused(void **state)
{
    static const uint32_t not_numbers[] = {0, 4, 6, 7, 8, 9, 10, 11, UINT32_MAX};

    for (unsigned i = 0; i < sizeof(not_numbers) / sizeof(not_numbers[0]); i++)
        assert_int_equal(number_at(not_numbers[i]), INT64_MIN);
}

static void text_is_only_a_text_s(void **state)
{
    assert_true(span_eq(store_reply_text(&list, 0), SPAN_LIT("OK")));
    assert_int_equal(store_reply_text(&list, 1).len, 0);
    assert_int_equal(store_reply_text(&list, 9).len, 0);
    assert_int_equal(store_reply_text(&list, 11).len, 0);
    assert_int_equal(store_reply_text(&items[0], 0).len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read_from_numbers_and_from_text),
        cmocka_unit_test(what_is_no_number_is_refused),
        cmocka_unit_test(text_is_only_a_text_s),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
