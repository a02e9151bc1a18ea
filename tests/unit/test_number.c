#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/number.h"

struct number_case {
    const char *text;
    enum number_status status;
    uint64_t value;
};

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static void check(const struct number_case *cases, size_t count,
                  enum number_status (*read)(struct span s, uint64_t *out))
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = 77;
        enum number_status status = read(span_of(cases[i].text), &value);

        if (status != cases[i].status || (status == NUMBER_OK && value != cases[i].value))
            fail_msg("\"%s\": status %d, value %llu", cases[i].text, (int)status, (unsigned long long)value);
    }
}

static void plain_numbers_are_digits_alone(void **state)
{
    static const struct number_case cases[] = {
        {"0", NUMBER_OK, 0},
        {"007", NUMBER_OK, 7},
        {"18446744073709551615", NUMBER_OK, UINT64_MAX},
        {"18446744073709551616", NUMBER_TOO_LARGE, 0},
        {"99999999999999999999999", NUMBER_TOO_LARGE, 0},
        {"", NUMBER_SYNTAX, 0},
        {"+1", NUMBER_SYNTAX, 0},
        {"-1", NUMBER_SYNTAX, 0},
        {" 1", NUMBER_SYNTAX, 0},
        {"1 ", NUMBER_SYNTAX, 0},
        {"0x10", NUMBER_SYNTAX, 0},
        {"1.0", NUMBER_SYNTAX, 0},
        {"99999999999999999999999x", NUMBER_SYNTAX, 0},
    };

    check(cases, ARRAY_SIZE(cases), number_u64);
}

static void hex_has_sixteen_digits_at_most(void **state)
{
    static const struct number_case cases[] = {
        {"0", NUMBER_OK, 0},
        {"1aF", NUMBER_OK, 0x1af},
        {"ffffffffffffffff", NUMBER_OK, UINT64_MAX},
        {"00000000000000000", NUMBER_TOO_LARGE, 0},
        {"", NUMBER_SYNTAX, 0},
        {"0x1", NUMBER_SYNTAX, 0},
        {"g", NUMBER_SYNTAX, 0},
        {"1 ", NUMBER_SYNTAX, 0},
        {"@", NUMBER_SYNTAX, 0},
    };

    check(cases, ARRAY_SIZE(cases), number_hex);
}

static enum number_status read_duration(struct span s, uint64_t *out)
{
    int64_t ns = 0;
    enum number_status status = number_duration(s, &ns);

    *out = (uint64_t)ns;
    return status;
}

static void durations_have_a_unit(void **state)
{
    static const struct number_case cases[] = {
        {"500ms", NUMBER_OK, 500000000},
        {"2s", NUMBER_OK, 2000000000},
        {"10m", NUMBER_OK, 600000000000},
        {"1h", NUMBER_OK, 3600000000000},
        {"250us", NUMBER_OK, 250000},
        {"1.5s", NUMBER_OK, 1500000000},
        {"0.001us", NUMBER_OK, 1},
        {"0s", NUMBER_OK, 0},
        {"9223372036.854775806s", NUMBER_OK, INT64_MAX - 1},
        {"9223372036.854775807s", NUMBER_TOO_LARGE, 0},
        {"99999999999999999999h", NUMBER_TOO_LARGE, 0},
        {"2", NUMBER_NO_UNIT, 0},
        {"0", NUMBER_NO_UNIT, 0},
        {"1.5", NUMBER_NO_UNIT, 0},
        {"2sec", NUMBER_BAD_UNIT, 0},
        {"2S", NUMBER_BAD_UNIT, 0},
        {"2KiB", NUMBER_BAD_UNIT, 0},
        {"", NUMBER_SYNTAX, 0},
        {"s", NUMBER_SYNTAX, 0},
        {"-2s", NUMBER_SYNTAX, 0},
        {"2 s", NUMBER_SYNTAX, 0},
        {".5s", NUMBER_SYNTAX, 0},
        {"1.s", NUMBER_SYNTAX, 0},
        {"1.2.3s", NUMBER_SYNTAX, 0},
        {"0.0001us", NUMBER_SYNTAX, 0},
        {"1.0000000001s", NUMBER_SYNTAX, 0},
        {"1m30s", NUMBER_OK, 90000000000},
        {"1h0m0.5s", NUMBER_OK, 3600500000000},
        {"2h45m30s500ms250us", NUMBER_OK, 9930500250000},
        {"1s1", NUMBER_NO_UNIT, 0},
        {"1m30", NUMBER_NO_UNIT, 0},
        {"1m30sec", NUMBER_BAD_UNIT, 0},
        {"30s1m", NUMBER_SYNTAX, 0},
        {"1s1s", NUMBER_SYNTAX, 0},
        {"1.5m30s", NUMBER_SYNTAX, 0},
        {"1m 30s", NUMBER_SYNTAX, 0},
        {"1m-30s", NUMBER_SYNTAX, 0},
        {"1m30s ", NUMBER_SYNTAX, 0},
        {"2562047h47m16.854775806s", NUMBER_OK, INT64_MAX - 1},
        {"2562047h47m16.854775807s", NUMBER_TOO_LARGE, 0},
        {"1h99999999999999999999s", NUMBER_TOO_LARGE, 0},
    };

    check(cases, ARRAY_SIZE(cases), read_duration);
}

