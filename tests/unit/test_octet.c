#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "http/octet.h"

/* Longer than what is looked at in one step, three times. */
#define LEN_MAX 50

static size_t find_slowly(struct span s, size_t at, bool (*is_hit)(char))
{
    while (at < s.len && !is_hit(s.ptr[at]))
        at++;
    return at;
}

static bool ends_line(char c)
{
    return ((uint8_t)c < 0x20 && c != '\t') || c == 0x7f;
}

static bool breaks_line(char c)
{
    return c == '\r' || c == '\n';
}

static bool ends_token(char c)
{
    return !octet_is(c, OCTET_TOKEN);
}

static void must_agree(struct span s, size_t at)
{
    assert_int_equal(octet_find_line_end(s, at), find_slowly(s, at, ends_line));
    assert_int_equal(octet_find_line_break(s, at), find_slowly(s, at, breaks_line));
    assert_int_equal(octet_find_token_end(s, at), find_slowly(s, at, ends_token));
}

/* The text is a block of its own, so that a sanitizer sees what is read beside it. */
static void each_byte_is_found_at_each_place_from_each_start_in_a_text_of_each_length(void **state)
{
    for (size_t len = 1; len <= LEN_MAX; len++) {
        char *block = malloc(len);

        assert_non_null(block);
        memset(block, 'a', len);
        for (size_t place = 0; place < len; place++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                block[place] = (char)byte;
                must_agree((struct span){block, len}, 0);
                must_agree((struct span){block, len}, place);
                must_agree((struct span){block, len}, len);
            }
            block[place] = 'a';
            for (size_t at = 0; at <= len; at++) {
                block[place] = '\n';
                must_agree((struct span){block, len}, at);
                block[place] = 'a';
            }
        }
        free(block);
    }
}

static void in_an_empty_text_nothing_is_found(void **state)
{
    must_agree((struct span){"", 0}, 0);
}

static void behind_a_sign_of_a_token_the_token_goes_on(void **state)
{
    assert_int_equal(octet_find_token_end(SPAN_LIT("a_b!c~d#e: a value that is longer than a block"), 0), 9);
    assert_int_equal(octet_find_token_end(SPAN_LIT("________________________"), 0), 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_byte_is_found_at_each_place_from_each_start_in_a_text_of_each_length),
        cmocka_unit_test(in_an_empty_text_nothing_is_found),
        cmocka_unit_test(behind_a_sign_of_a_token_the_token_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
