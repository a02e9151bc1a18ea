/* Calls that were cut a moment ago. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/fresh_cuts.h"

#define MS  INT64_C(1000000)
#define NOW (1000 * MS)

static void each_counts_for_its_way_and_twice_that_at_most(void **state)
{
    (void)state;
    for (int64_t gap_ns = 1 * MS; gap_ns < 60 * MS; gap_ns += MS) {
        struct fresh_cuts cuts = {0};

        for (int64_t i = 0; i < 50; i++) {
            int64_t now_ns = NOW + i * gap_ns;
            int64_t least = 20 * MS / gap_ns + 1, most = 40 * MS / gap_ns + 2;

            fresh_cuts_note(&cuts, 20 * MS, now_ns);
            assert_true(fresh_cuts_count(&cuts, now_ns) >= (i + 1 < least ? i + 1 : least));
            assert_true(fresh_cuts_count(&cuts, now_ns) <= most);
        }
        assert_true(fresh_cuts_next_ns(&cuts, NOW + 49 * gap_ns) > NOW + 49 * gap_ns);
        assert_int_equal(fresh_cuts_count(&cuts, NOW + 49 * gap_ns + 40 * MS), 0);
    }
}

static void one_is_over_when_it_is_said_to_be(void **state)
{
    struct fresh_cuts cuts = {0};
    int64_t next_ns;

    (void)state;
    assert_int_equal(fresh_cuts_next_ns(&cuts, NOW), INT64_MAX);
    fresh_cuts_note(&cuts, 5 * MS, NOW);
    next_ns = fresh_cuts_next_ns(&cuts, NOW);
    assert_int_equal(fresh_cuts_count(&cuts, next_ns - 1), 1);
    assert_int_equal(fresh_cuts_count(&cuts, next_ns), 0);
    assert_int_equal(fresh_cuts_next_ns(&cuts, next_ns), INT64_MAX);
    fresh_cuts_note(&cuts, 0, NOW + 100 * MS); /* an API on this host */
    assert_int_equal(fresh_cuts_count(&cuts, NOW + 100 * MS), 0);
    fresh_cuts_note(&cuts, 3600 * 1000 * MS, NOW + 200 * MS);
    assert_int_equal(fresh_cuts_next_ns(&cuts, NOW + 200 * MS), NOW + 200 * MS + 2 * FRESH_CUTS_SPAN_NS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_counts_for_its_way_and_twice_that_at_most),
        cmocka_unit_test(one_is_over_when_it_is_said_to_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
