#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/ejection.h"

#define S INT64_C(1000000000)

static const struct ejection_terms terms = {.failures = 3, .time_ns = 10 * S, .time_max_ns = 25 * S};

static struct ejection ejection;

static void fresh(void)
{
    ejection_init(&ejection, 42);
}

static struct address_key key_of(uint32_t owner, uint8_t last)
{
    struct address_key key = {.owner = owner, .port = 443};

    key.ip[15] = last;
    return key;
}

static void bad(uint8_t last, uint32_t count, int64_t now_ns, uint32_t times)
{
    struct address_key key = key_of(1, last);

    for (uint32_t i = 0; i < times; i++)
        ejection_bad(&ejection, &terms, &key, count, now_ns);
}

static void good(uint8_t last)
{
    struct address_key key = key_of(1, last);

    ejection_good(&ejection, &key);
}

/* Of addresses 0 to count - 1. */
static uint32_t choose(uint32_t count, int64_t now_ns, uint32_t *probe)
{
    struct address_key keys[32];

    for (uint32_t i = 0; i < count; i++)
        keys[i] = key_of(1, (uint8_t)i);
    return ejection_choose(&ejection, &terms, keys, count, now_ns, probe);
}

static void an_address_goes_last_after_failures_in_a_row(void **state)
{
    uint32_t probe;

    (void)state;
    fresh();
    bad(1, 3, 100 * S, 2);
    assert_int_equal(choose(3, 100 * S, &probe), 0);
    bad(1, 3, 100 * S, 1);
    assert_int_equal(choose(3, 100 * S, &probe), 2);
    assert_int_equal(probe, 3);
    assert_int_equal(ejection_count(&ejection, 1, ADDRESS_OUT), 1);
}

static void a_good_one_begins_the_row_anew(void **state)
{
    uint32_t probe;

    (void)state;
    fresh();
    for (int i = 0; i < 10; i++) {
        bad(1, 3, 100 * S, 2);
        good(1);
    }
    assert_int_equal(choose(3, 100 * S, &probe), 0);
    assert_int_equal(ejection.count, 0);
}

/* B11 */
static void never_more_than_half_are_out(void **state)
{
    static const struct {
        uint32_t count, out;
    } cells[] = {{1, 0}, {2, 1}, {3, 1}, {4, 2}, {5, 2}, {10, 5}, {32, 16}};

    (void)state;
    for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
        uint32_t probe;

        fresh();
        for (uint32_t a = 0; a < cells[i].count; a++)
            bad((uint8_t)a, cells[i].count, 100 * S, 20);
        assert_int_equal(ejection_count(&ejection, 1, ADDRESS_OUT), cells[i].out);
        assert_int_equal(__builtin_popcount(choose(cells[i].count, 100 * S, &probe)), cells[i].out);
    }
}

static void its_time_over_the_next_call_is_a_probe_and_one_is(void **state)
{
    uint32_t probe;
    int64_t until_ns;

    (void)state;
    fresh();
    bad(1, 3, 100 * S, 3);
    until_ns = ejection.entries[0].until_ns;
    assert_in_range(until_ns, 109 * S, 111 * S);
    assert_int_equal(choose(3, until_ns - 1, &probe), 2);
    assert_int_equal(probe, 3);
    assert_true(ejection_wants_probe(&ejection, 1, until_ns));
    assert_false(ejection_wants_probe(&ejection, 2, until_ns));
    assert_int_equal(choose(3, until_ns, &probe), 0);
    assert_int_equal(probe, 1);
    assert_int_equal(ejection_count(&ejection, 1, ADDRESS_PROBING), 1);
    assert_false(ejection_wants_probe(&ejection, 1, until_ns));
    assert_int_equal(choose(3, until_ns, &probe), 2); /* the others do not go there */
    assert_int_equal(probe, 3);
}

static void a_good_probe_ends_it_and_a_bad_one_makes_it_longer(void **state)
{
    static const int64_t want[] = {10 * S, 20 * S, 25 * S, 25 * S};
    int64_t now_ns = 100 * S;
    uint32_t probe;

    (void)state;
    fresh();
    bad(1, 3, now_ns, 3);
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        assert_in_range(ejection.entries[0].until_ns - now_ns, want[i] / 10 * 9, want[i] / 10 * 11);
        now_ns = ejection.entries[0].until_ns;
        assert_int_equal(choose(3, now_ns, &probe), 0);
        assert_int_equal(probe, 1);
        bad(1, 3, now_ns, 1);
    }
    now_ns = ejection.entries[0].until_ns;
    assert_int_equal(choose(3, now_ns, &probe), 0);
    good(1);
    assert_int_equal(ejection.count, 0);
    bad(1, 3, now_ns, 3);
    assert_in_range(ejection.entries[0].until_ns - now_ns, 9 * S, 11 * S);
}

