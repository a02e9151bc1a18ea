#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/number.h"
#include "config/option_read.h"
#include "config/options.h"
#include "config/schema.h"

static const char *read_why(enum option_id id, const char *value, int64_t *out)
{
    static char block[300];
    struct text why = text_over(block, sizeof(block) - 1);

    if (option_read(&option_table[id], span_of(value), out, &why))
        return NULL;
    block[why.len] = '\0';
    return block;
}

/* A row whose default or bounds can't be read would make every file wrong. */
static void every_row_of_the_table_can_be_read(void **state)
{
    for (int id = 0; id < OPT_COUNT; id++) {
        const struct option *option = &option_table[id];
        int64_t n;

        assert_ptr_equal(option_find(option->section, span_of(option->key)), option);
        if (!option_is_number(option))
            continue;
        if (id != OPT_ROUTE_DEADLINE && id != OPT_POOL_HOST_SIZE && strcmp(option->fallback, "required") != 0)
            assert_null(read_why((enum option_id)id, option->fallback, &n));
        if (option->type <= OPTION_INTEGER)
            assert_string_not_equal(read_why((enum option_id)id, "-1", &n), "");
    }
}

static void an_option_belongs_to_its_section_alone(void **state)
{
    assert_non_null(option_find(SECTION_UPSTREAM, SPAN_LIT("deadline")));
    assert_ptr_equal(option_find(SECTION_DEFAULTS, SPAN_LIT("deadline")),
                     &option_table[OPT_UPSTREAM_DEADLINE]);
    assert_ptr_equal(option_find(SECTION_ROUTE, SPAN_LIT("deadline")), &option_table[OPT_ROUTE_DEADLINE]);
    assert_null(option_find(SECTION_ROOT, SPAN_LIT("deadline")));
    assert_null(option_find(SECTION_UPSTREAM, SPAN_LIT("Deadline")));
}

static void defaults_are_those_of_the_contract(void **state)
{
    struct option_values values;

    schema_init(&values);
    assert_int_equal(values.of[OPT_ROOT_WORKERS].number, 0);
    assert_int_equal(values.of[OPT_ROOT_DRAIN].number, 30 * NS_PER_S);
    assert_int_equal(values.of[OPT_UPSTREAM_DEADLINE].number, 5 * NS_PER_S);
    assert_int_equal(values.of[OPT_TIMEOUTS_CONNECT].number, NS_NEVER);
    assert_int_equal(values.of[OPT_POOL_SIZE].number, 50);
    assert_int_equal(values.of[OPT_POOL_QUEUE].number, 100);
    assert_int_equal(values.of[OPT_POOL_QUEUE_TIMEOUT].number, NS_NEVER);
    assert_int_equal(values.of[OPT_LIMITS_CONNECTIONS].number, 10000);
    assert_int_equal(values.of[OPT_LIMITS_REQUEST_HEAD].number, 32768);
    assert_int_equal(values.of[OPT_LIMITS_RESPONSE_HEAD].number, 65536);
}

static void values_are_read_up_to_their_bounds(void **state)
{
    int64_t n;

    assert_null(read_why(OPT_UPSTREAM_DEADLINE, "1ms", &n));
    assert_int_equal(n, NS_PER_MS);
    assert_null(read_why(OPT_UPSTREAM_DEADLINE, "24h", &n));
    assert_int_equal(n, 86400 * NS_PER_S);
    assert_null(read_why(OPT_ROOT_WORKERS, "256", &n));
    assert_int_equal(n, 256);
    assert_null(read_why(OPT_LIMITS_REQUEST_HEAD, "1MiB", &n));
    assert_int_equal(n, 1048576);
    assert_null(read_why(OPT_POOL_QUEUE, "0", &n));
    assert_int_equal(n, 0);
    assert_null(read_why(OPT_ADMIN_ALLOW_REMOTE, "true", &n));
    assert_int_equal(n, 1);
    assert_null(read_why(OPT_LOG_LEVEL, "debug", &n));
    assert_int_equal(n, 3);
    assert_null(read_why(OPT_TIMEOUTS_IDLE, "none", &n));
    assert_int_equal(n, NS_NEVER);
}

