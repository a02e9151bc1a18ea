/* Which addresses have failed lately. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/number.h"
#include "core/address_memory.h"

#define REMEMBER_NS (600 * NS_PER_S)

static struct address_memory memory;

static int set_up(void **state)
{
    address_memory_init(&memory);
    return 0;
}

static struct address_key key(uint32_t number)
{
    return (struct address_key){
        .ip = {[10] = 0xff, 0xff, 10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number},
        .owner = 3,
        .port = 443,
    };
}

static bool has(const struct address_key *address, int64_t now_ns)
{
    return address_memory_has(&memory, address, now_ns, REMEMBER_NS);
}

static void what_has_failed_is_known_for_so_long_and_no_longer(void **state)
{
    struct address_key bad = key(1);

    assert_false(has(&bad, 1));
    address_memory_note(&memory, &bad, NS_PER_S);
    assert_true(has(&bad, NS_PER_S));
    assert_true(has(&bad, NS_PER_S + REMEMBER_NS - 1));
    assert_int_equal(memory.count, 1);
    assert_false(has(&bad, NS_PER_S + REMEMBER_NS));
    assert_int_equal(memory.count, 0);
}

static void another_failure_begins_the_time_anew(void **state)
{
    struct address_key bad = key(1);

    address_memory_note(&memory, &bad, NS_PER_S);
    address_memory_note(&memory, &bad, 500 * NS_PER_S);
    assert_int_equal(memory.count, 1);
    assert_true(has(&bad, 1000 * NS_PER_S));
}

static void a_success_is_believed_at_once(void **state)
{
    struct address_key bad = key(1), good = key(2);

    address_memory_note(&memory, &bad, 1);
    address_memory_forget(&memory, &good);
    assert_true(has(&bad, 2));
    address_memory_forget(&memory, &bad);
    assert_false(has(&bad, 2));
    assert_int_equal(memory.count, 0);
}

static void other_ports_and_other_upstreams_are_other_addresses(void **state)
{
    struct address_key bad = key(1), other = bad;

    address_memory_note(&memory, &bad, 1);
    other.port = 80;
    assert_false(has(&other, 2));
    other = bad;
    other.owner = 4;
    assert_false(has(&other, 2));
}

static void nothing_is_remembered_for_no_time(void **state)
{
    struct address_key bad = key(1);

    address_memory_note(&memory, &bad, 7);
    assert_false(address_memory_has(&memory, &bad, 7, 0));
}

static void beyond_its_size_what_was_noted_longest_ago_goes(void **state)
{
    uint32_t size = ADDRESS_MEMORY_ROWS * ADDRESS_MEMORY_ROW, known = 0;

    for (uint32_t i = 0; i < 100 * size; i++) {
        struct address_key address = key(i);

        address_memory_note(&memory, &address, i + 1);
        assert_true(has(&address, i + 1));
    }
    assert_int_equal(memory.count, size);
    for (uint32_t i = 0; i < 100 * size; i++) {
        struct address_key address = key(i);

        if (!has(&address, 100 * size))
            continue;
        known++;
        assert_true(i > 97 * size); /* rows fill evenly */
    }
    assert_int_equal(known, size);
}

int main(void)
{
#define MEMORY_TEST(fn) cmocka_unit_test_setup(fn, set_up)
    const struct CMUnitTest tests[] = {
        MEMORY_TEST(what_has_failed_is_known_for_so_long_and_no_longer),
        MEMORY_TEST(another_failure_begins_the_time_anew),
        MEMORY_TEST(a_success_is_believed_at_once),
        MEMORY_TEST(other_ports_and_other_upstreams_are_other_addresses),
        MEMORY_TEST(nothing_is_remembered_for_no_time),
        MEMORY_TEST(beyond_its_size_what_was_noted_longest_ago_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
