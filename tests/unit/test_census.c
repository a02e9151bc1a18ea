/* How many calls are in which phase of which upstream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/mem.h"
#include "core/census.h"

static bool fail_always(void *arg, size_t size)
{
    return true;
}

static void calls_are_counted_by_upstream_and_phase(void **state)
{
    struct census census;

    assert_int_equal(census_init(&census, 2), ST_OK);
    census_count(&census, 0, PHASE_WAIT, 10, 100);
    census_count(&census, 1, PHASE_WAIT, 20, 200);
    census_count(&census, 1, PHASE_WAIT, 15, 900);
    census_count(&census, 1, PHASE_QUEUE, 30, 300);
    assert_int_equal(census_at(&census, 0, PHASE_WAIT)->calls, 1);
    assert_int_equal(census_at(&census, 0, PHASE_QUEUE)->calls, 0);
    assert_int_equal(census_at(&census, 1, PHASE_WAIT)->calls, 2);
    assert_int_equal(census_at(&census, 1, PHASE_WAIT)->oldest_begun_ns, 15);
    assert_int_equal(census_at(&census, 1, PHASE_WAIT)->oldest_deadline_ns, 900);
    assert_int_equal(census_at(&census, 1, PHASE_QUEUE)->calls, 1);
    census_fini(&census);
}

static void an_upstream_without_room_is_left_out(void **state)
{
    struct census census;

    assert_int_equal(census_init(&census, 1), ST_OK);
    census_count(&census, 1, PHASE_UPLOAD, 10, 100);
    assert_int_equal(census_at(&census, 0, PHASE_RECEIVE)->calls, 0);
    census_fini(&census);
}

static void parts_are_added_and_the_oldest_of_all_stays(void **state)
{
    struct census sum, part;

    assert_int_equal(census_init(&sum, 1), ST_OK);
    assert_int_equal(census_init(&part, 1), ST_OK);
    census_count(&sum, 0, PHASE_WAIT, 10, 100);
    census_count(&part, 0, PHASE_WAIT, 5, 50);
    census_count(&part, 0, PHASE_SEND, 7, 70);
    census_merge(&sum, &part);
    assert_int_equal(census_at(&sum, 0, PHASE_WAIT)->calls, 2);
    assert_int_equal(census_at(&sum, 0, PHASE_WAIT)->oldest_begun_ns, 5);
    assert_int_equal(census_at(&sum, 0, PHASE_WAIT)->oldest_deadline_ns, 50);
    assert_int_equal(census_at(&sum, 0, PHASE_SEND)->oldest_begun_ns, 7);
    census_fini(&part);
    census_fini(&sum);
}

static void no_memory_is_said(void **state)
{
    struct census census;

    mem_set_fault(fail_always, NULL);
    assert_int_equal(census_init(&census, 1), ST_NOMEM);
    mem_set_fault(NULL, NULL);
    census_fini(&census);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_counted_by_upstream_and_phase),
        cmocka_unit_test(an_upstream_without_room_is_left_out),
        cmocka_unit_test(parts_are_added_and_the_oldest_of_all_stays),
        cmocka_unit_test(no_memory_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
