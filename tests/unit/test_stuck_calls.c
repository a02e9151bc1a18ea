/* The calls that got stuck last, and how those of several workers come together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "stats/stuck_calls.h"

static void put(struct stuck_calls *calls, int64_t ended_ns)
{
    *stuck_calls_next(calls) = (struct stuck_call){.id = (uint64_t)ended_ns, .ended_ns = ended_ns};
}

static void expect(const struct stuck_calls *calls, uint32_t count, const int64_t *ended_ns)
{
    assert_int_equal(calls->count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(stuck_calls_at(calls, i)->ended_ns, ended_ns[i]);
        assert_int_equal(stuck_calls_at(calls, i)->id, ended_ns[i]);
    }
}

static void they_are_kept_in_their_order(void **state)
{
    static const int64_t expected[] = {1, 2, 3};
    struct stuck_calls calls = {0};

    for (int64_t i = 1; i <= 3; i++)
        put(&calls, i);
    expect(&calls, 3, expected);
}

static void the_oldest_makes_room(void **state)
{
    struct stuck_calls calls = {0};

    for (int64_t i = 1; i <= (int64_t)STUCK_CALLS * 2 + 5; i++)
        put(&calls, i);
    assert_int_equal(calls.count, STUCK_CALLS);
    for (uint32_t i = 0; i < STUCK_CALLS; i++)
        assert_int_equal(stuck_calls_at(&calls, i)->ended_ns, STUCK_CALLS + 6 + i);
}

static void those_of_several_workers_come_together_by_their_ends(void **state)
{
    static const int64_t expected[] = {1, 2, 3, 4, 5, 6};
    struct stuck_calls sum = {0}, a = {0}, b = {0};

    put(&a, 2);
    put(&a, 3);
    put(&a, 6);
    put(&b, 1);
    put(&b, 4);
    put(&b, 5);
    stuck_calls_take(&sum, &a);
    stuck_calls_take(&sum, &b);
    expect(&sum, 6, expected);
    assert_int_equal(a.count, 0);
    put(&a, 7);
    assert_int_equal(stuck_calls_at(&a, 0)->ended_ns, 7);
}

static void of_too_many_the_newest_are_taken(void **state)
{
    struct stuck_calls sum = {0}, a = {0}, b = {0};

    for (int64_t i = 0; i < (int64_t)STUCK_CALLS; i++) {
        put(&a, 2 * i + 100);
        put(&b, 2 * i + 101);
    }
    stuck_calls_take(&sum, &b);
    stuck_calls_take(&sum, &a);
    put(&a, 1);
    stuck_calls_take(&sum, &a);
    assert_int_equal(sum.count, STUCK_CALLS);
    for (uint32_t i = 0; i < STUCK_CALLS; i++)
        assert_int_equal(stuck_calls_at(&sum, i)->ended_ns, 100 + STUCK_CALLS + i);
}

static void what_became_of_them_is_kept_likewise(void **state)
{
    struct late_calls sum = {0}, part = {0};

    for (uint64_t id = 1; id <= STUCK_CALLS + 3; id++)
        *late_calls_next(&part) = (struct late_call){.id = id, .status = 200};
    assert_int_equal(part.count, STUCK_CALLS);
    assert_int_equal(late_calls_at(&part, 0)->id, 4);
    *late_calls_next(&sum) = (struct late_call){.id = 1000};
    late_calls_take(&sum, &part);
    assert_int_equal(part.count, 0);
    assert_int_equal(sum.count, STUCK_CALLS);
    assert_int_equal(late_calls_at(&sum, 0)->id, 4);
    assert_int_equal(late_calls_at(&sum, STUCK_CALLS - 1)->id, STUCK_CALLS + 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_kept_in_their_order),
        cmocka_unit_test(the_oldest_makes_room),
        cmocka_unit_test(those_of_several_workers_come_together_by_their_ends),
        cmocka_unit_test(of_too_many_the_newest_are_taken),
        cmocka_unit_test(what_became_of_them_is_kept_likewise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
