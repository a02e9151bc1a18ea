/* Names that a forward proxy's callers may go to: the first entry decides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/destination.h"

static struct host_pattern pattern_of(const char *text)
{
    struct host_pattern pattern;

    assert_int_equal(host_pattern_read(span_of(text), &pattern), HOST_PATTERN_OK);
    return pattern;
}

static bool has(const char *pattern_text, const char *host)
{
    struct host_pattern pattern = pattern_of(pattern_text);

    return host_pattern_has(&pattern, span_of(host));
}

static void a_pattern_has_a_name_or_what_is_below_one(void **state)
{
    assert_true(has("api.example.com", "api.example.com"));
    assert_false(has("api.example.com", "x.api.example.com"));
    assert_false(has("api.example.com", "api.example.com.evil"));
    assert_true(has("*.example.com", "a.example.com"));
    assert_true(has("*.example.com", "a.b.example.com"));
    assert_false(has("*.example.com", "example.com"));
    assert_false(has("*.example.com", ".example.com"));
    assert_false(has("*.example.com", "evilexample.com"));
    assert_false(has("*.example.com", "a.example.com.evil"));
    assert_true(has("*", "anything"));
    assert_true(has("*", "192.0.2.1"));
    assert_true(has("192.0.2.1", "192.0.2.1"));
    assert_true(has("api.example.com.", "api.example.com"));
}

static void the_first_entry_decides(void **state)
{
    struct host_pattern first[] = {pattern_of("a.com"), pattern_of("*.b.com")}, second[] = {pattern_of("*")};
    struct destination_hosts entries[] = {{first, 2}, {second, 1}};

    assert_int_equal(destination_find(entries, 2, SPAN_LIT("a.com")), 0);
    assert_int_equal(destination_find(entries, 2, SPAN_LIT("x.b.com")), 0);
    assert_int_equal(destination_find(entries, 2, SPAN_LIT("b.com")), 1);
    assert_int_equal(destination_find(entries, 1, SPAN_LIT("b.com")), 1);
    assert_int_equal(destination_find(entries, 0, SPAN_LIT("b.com")), 0);
}

static void a_star_stands_alone_or_before_a_dot(void **state)
{
    static const char *const bad[] = {"*a.com", "a.*", "a.*.com", "**", "*.", "*.*", "*.*.com", "*..*"};
    struct host_pattern pattern;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (host_pattern_read(span_of(bad[i]), &pattern) != HOST_PATTERN_STAR)
            fail_msg("%s is taken", bad[i]);
    assert_int_equal(host_pattern_read(SPAN_LIT(""), &pattern), HOST_PATTERN_EMPTY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pattern_has_a_name_or_what_is_below_one),
        cmocka_unit_test(the_first_entry_decides),
        cmocka_unit_test(a_star_stands_alone_or_before_a_dot),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
