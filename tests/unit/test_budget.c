/* The time that callers leave us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/number.h"
#include "core/budget.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BAD          INT64_C(-1)

struct dialect {
    const char *value;
    int64_t want_ns; /* BAD: does not parse */
};

static void check(const char *name, const struct dialect *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t ns = 0;

        print_message("%s: %s\n", name, values[i].value);
        assert_int_equal(budget_parse(span_of(name), span_of(values[i].value), &ns),
                         values[i].want_ns != BAD);
        if (values[i].want_ns != BAD)
            assert_int_equal(ns, values[i].want_ns);
    }
}

static void other_names_are_whole_milliseconds(void **state)
{
    static const struct dialect values[] = {
        {"0", 0},
        {"1", NS_PER_MS},
        {"1500", 1500 * NS_PER_MS},
        {"0001500", 1500 * NS_PER_MS},
        {"9223372036854", INT64_C(9223372036854) * NS_PER_MS},
        {"9223372036855", NS_NEVER},
        {"18446744073709551616", NS_NEVER},
        {"99999999999999999999999999", NS_NEVER},
        {"", BAD},
        {" 1", BAD},
        {"1 ", BAD},
        {"+1", BAD},
        {"-1", BAD},
        {"1.5", BAD},
        {"1ms", BAD},
        {"1S", BAD},
        {"0x1", BAD},
        {"1,1", BAD},
        {"inf", BAD},
    };

    check("X-Request-Timeout-Ms", values, COUNT(values));
    check("x-envoy-upstream-rq-timeout-ms", values, COUNT(values));
}

static void grpc_timeout_is_digits_and_a_unit(void **state)
{
    static const struct dialect values[] = {
        {"1H", 3600 * NS_PER_S},
        {"2M", 120 * NS_PER_S},
        {"3S", 3 * NS_PER_S},
        {"4m", 4 * NS_PER_MS},
        {"5u", 5 * NS_PER_US},
        {"6n", 6},
        {"0n", 0},
        {"99999999n", 99999999},
        {"00000001S", NS_PER_S},
        {"2562047H", INT64_C(2562047) * 3600 * NS_PER_S},
        {"2562048H", NS_NEVER},
        {"99999999H", NS_NEVER},
        {"000000001S", BAD},
        {"999999999n", BAD},
        {"", BAD},
        {"S", BAD},
        {"1", BAD},
        {"1s", BAD},
        {"1h", BAD},
        {"1 S", BAD},
        {"1S ", BAD},
        {"-1S", BAD},
        {"1.5S", BAD},
        {"1ms", BAD},
    };

    check("grpc-timeout", values, COUNT(values));
    check("GRPC-Timeout", values, COUNT(values));
}

static void what_is_left_is_rounded_down_and_0_only_when_nothing_is(void **state)
{
    assert_int_equal(budget_left_ms(10 * NS_PER_MS, 0), 10);
    assert_int_equal(budget_left_ms(10 * NS_PER_MS, 1), 9);
    assert_int_equal(budget_left_ms(10 * NS_PER_MS, 9 * NS_PER_MS), 1);
    assert_int_equal(budget_left_ms(10 * NS_PER_MS, 9 * NS_PER_MS + 1), 1);
    assert_int_equal(budget_left_ms(10 * NS_PER_MS, 10 * NS_PER_MS - 1), 1);
    assert_int_equal(budget_left_ms(10 * NS_PER_MS, 10 * NS_PER_MS), 0);
    assert_int_equal(budget_left_ms(10 * NS_PER_MS, 11 * NS_PER_MS), 0);
    assert_int_equal(budget_left_ms(NS_NEVER, -1), NS_NEVER / NS_PER_MS);
}

static void an_end_beyond_all_time_is_never(void **state)
{
    assert_int_equal(budget_end(5, 7), 12);
    assert_int_equal(budget_end(5, NS_NEVER), NS_NEVER);
    assert_int_equal(budget_end(0, NS_NEVER), NS_NEVER);
    assert_int_equal(budget_end(2, NS_NEVER - 1), NS_NEVER);
    assert_int_equal(budget_end(1, NS_NEVER - 2), NS_NEVER - 1);
}

static void addresses_are_raced_until_the_next_end_and_of_an_observed_call_until_what_it_would_have_had(
    void **state)
{
    assert_int_equal(budget_race_end(5, 9, NS_NEVER, 1), 5);
    assert_int_equal(budget_race_end(9, 5, NS_NEVER, 1), 5);
    assert_int_equal(budget_race_end(9, 8, 5, 1), 5);
    assert_int_equal(budget_race_end(9, 8, 5, 5), 8); /* that has passed */
    assert_int_equal(budget_race_end(3, 8, 5, 1), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_names_are_whole_milliseconds),
        cmocka_unit_test(grpc_timeout_is_digits_and_a_unit),
        cmocka_unit_test(what_is_left_is_rounded_down_and_0_only_when_nothing_is),
        cmocka_unit_test(an_end_beyond_all_time_is_never),
        cmocka_unit_test(
            addresses_are_raced_until_the_next_end_and_of_an_observed_call_until_what_it_would_have_had),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
