/* How long an API asks its callers to wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/number.h"
#include "base/text.h"
#include "http/retry_after.h"

#define ABSENT     (-1)
#define UNREADABLE (-2)
#define NOW_NS     (INT64_C(784111777) * NS_PER_S + 250 * NS_PER_MS) /* Sun, 06 Nov 1994 08:49:37.250 GMT */

static struct http1_field fields[8];
static struct http1_head head = HTTP1_HEAD_OVER(fields);

/* Milliseconds, NS_NEVER, or ABSENT or UNREADABLE. */
static int64_t said(const char *lines)
{
    static char block[1024];
    struct text text = text_over(block, sizeof(block));
    const char *detail;
    int64_t ns;

    TEXT_LIT(&text, "HTTP/1.1 429 Too Many Requests\r\n");
    text_put(&text, span_of(lines));
    TEXT_LIT(&text, "Content-Length: 0\r\n\r\n");
    assert_int_equal(http1_parse_response(text_span(&text), HTTP1_GET, &head, &detail), CAUSE_NONE);
    switch (retry_after_read(&head, NOW_NS, &ns)) {
    case RETRY_AFTER_ABSENT: return ABSENT;
    case RETRY_AFTER_UNREADABLE: return UNREADABLE;
    default: return ns == NS_NEVER ? NS_NEVER : ns / NS_PER_MS;
    }
}

static void nothing_is_said_where_there_is_no_field(void **state)
{
    (void)state;
    assert_int_equal(said(""), ABSENT);
    assert_int_equal(said("X-Retry-After: 1\r\n"), ABSENT);
}

static void seconds_are_read_with_and_without_decimals(void **state)
{
    (void)state;
    assert_int_equal(said("Retry-After: 0\r\n"), 0);
    assert_int_equal(said("Retry-After: 120\r\n"), 120000);
    assert_int_equal(said("RETRY-AFTER:   2  \r\n"), 2000);
    assert_int_equal(said("Retry-After: 2.0\r\n"), 2000);
    assert_int_equal(said("Retry-After: 0.25\r\n"), 250);
    assert_int_equal(said("Retry-After: 1.9999999999999999\r\n"), 1999);
}

static void what_is_too_long_to_be_held_is_for_ever(void **state)
{
    (void)state;
    assert_int_equal(said("Retry-After: 1000000000000\r\n"), NS_NEVER);
    assert_int_equal(said("Retry-After: 99999999999999999999999999999999.9\r\n"), NS_NEVER);
    assert_int_equal(said("Retry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n"), NS_NEVER);
    assert_int_equal(said("Retry-After: 9223372036\r\n"), INT64_C(9223372036000));
    assert_int_equal(said("Retry-After: 9223372037\r\n"), NS_NEVER);
}

static void a_date_is_as_long_as_it_is_away(void **state)
{
    (void)state;
    assert_int_equal(said("Retry-After: Sun, 06 Nov 1994 08:49:39 GMT\r\n"), 1750);
    assert_int_equal(said("Retry-After: Sunday, 06-Nov-94 08:50:37 GMT\r\n"), 59750);
    assert_int_equal(said("Retry-After: Sun Nov  6 08:49:40 1994\r\n"), 2750);
    assert_int_equal(said("Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n"), 0);
    assert_int_equal(said("Retry-After: Sun, 06 Nov 1984 08:49:37 GMT\r\n"), 0);
    assert_int_equal(said("Retry-After: Wed, 31 Dec 1969 00:00:00 GMT\r\n"), 0);
}

static void what_can_not_be_read_says_so(void **state)
{
    static const char *const values[] = {"",
                                         "-1",
                                         "+1",
                                         "soon",
                                         "2s",
                                         "1 2",
                                         "1,2",
                                         "1..2",
                                         ".5",
                                         "1.",
                                         "1e3",
                                         "0x10",
                                         "Sun, 32 Nov 1994 08:49:37 GMT"};

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char block[128];
        struct text text = text_over(block, sizeof(block));

        TEXT_LIT(&text, "Retry-After: ");
        text_put(&text, span_of(values[i]));
        TEXT_LIT(&text, "\r\n");
        text_bytes(&text, "", 1);
        assert_int_equal(said(block), UNREADABLE);
    }
}

static void of_several_the_longest_counts(void **state)
{
    (void)state;
    assert_int_equal(said("Retry-After: 1\r\nRetry-After: 3\r\n"), 3000);
    assert_int_equal(said("Retry-After: 3\r\nRetry-After: 1\r\n"), 3000);
    assert_int_equal(said("Retry-After: soon\r\nRetry-After: 1\r\n"), 1000);
    assert_int_equal(said("Retry-After: 1\r\nRetry-After: soon\r\n"), 1000);
}

static void milliseconds_count_alone(void **state)
{
    (void)state;
    assert_int_equal(said("Retry-After-Ms: 1500\r\n"), 1500);
    assert_int_equal(said("retry-after: 2\r\nretry-after-ms: 1500\r\n"), 1500);
    assert_int_equal(said("retry-after-ms: 1500.5\r\nretry-after: 1\r\n"), 1500);
    assert_int_equal(said("retry-after-ms: soon\r\nretry-after: 1\r\n"), 1000);
    assert_int_equal(said("retry-after-ms: soon\r\n"), UNREADABLE);
    assert_int_equal(said("retry-after-ms: soon\r\nretry-after: later\r\n"), UNREADABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_said_where_there_is_no_field),
        cmocka_unit_test(seconds_are_read_with_and_without_decimals),
        cmocka_unit_test(what_is_too_long_to_be_held_is_for_ever),
        cmocka_unit_test(a_date_is_as_long_as_it_is_away),
        cmocka_unit_test(what_can_not_be_read_says_so),
        cmocka_unit_test(of_several_the_longest_counts),
        cmocka_unit_test(milliseconds_count_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
