/* How many calls are in which phase of which upstream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/mem.h"
#include "stats/phase_counts.h"

static bool fail_always(void *arg, size_t size)
{
    return true;
}

static void calls_are_counted_by_upstream_and_phase(void **state)
{
    struct phase_counts counts;

    assert_int_equal(phase_counts_init(&counts, 2), ST_OK);
    phase_counts_count(&counts, 0, PHASE_WAIT, 10, 100);
    phase_counts_count(&counts, 1, PHASE_WAIT, 20, 200);
    phase_counts_count(&counts, 1, PHASE_WAIT, 15, 900);
    phase_counts_count(&counts, 1, PHASE_QUEUE, 30, 300);
    assert_int_equal(phase_counts_at(&counts, 0, PHASE_WAIT)->calls, 1);
    assert_int_equal(phase_counts_at(&counts, 0, PHASE_QUEUE)->calls, 0);
    assert_int_equal(phase_counts_at(&counts, 1, PHASE_WAIT)->calls, 2);
    assert_int_equal(phase_counts_at(&counts, 1, PHASE_WAIT)->oldest_begun_ns, 15);
    assert_int_equal(phase_counts_at(&counts, 1, PHASE_WAIT)->oldest_deadline_ns, 900);
    assert_int_equal(phase_counts_at(&counts, 1, PHASE_QUEUE)->calls, 1);
    phase_counts_fini(&counts);
}

static void an_upstream_without_room_is_left_out(void **state)
{
    struct phase_counts counts;

    assert_int_equal(phase_counts_init(&counts, 1), ST_OK);
    phase_counts_count(&counts, 1, PHASE_UPLOAD, 10, 100);
    assert_int_equal(phase_counts_at(&counts, 0, PHASE_RECEIVE)->calls, 0);
    phase_counts_fini(&counts);
}

static void parts_are_added_and_the_oldest_of_all_stays(void **state)
{
    struct phase_counts sum, part;

    assert_int_equal(phase_counts_init(&sum, 1), ST_OK);
    assert_int_equal(phase_counts_init(&part, 1), ST_OK);
    phase_counts_count(&sum, 0, PHASE_WAIT, 10, 100);
    phase_counts_count(&part, 0, PHASE_WAIT, 5, 50);
    phase_counts_count(&part, 0, PHASE_SEND, 7, 70);
    phase_counts_merge(&sum, &part);
    assert_int_equal(phase_counts_at(&sum, 0, PHASE_WAIT)->calls, 2);
    assert_int_equal(phase_counts_at(&sum, 0, PHASE_WAIT)->oldest_begun_ns, 5);
    assert_int_equal(phase_counts_at(&sum, 0, PHASE_WAIT)->oldest_deadline_ns, 50);
    assert_int_equal(phase_counts_at(&sum, 0, PHASE_SEND)->oldest_begun_ns, 7);
    phase_counts_fini(&part);
    phase_counts_fini(&sum);
}

static void no_memory_is_said(void **state)
{
    struct phase_counts counts;

    mem_set_fault(fail_always, NULL);
    assert_int_equal(phase_counts_init(&counts, 1), ST_NOMEM);
    mem_set_fault(NULL, NULL);
    phase_counts_fini(&counts);
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
