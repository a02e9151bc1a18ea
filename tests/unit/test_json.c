#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/json.h"

static void assert_text(const struct text *t, const char *expected)
{
    assert_int_equal(t->len, strlen(expected));
    assert_memory_equal(t->ptr, expected, t->len);
}

static void commas_stand_between_members_at_every_depth(void **state)
{
    char block[200];
    struct text t = text_over(block, sizeof(block));
    struct jsonw j = jsonw_on(&t);

    jsonw_open_object(&j, NULL);
    jsonw_open_object(&j, "empty");
    jsonw_close_object(&j);
    jsonw_string(&j, "s", SPAN_LIT("x"));
    jsonw_open_object(&j, "phases_ms");
    jsonw_ms(&j, "queue", 1500000);
    jsonw_ms(&j, "wait", 2000000000);
    jsonw_close_object(&j);
    jsonw_u64(&j, "n", UINT64_MAX);
    jsonw_bool(&j, "yes", true);
    jsonw_bool(&j, "no", false);
    jsonw_close_object(&j);
    assert_text(&t, "{\"empty\":{},\"s\":\"x\",\"phases_ms\":{\"queue\":1.5,\"wait\":2000},"
                    "\"n\":18446744073709551615,\"yes\":true,\"no\":false}");
}

static void elements_have_no_keys(void **state)
{
    char block[200];
    struct text t = text_over(block, sizeof(block));
    struct jsonw j = jsonw_on(&t);

    jsonw_open_array(&j, NULL);
    jsonw_i64(&j, NULL, INT64_MIN);
    jsonw_open_object(&j, NULL);
    jsonw_text(&j, "none", NULL);
    jsonw_text(&j, "some", "x");
    jsonw_joined(&j, "both", (const struct span[]){SPAN_LIT("x\n"), SPAN_LIT("y")}, 2);
    jsonw_close_object(&j);
    jsonw_open_array(&j, NULL);
    jsonw_close_array(&j);
    jsonw_hex(&j, NULL, 0xbeef);
    jsonw_close_array(&j);
    assert_text(&t, "[-9223372036854775808,{\"none\":null,\"some\":\"x\",\"both\":\"x\\ny\"},[],\"beef\"]");
}

static void a_real_number_stays_one_where_it_is_read(void **state)
{
    static const struct {
        double value;
        const char *expected;
    } reals[] = {
        {0, "0.0"},
        {2, "2.0"},
        {0.087116, "0.087116"},
        {-1.5, "-1.5"},
        {0.00005, "5e-5"},
        {2.5e-10, "2.5e-10"},
        {1e15, "1e15"},
        {123456789012345, "123456789012345.0"},
    };

    for (size_t i = 0; i < sizeof(reals) / sizeof(reals[0]); i++) {
        char block[64];
        struct text t = text_over(block, sizeof(block));
        struct jsonw j = jsonw_on(&t);

        jsonw_real(&j, NULL, reals[i].value, 15);
        assert_text(&t, reals[i].expected);
    }
}

static void keep_last(struct jsonw *j)
{
    j->out->len = 0;
}

static void a_text_that_is_flushed_never_overflows(void **state)
{
    static const char run[2000];
    char block[512];
    struct text t = text_over(block, sizeof(block));
    struct jsonw j = jsonw_flushed(&t, keep_last);

    jsonw_open_array(&j, NULL);
    for (int i = 0; i < 1000; i++) {
        jsonw_u64(&j, NULL, UINT64_MAX);
        jsonw_string(&j, NULL, (struct span){run, (size_t)i * 2});
    }
    jsonw_close_array(&j);
    assert_false(t.overflow);
}

static void objects_nest_sixteen_deep(void **state)
{
    char block[200];
    struct text t = text_over(block, sizeof(block));
    struct jsonw j = jsonw_on(&t);

    jsonw_open_object(&j, NULL);
    for (int i = 0; i < 15; i++)
        jsonw_open_object(&j, "a");
    jsonw_u64(&j, "n", 1);
    for (int i = 0; i < 16; i++)
        jsonw_close_object(&j);
    assert_false(t.overflow);
    assert_int_equal(t.len, strlen("{") + 15 * strlen("\"a\":{") + strlen("\"n\":1") + 16);
}

/* As SPAN_LIT, but fit for a static table. */
#define SPAN_INIT(literal)                                                                                   \
    {                                                                                                        \
        "" literal, sizeof(literal) - 1                                                                      \
    }

static const struct {
    struct span value;
    const char *expected;
} strings[] = {
    {{"", 0}, "\"\""},
    {SPAN_INIT("plain text"), "\"plain text\""},
    {SPAN_INIT("a\"b\\c"), "\"a\\\"b\\\\c\""},
    {SPAN_INIT("\n\r\t\0\x1f\x7f"), "\"\\n\\r\\t\\u0000\\u001f\\u007f\""},
    {SPAN_INIT("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"),
     "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\""},
    {SPAN_INIT("\xc2\x9b"
               "c"),
     "\"\\u009bc\""},
    {SPAN_INIT("\xc2\xa0"), "\"\xc2\xa0\""},
    /* not UTF-8: stray, cut short, overlong, surrogate, beyond the last code point */
    {SPAN_INIT("a\x80z"), "\"a\xef\xbf\xbdz\""},
    {SPAN_INIT("\xe2\x82"), "\"\xef\xbf\xbd\xef\xbf\xbd\""},
    {SPAN_INIT("\xc3("), "\"\xef\xbf\xbd(\""},
    {SPAN_INIT("\xc0\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\""},
    {SPAN_INIT("\xe0\x80\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    {SPAN_INIT("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    {SPAN_INIT("\xf4\x90\x80\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    {SPAN_INIT("\xff\xfe"), "\"\xef\xbf\xbd\xef\xbf\xbd\""},
};

static void any_bytes_become_one_line_of_valid_json(void **state)
{
    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        char block[100];
        struct text t = text_over(block, sizeof(block));

        jsonw_quote(&t, strings[i].value);
        assert_false(t.overflow);
        assert_text(&t, strings[i].expected);
    }
}

static void a_value_that_does_not_fit_is_seen_at_the_end(void **state)
{
    char block[16];
    struct text t = text_over(block, sizeof(block));
    struct jsonw j = jsonw_on(&t);

    jsonw_open_object(&j, NULL);
    jsonw_string(&j, "key", SPAN_LIT("much too long"));
    jsonw_close_object(&j);
    assert_true(t.overflow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commas_stand_between_members_at_every_depth),
        cmocka_unit_test(elements_have_no_keys),
        cmocka_unit_test(a_real_number_stays_one_where_it_is_read),
        cmocka_unit_test(a_text_that_is_flushed_never_overflows),
        cmocka_unit_test(objects_nest_sixteen_deep),
        cmocka_unit_test(any_bytes_become_one_line_of_valid_json),
        cmocka_unit_test(a_value_that_does_not_fit_is_seen_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
