#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/span.h"

static void spans_are_equal_by_bytes_only(void **state)
{
    assert_true(span_eq(SPAN_LIT("abc"), span_of("abc")));
    assert_true(span_eq((struct span){NULL, 0}, SPAN_LIT("")));
    assert_false(span_eq(SPAN_LIT("abc"), SPAN_LIT("abd")));
    assert_false(span_eq(SPAN_LIT("abc"), SPAN_LIT("ab")));
    assert_true(span_eq(SPAN_LIT("a\0b"), SPAN_LIT("a\0b")));
}

static void case_is_ignored_for_ascii_letters_alone(void **state)
{
    assert_true(span_eq_nocase(SPAN_LIT("Content-LENGTH"), SPAN_LIT("content-length")));
    assert_true(span_eq_nocase(SPAN_LIT(""), SPAN_LIT("")));
    assert_false(span_eq_nocase(SPAN_LIT("a"), SPAN_LIT("ab")));
    /* These differ in the bit that tells the cases of letters apart. */
    assert_false(span_eq_nocase(SPAN_LIT("@"), SPAN_LIT("`")));
    assert_false(span_eq_nocase(SPAN_LIT("["), SPAN_LIT("{")));
    assert_false(span_eq_nocase(SPAN_LIT("\xc4"), SPAN_LIT("\xe4")));
}

static void trim_takes_spaces_and_tabs_off_both_ends(void **state)
{
    assert_true(span_eq(span_trim(SPAN_LIT(" \t a b\t ")), SPAN_LIT("a b")));
    assert_true(span_eq(span_trim(SPAN_LIT("a")), SPAN_LIT("a")));
    assert_true(span_eq(span_trim(SPAN_LIT(" \t")), SPAN_LIT("")));
    assert_true(span_eq(span_trim(SPAN_LIT("\ra\n")), SPAN_LIT("\ra\n")));
}

static void elements_come_trimmed_and_empty_ones_are_passed_over(void **state)
{
    struct span rest = SPAN_LIT(" ,, close ,\tTE\t,,keep alive, ");
    struct span element;

    assert_true(span_next_element(&rest, &element));
    assert_true(span_eq(element, SPAN_LIT("close")));
    assert_true(span_next_element(&rest, &element));
    assert_true(span_eq(element, SPAN_LIT("TE")));
    assert_true(span_next_element(&rest, &element));
    assert_true(span_eq(element, SPAN_LIT("keep alive")));
    assert_false(span_next_element(&rest, &element));
    assert_false(span_next_element(&rest, &element));
}

static void an_empty_list_has_no_element(void **state)
{
    struct span rest = SPAN_LIT("");
    struct span element;

    assert_false(span_next_element(&rest, &element));
}

/* Every byte beside every other, at each place of texts of up to 20: equal if they are the same letter, or the same byte. */
static void case_is_of_no_matter_at_any_place_and_for_letters_alone(void **state)
{
    char left[20], right[20];

    (void)state;
    for (size_t len = 1; len <= sizeof(left); len++) {
        for (size_t at = 0; at < len; at++) {
            for (int a = 0; a < 256; a++) {
                for (int b = a & ~0x20; b <= (a | 0x20); b += 0x20) {
                    bool is_letter = (b | 0x20) >= 'a' && (b | 0x20) <= 'z';

                    memset(left, 'x', sizeof(left));
                    memset(right, 'X', sizeof(right));
                    left[at] = (char)a;
                    right[at] = (char)b;
                    assert_int_equal(span_eq_nocase((struct span){left, len}, (struct span){right, len}),
                                     a == b || is_letter);
                }
            }
        }
    }
    assert_true(span_eq_nocase(SPAN_LIT(""), SPAN_LIT("")));
    assert_false(span_eq_nocase(SPAN_LIT("content-type"), SPAN_LIT("content-typ")));
}

static void a_copy_in_lower_case_differs_by_letters_alone(void **state)
{
    char from[20], to[21];

    (void)state;
    for (size_t len = 0; len <= sizeof(from); len++) {
        for (size_t at = 0; at < len; at++) {
            for (int c = 0; c < 256; c++) {
                memset(from, 'X', sizeof(from));
                memset(to, '-', sizeof(to));
                from[at] = (char)c;
                assert_ptr_equal(span_lower((struct span){from, len}, to).ptr, to);
                for (size_t i = 0; i < len; i++)
                    assert_int_equal(to[i], i != at                ? 'x'
                                            : c >= 'A' && c <= 'Z' ? (char)(c | 0x20)
                                                                   : (char)c);
                assert_int_equal(to[len], '-');
            }
        }
    }
    assert_int_equal(span_lower(SPAN_LIT(""), to).len, 0);
}

static void occurrences_of_a_byte_are_counted(void **state)
{
    (void)state;
    assert_int_equal(span_count(SPAN_LIT(""), '\n'), 0);
    assert_int_equal(span_count((struct span){NULL, 0}, '\n'), 0);
    assert_int_equal(span_count(SPAN_LIT("\n"), '\n'), 1);
    assert_int_equal(span_count(SPAN_LIT("a: 1\r\n\n\0\nb"), '\n'), 3);
    assert_int_equal(span_count((struct span){"\n\n", 1}, '\n'), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(occurrences_of_a_byte_are_counted),
        cmocka_unit_test(a_copy_in_lower_case_differs_by_letters_alone),
        cmocka_unit_test(case_is_of_no_matter_at_any_place_and_for_letters_alone),
        cmocka_unit_test(spans_are_equal_by_bytes_only),
        cmocka_unit_test(case_is_ignored_for_ascii_letters_alone),
        cmocka_unit_test(trim_takes_spaces_and_tabs_off_both_ends),
        cmocka_unit_test(elements_come_trimmed_and_empty_ones_are_passed_over),
        cmocka_unit_test(an_empty_list_has_no_element),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