static void sizes_have_a_unit(void **state)
{
    static const struct number_case cases[] = {
        {"512B", NUMBER_OK, 512},       {"32KiB", NUMBER_OK, 32768},
        {"4MiB", NUMBER_OK, 4194304},   {"1GiB", NUMBER_OK, 1073741824},
        {"10kB", NUMBER_OK, 10000},     {"1MB", NUMBER_OK, 1000000},
        {"1GB", NUMBER_OK, 1000000000}, {"1.5KiB", NUMBER_OK, 1536},
        {"0.5B", NUMBER_SYNTAX, 0},     {"32", NUMBER_NO_UNIT, 0},
        {"32K", NUMBER_BAD_UNIT, 0},    {"32KB", NUMBER_BAD_UNIT, 0},
        {"32kib", NUMBER_BAD_UNIT, 0},  {"18446744073709551615GiB", NUMBER_TOO_LARGE, 0},
    };

    check(cases, ARRAY_SIZE(cases), number_size);
}

static void assert_put(void (*put)(struct text *t, uint64_t n), uint64_t n, const char *expected)
{
    char block[64];
    struct text t = text_over(block, sizeof(block) - 1);

    put(&t, n);
    block[t.len] = '\0';
    assert_string_equal(block, expected);
}

static void put_duration(struct text *t, uint64_t n)
{
    number_put_duration(t, (int64_t)n);
}

static void durations_are_written_in_their_shortest_form(void **state)
{
    assert_put(put_duration, 2000000000, "2s");
    assert_put(put_duration, 500000000, "500ms");
    assert_put(put_duration, 1500000000, "1.5s");
    assert_put(put_duration, 60000000000, "1m");
    assert_put(put_duration, 90000000000, "90s");
    assert_put(put_duration, 86400000000000, "24h");
    assert_put(put_duration, 250, "0.25us");
    assert_put(put_duration, 0, "0s");
    assert_put(put_duration, (uint64_t)NS_NEVER, "none");
}

static void sizes_are_written_in_their_shortest_form(void **state)
{
    assert_put(number_put_size, 32768, "32KiB");
    assert_put(number_put_size, 64000, "64kB");
    assert_put(number_put_size, 1048576, "1MiB");
    assert_put(number_put_size, 1023, "1023B");
    assert_put(number_put_size, 0, "0B");
}

static void what_is_written_reads_the_same_again(void **state)
{
    uint64_t n = 1;

    for (int i = 0; i < 20000; i++) {
        char block[64];
        struct text t = text_over(block, sizeof(block));
        uint64_t again = 0;

        n = n * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        put_duration(&t, n >> (1 + i % 62));
        assert_int_equal(read_duration(text_span(&t), &again), NUMBER_OK);
        assert_int_equal(again, n >> (1 + i % 62));
        t = text_over(block, sizeof(block));
        number_put_size(&t, n >> (i % 63));
        assert_int_equal(number_size(text_span(&t), &again), NUMBER_OK);
        assert_int_equal(again, n >> (i % 63));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_numbers_are_digits_alone),
        cmocka_unit_test(hex_has_sixteen_digits_at_most),
        cmocka_unit_test(durations_have_a_unit),
        cmocka_unit_test(sizes_have_a_unit),
        cmocka_unit_test(durations_are_written_in_their_shortest_form),
        cmocka_unit_test(sizes_are_written_in_their_shortest_form),
        cmocka_unit_test(what_is_written_reads_the_same_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
