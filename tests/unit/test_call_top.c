/* Which calls a list of calls in flight shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/mem.h"
#include "stats/call_top.h"

static struct call_top_filter any(void)
{
    return (struct call_top_filter){.upstream = CALL_TOP_ANY, .phases = CALL_TOP_ALL_PHASES, .limit = 10};
}

static void each_filter_takes_what_it_says(void **state)
{
    struct call_top_filter filter = any();

    assert_true(call_top_matches(&filter, 7, 3, PHASE_WAIT, 0));
    filter.id = 7;
    assert_true(call_top_matches(&filter, 7, 3, PHASE_WAIT, 0));
    assert_false(call_top_matches(&filter, 8, 3, PHASE_WAIT, 0));
    filter = any();
    filter.older_ns = 1000;
    assert_true(call_top_matches(&filter, 7, 3, PHASE_WAIT, 1000));
    assert_false(call_top_matches(&filter, 7, 3, PHASE_WAIT, 999));
    filter = any();
    filter.upstream = 3;
    assert_true(call_top_matches(&filter, 7, 3, PHASE_WAIT, 0));
    assert_false(call_top_matches(&filter, 7, 0, PHASE_WAIT, 0));
    filter = any();
    filter.phases = 1u << PHASE_RECEIVE;
    assert_true(call_top_matches(&filter, 7, 3, PHASE_RECEIVE, 0));
    assert_false(call_top_matches(&filter, 7, 3, PHASE_WAIT, 0));
}

static void add(struct call_top *top, uint64_t id, int64_t deadline_ns)
{
    struct call_top_entry entry = {.id = id, .deadline_ns = deadline_ns};

    top->matching++;
    top->in_flight++;
    if (call_top_wants(top, 0, deadline_ns))
        call_top_add(top, &entry);
}

static void those_with_least_left_are_kept_in_order(void **state)
{
    static const int64_t deadlines[] = {50, 10, 40, 20, 30, 60, 5, 55};
    static const int64_t expected[] = {5, 10, 20};
    struct call_top top;

    assert_int_equal(call_top_init(&top, 3, CALL_TOP_BY_LEFT), ST_OK);
    for (uint64_t i = 0; i < 8; i++)
        add(&top, i + 1, deadlines[i]);
    call_top_sort(&top);
    assert_int_equal(top.count, 3);
    assert_int_equal(top.matching, 8);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(top.entries[i].deadline_ns, expected[i]);
    call_top_fini(&top);
}

static void equal_deadlines_go_by_id(void **state)
{
    struct call_top top;

    assert_int_equal(call_top_init(&top, 3, CALL_TOP_BY_LEFT), ST_OK);
    add(&top, 9, 10);
    add(&top, 7, 10);
    add(&top, 8, 10);
    call_top_sort(&top);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(top.entries[i].id, 7 + i);
    call_top_fini(&top);
}

static void the_oldest_come_first_if_that_is_asked(void **state)
{
    struct call_top_entry entry = {.deadline_ns = 100};
    struct call_top top;

    assert_int_equal(call_top_init(&top, 2, CALL_TOP_BY_AGE), ST_OK);
    for (int64_t begun_ns = 30; begun_ns > 0; begun_ns -= 10) {
        entry.begun_ns = begun_ns;
        entry.deadline_ns += 10;
        assert_true(call_top_wants(&top, entry.begun_ns, entry.deadline_ns));
        call_top_add(&top, &entry);
    }
    assert_false(call_top_wants(&top, 20, 0));
    call_top_sort(&top);
    assert_int_equal(top.entries[0].begun_ns, 10);
    assert_int_equal(top.entries[1].begun_ns, 20);
    call_top_fini(&top);
}

static int by_value(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

    return (left > right) - (left < right);
}

static void the_call_tops_of_many_workers_make_the_one_of_all(void **state)
{
    enum { WORKERS = 4, EACH = 500, LIMIT = 37 };
    static int64_t all[WORKERS * EACH];
    struct call_top parts[WORKERS];

    srand(7);
    for (uint32_t w = 0; w < WORKERS; w++) {
        assert_int_equal(call_top_init(&parts[w], LIMIT, CALL_TOP_BY_LEFT), ST_OK);
        for (uint32_t i = 0; i < EACH; i++) {
            all[w * EACH + i] = rand() % 1000;
            add(&parts[w], w * EACH + i + 1, all[w * EACH + i]);
        }
    }
    for (uint32_t w = 1; w < WORKERS; w++)
        call_top_merge(&parts[0], &parts[w]);
    call_top_sort(&parts[0]);
    qsort(all, WORKERS * EACH, sizeof(all[0]), by_value);
    assert_int_equal(parts[0].count, LIMIT);
    assert_int_equal(parts[0].in_flight, WORKERS * EACH);
    for (uint32_t i = 0; i < LIMIT; i++)
        assert_int_equal(parts[0].entries[i].deadline_ns, all[i]);
    for (uint32_t w = 0; w < WORKERS; w++)
        call_top_fini(&parts[w]);
}

static void nobody_in_flight_is_an_empty_list(void **state)
{
    struct call_top top;

    assert_int_equal(call_top_init(&top, 1, CALL_TOP_BY_LEFT), ST_OK);
    call_top_sort(&top);
    assert_int_equal(top.count, 0);
    call_top_fini(&top);
}

static bool fail_always(void *arg, size_t size)
{
    return true;
}

static void without_memory_there_is_no_call_top(void **state)
{
    struct call_top top;

    mem_set_fault(fail_always, NULL);
    assert_int_equal(call_top_init(&top, 10, CALL_TOP_BY_LEFT), ST_NOMEM);
    mem_set_fault(NULL, NULL);
    call_top_fini(&top);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_filter_takes_what_it_says),
        cmocka_unit_test(those_with_least_left_are_kept_in_order),
        cmocka_unit_test(equal_deadlines_go_by_id),
        cmocka_unit_test(the_oldest_come_first_if_that_is_asked),
        cmocka_unit_test(the_call_tops_of_many_workers_make_the_one_of_all),
        cmocka_unit_test(nobody_in_flight_is_an_empty_list),
        cmocka_unit_test(without_memory_there_is_no_call_top),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
