#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/text.h"

static void assert_text(const struct text *t, const char *expected)
{
    assert_int_equal(t->len, strlen(expected));
    assert_memory_equal(t->ptr, expected, t->len);
}

static void a_text_takes_exactly_what_fits(void **state)
{
    char block[5];
    struct text t = text_over(block, sizeof(block));

    TEXT_LIT(&t, "ab");
    text_put(&t, SPAN_LIT("cde"));
    text_put(&t, SPAN_LIT(""));
    assert_false(t.overflow);
    assert_text(&t, "abcde");
}

static void what_does_not_fit_is_left_out_and_nothing_follows_it(void **state)
{
    char block[5];
    struct text t = text_over(block, sizeof(block));

    TEXT_LIT(&t, "abc");
    TEXT_LIT(&t, "def");
    TEXT_LIT(&t, "g");
    text_printf(&t, "h");
    assert_true(t.overflow);
    assert_text(&t, "abc");
}

static void numbers_have_no_leading_zeros(void **state)
{
    char block[80];
    struct text t = text_over(block, sizeof(block));

    text_u64(&t, 0);
    TEXT_LIT(&t, " ");
    text_u64(&t, UINT64_MAX);
    TEXT_LIT(&t, " ");
    text_hex(&t, 0);
    TEXT_LIT(&t, " ");
    text_hex(&t, 0xdeadbeef0);
    TEXT_LIT(&t, " ");
    text_hex(&t, UINT64_MAX);
    assert_text(&t, "0 18446744073709551615 0 deadbeef0 ffffffffffffffff");
}

static void milliseconds_have_up_to_three_decimals(void **state)
{
    static const struct {
        int64_t ns;
        const char *expected;
    } cases[] = {
        {0, "0"},
        {1500000, "1.5"},
        {2000000000, "2000"},
        {1234567, "1.234"},
        {1050000, "1.05"},
        {1000, "0.001"},
        {999, "0"},
        {-999, "0"},
        {-1500000, "-1.5"},
        {-1000, "-0.001"},
        {INT64_MAX, "9223372036854.775"},
        {INT64_MIN, "-9223372036854.775"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char block[40];
        struct text t = text_over(block, sizeof(block));

        text_ms(&t, cases[i].ns);
        assert_text(&t, cases[i].expected);
    }
}

static void printf_needs_room_for_its_terminator(void **state)
{
    char block[6];
    struct text t = text_over(block, sizeof(block));

    text_printf(&t, "%d-%s", 12, "ab");
    assert_false(t.overflow);
    assert_text(&t, "12-ab");
    text_printf(&t, "%s", "");
    assert_false(t.overflow);
    text_printf(&t, "c");
    assert_true(t.overflow);
    assert_text(&t, "12-ab");
}

static void a_text_over_nothing_overflows_at_the_first_byte(void **state)
{
    struct text t = text_over(NULL, 0);

    text_put(&t, SPAN_LIT(""));
    text_printf(&t, "%s", "");
    assert_false(t.overflow);
    text_printf(&t, "a");
    assert_true(t.overflow);
}

static void check_excerpt(struct span bytes, const char *want)
{
    char block[128];
    struct text t = text_over(block, sizeof(block));

    text_excerpt(&t, bytes);
    assert_false(t.overflow);
    assert_text(&t, want);
}

static void an_excerpt_is_one_line_in_printable_bytes(void **state)
{
    check_excerpt(SPAN_LIT(""), "\"\"");
    check_excerpt(SPAN_LIT("\r\nb"), "\"\"");
    check_excerpt(SPAN_LIT("a b\r\nc"), "\"a b\"");
    check_excerpt(SPAN_LIT("a\nb"), "\"a\"");
    check_excerpt(SPAN_LIT("a\rb\r"), "\"a\\rb\\r\"");
    check_excerpt(SPAN_LIT("\"\\\t\0\x1b[31m\x7f\xff"), "\"\\\"\\\\\\t\\x00\\x1b[31m\\x7f\\xff\"");
}

static void an_excerpt_is_never_longer_than_its_bound(void **state)
{
    char bytes[200], want[128];

    memset(bytes, 'a', sizeof(bytes));
    memset(want, 'a', sizeof(want));
    want[0] = want[1 + TEXT_EXCERPT_MAX] = '"';
    want[2 + TEXT_EXCERPT_MAX] = '\0';
    check_excerpt((struct span){bytes, TEXT_EXCERPT_MAX}, want);
    memcpy(want + 2 + TEXT_EXCERPT_MAX, "...", 4);
    check_excerpt((struct span){bytes, TEXT_EXCERPT_MAX + 1}, want);
    /* An escape is taken whole or not at all. */
    memset(bytes + TEXT_EXCERPT_MAX - 1, '\0', 1);
    memcpy(want + TEXT_EXCERPT_MAX, "\"...", 5);
    check_excerpt((struct span){bytes, TEXT_EXCERPT_MAX}, want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_excerpt_is_one_line_in_printable_bytes),
        cmocka_unit_test(an_excerpt_is_never_longer_than_its_bound),
        cmocka_unit_test(a_text_takes_exactly_what_fits),
        cmocka_unit_test(what_does_not_fit_is_left_out_and_nothing_follows_it),
        cmocka_unit_test(numbers_have_no_leading_zeros),
        cmocka_unit_test(milliseconds_have_up_to_three_decimals),
        cmocka_unit_test(printf_needs_room_for_its_terminator),
        cmocka_unit_test(a_text_over_nothing_overflows_at_the_first_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