static void a_probe_that_says_nothing_is_followed_by_another(void **state)
{
    uint32_t probe;
    int64_t now_ns;

    (void)state;
    fresh();
    bad(1, 3, 100 * S, 3);
    now_ns = ejection.entries[0].until_ns;
    assert_int_equal(choose(3, now_ns, &probe), 0);
    now_ns = ejection.entries[0].until_ns;
    assert_int_equal(choose(3, now_ns, &probe), 0);
    assert_int_equal(probe, 1);
}

static void a_probe_that_can_not_be_connected_is_bad(void **state)
{
    struct address_key key = key_of(1, 1), other = key_of(1, 2);
    uint32_t probe;
    int64_t now_ns;

    (void)state;
    fresh();
    bad(1, 3, 100 * S, 3);
    now_ns = ejection.entries[0].until_ns;
    ejection_unreachable(&ejection, &terms, &key, now_ns - 1);
    ejection_unreachable(&ejection, &terms, &other, now_ns - 1);
    assert_int_equal(ejection.entries[0].until_ns, now_ns);
    assert_int_equal(choose(3, now_ns, &probe), 0);
    ejection_unreachable(&ejection, &terms, &key, now_ns);
    assert_int_equal(ejection.entries[0].state, ADDRESS_OUT);
    assert_int_equal(ejection.entries[0].times, 2);
    assert_int_equal(ejection.count, 1);
}

static void late_verdicts_of_before_change_nothing(void **state)
{
    uint32_t probe;

    (void)state;
    fresh();
    bad(1, 3, 100 * S, 3);
    good(1);
    bad(1, 3, 101 * S, 10);
    assert_int_equal(choose(3, 102 * S, &probe), 2);
    assert_int_equal(ejection.entries[0].times, 1);
}

static void addresses_that_the_name_has_no_more_are_forgotten_and_others_stay(void **state)
{
    struct address_key other = key_of(2, 9);
    uint32_t probe;

    (void)state;
    fresh();
    bad(7, 3, 100 * S, 3);
    for (int i = 0; i < 3; i++)
        ejection_bad(&ejection, &terms, &other, 3, 100 * S);
    assert_int_equal(ejection.count, 2);
    assert_int_equal(choose(3, 100 * S, &probe), 0);
    assert_int_equal(ejection.count, 1);
    assert_true(ejection_is_out(&ejection, &other, 100 * S));
}

/* A3: a name that says nothing for a while keeps its last answer, and what is known of it. */
static void what_is_out_stays_out_as_long_as_the_name_has_it(void **state)
{
    struct address_key key = key_of(1, 1);
    uint32_t probe;

    (void)state;
    fresh();
    bad(1, 2, 100 * S, 3);
    for (int i = 0; i < 8; i++)
        assert_int_equal(choose(2, (100 + i) * S, &probe), 2);
    assert_true(ejection_is_out(&ejection, &key, 108 * S));
    assert_false(ejection_is_out(&ejection, &key, 112 * S));
}

static void without_room_nothing_is_left_out(void **state)
{
    (void)state;
    fresh();
    for (uint32_t owner = 0; owner < 2 * EJECTION_ENTRIES; owner++) {
        struct address_key key = key_of(owner, 1);

        for (int i = 0; i < 3; i++)
            ejection_bad(&ejection, &terms, &key, 2, 100 * S);
        assert_int_equal(ejection_count(&ejection, owner, ADDRESS_OUT), owner < EJECTION_ENTRIES);
    }
    assert_int_equal(ejection.count, EJECTION_ENTRIES);
}

static void without_failures_there_is_no_ejection(void **state)
{
    static const struct ejection_terms none;
    struct address_key key = key_of(1, 1);

    (void)state;
    fresh();
    for (int i = 0; i < 100; i++)
        ejection_bad(&ejection, &none, &key, 10, 100 * S);
    assert_int_equal(ejection.count, 0);
    assert_string_equal(ejection_state_name(ADDRESS_UP), "up");
    assert_string_equal(ejection_state_name(ADDRESS_OUT), "out");
    assert_string_equal(ejection_state_name(ADDRESS_PROBING), "probing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_goes_last_after_failures_in_a_row),
        cmocka_unit_test(a_good_one_begins_the_row_anew),
        cmocka_unit_test(never_more_than_half_are_out),
        cmocka_unit_test(its_time_over_the_next_call_is_a_probe_and_one_is),
        cmocka_unit_test(a_good_probe_ends_it_and_a_bad_one_makes_it_longer),
        cmocka_unit_test(a_probe_that_says_nothing_is_followed_by_another),
        cmocka_unit_test(a_probe_that_can_not_be_connected_is_bad),
        cmocka_unit_test(late_verdicts_of_before_change_nothing),
        cmocka_unit_test(addresses_that_the_name_has_no_more_are_forgotten_and_others_stay),
        cmocka_unit_test(what_is_out_stays_out_as_long_as_the_name_has_it),
        cmocka_unit_test(without_room_nothing_is_left_out),
        cmocka_unit_test(without_failures_there_is_no_ejection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