static void other_values_are_explained(void **state)
{
    static const struct {
        enum option_id id;
        const char *value, *why;
    } cases[] = {
        {OPT_UPSTREAM_DEADLINE, "2", "\"2\" has no unit; write for example 2s or 500ms"},
        {OPT_UPSTREAM_DEADLINE, "2sec", "\"2sec\" has an unknown unit; did you mean 2s?"},
        {OPT_UPSTREAM_DEADLINE, "soon", "\"soon\" is not a duration; write for example 2s or 500ms"},
        {OPT_UPSTREAM_DEADLINE, "", "\"\" is not a duration; write for example 2s or 500ms"},
        {OPT_UPSTREAM_DEADLINE, "none", "\"none\" is not a duration; write for example 2s or 500ms"},
        {OPT_UPSTREAM_DEADLINE, "999us", "\"999us\" is out of bounds: 1ms to 24h"},
        {OPT_UPSTREAM_DEADLINE, "24.1h", "\"24.1h\" is out of bounds: 1ms to 24h"},
        {OPT_UPSTREAM_DEADLINE, "99999999999999999999h",
         "\"99999999999999999999h\" is out of bounds: 1ms to 24h"},
        {OPT_ROOT_WORKERS, "0", "\"0\" is out of bounds: 1 to 256"},
        {OPT_ROOT_WORKERS, "257", "\"257\" is out of bounds: 1 to 256"},
        {OPT_ROOT_WORKERS, "18446744073709551615", "\"18446744073709551615\" is out of bounds: 1 to 256"},
        {OPT_ROOT_WORKERS, "two", "\"two\" is not a whole number; it is one from 1 to 256"},
        {OPT_ROOT_WORKERS, "1.5", "\"1.5\" is not a whole number; it is one from 1 to 256"},
        {OPT_ROOT_WORKERS, "-1", "\"-1\" is out of bounds: 1 to 256"},
        {OPT_POOL_QUEUE, "-99999999999999999999", "\"-99999999999999999999\" is out of bounds: 0 to 1000000"},
        {OPT_POOL_LINGER, "-1s", "\"-1s\" is out of bounds: 0s to 24h"},
        {OPT_LIMITS_REQUEST_HEAD, "-1KiB", "\"-1KiB\" is out of bounds: 1KiB to 1MiB"},
        {OPT_DNS_REFRESH, "-5%", "\"-5%\" is out of bounds: 1% to 100%"},
        {OPT_RATE_LIMIT, "-1/s", "\"-1/s\" is out of bounds: 1/h to 1000000/s"},
        {OPT_ROOT_WORKERS, "-", "\"-\" is not a whole number; it is one from 1 to 256"},
        {OPT_ROOT_WORKERS, "--1", "\"--1\" is not a whole number; it is one from 1 to 256"},
        {OPT_LIMITS_REQUEST_HEAD, "32", "\"32\" has no unit; write for example 32KiB or 1MiB"},
        {OPT_LIMITS_REQUEST_HEAD, "32K", "\"32K\" has an unknown unit; did you mean 32KiB?"},
        {OPT_LIMITS_REQUEST_HEAD, "big", "\"big\" is not a size; write for example 32KiB or 1MiB"},
        {OPT_LIMITS_REQUEST_HEAD, "1023B", "\"1023B\" is out of bounds: 1KiB to 1MiB"},
        {OPT_ADMIN_ALLOW_REMOTE, "yes", "\"yes\" is neither true nor false; did you mean true?"},
        {OPT_LOG_LEVEL, "warning", "\"warning\" is none of error, warn, info, debug; did you mean \"warn\"?"},
        {OPT_LOG_LEVEL, "wran", "\"wran\" is none of error, warn, info, debug; did you mean \"warn\"?"},
        {OPT_TLS_MIN_VERSION, "1.1", "\"1.1\" is none of 1.2, 1.3; did you mean \"1.2\"?"},
        {OPT_UPSTREAM_DEADLINE, "a\x1b[31m\n",
         "\"a\\u001b[31m\\n\" is not a duration; write for example 2s or 500ms"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t n;
        const char *why = read_why(cases[i].id, cases[i].value, &n);

        assert_non_null(why);
        assert_string_equal(why, cases[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_of_the_table_can_be_read),
        cmocka_unit_test(an_option_belongs_to_its_section_alone),
        cmocka_unit_test(defaults_are_those_of_the_contract),
        cmocka_unit_test(values_are_read_up_to_their_bounds),
        cmocka_unit_test(other_values_are_explained),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
