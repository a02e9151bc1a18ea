/* The last 15 minutes of an upstream: a ring fed with counters as they stand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/number.h"
#include "stats/history.h"

#define S          NS_PER_S
#define FULL       ((int64_t)HISTORY_SECONDS)
#define BUCKET_1S  9  /* above 500 ms, up to 1 s */
#define BUCKET_2_5 10 /* above 1 s, up to 2.5 s */

static struct history history;
static const struct history_totals nothing;
static const struct history_state idle = {.longest_ns = 60 * S};

static int begin(void **state)
{
    history_begin(&history, &nothing);
    return 0;
}

static void put(int64_t second, uint64_t completed)
{
    struct history_totals totals = {.completed = completed};

    history_put(&history, second, &totals, &idle);
}

static uint32_t completed_in(int64_t from, int64_t to)
{
    return history_sum(&history, from, to).completed;
}

static void nothing_is_known_before_the_first_second(void **state)
{
    struct history_sample sum = history_sum(&history, 0, 100);

    assert_int_equal(history_oldest(&history), 0);
    assert_int_equal(sum.completed, 0);
    assert_int_equal(sum.p99_us, HISTORY_NONE);
    assert_int_equal(sum.held, HISTORY_NONE);
}

static void a_second_has_what_was_counted_in_it(void **state)
{
    put(0, 5);
    put(1, 12);
    put(2, 12);
    assert_int_equal(completed_in(0, 1), 5);
    assert_int_equal(completed_in(1, 2), 7);
    assert_int_equal(completed_in(2, 3), 0);
    assert_int_equal(completed_in(0, 3), 12);
    assert_int_equal(history_oldest(&history), 0);
}

static void what_was_counted_before_is_not_in_it(void **state)
{
    struct history_totals before = {.completed = 1000};

    history_begin(&history, &before);
    put(0, 1003);
    assert_int_equal(completed_in(0, 1), 3);
}

static void it_may_begin_late(void **state)
{
    put(5000, 5);
    assert_int_equal(history_oldest(&history), 5000);
    assert_int_equal(history.count, 1);
    assert_int_equal(completed_in(0, 10000), 5);
}

static void every_counter_has_its_place(void **state)
{
    struct route_metrics route = {.completed = {[1] = 1, [4] = 2},
                                  .failed = {[CAUSE_REFUSED] = 3, [CAUSE_DNS] = 1},
                                  .rejected = {[CAUSE_QUEUE_FULL] = 5},
                                  .abandoned = {[PHASE_WAIT] = 6},
                                  .stuck = {[PHASE_WAIT] = 7, [PHASE_QUEUE] = 8}};
    static const uint32_t codes[] = {100, 200, 204, 404, 429, 429, 500, 503, 599, 600};
    struct upstream_metrics upstream = {0};
    struct history_totals totals = {0};
    struct history_sample sum;

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        code_counts_count(&upstream.responses, codes[i]);
    history_add_upstream(&totals, &upstream);
    code_counts_fini(&upstream.responses);

    history_add_route(&totals, &route);
    history_add_route(&totals, &route);
    history_put(&history, 0, &totals, &idle);
    sum = history_sum(&history, 0, 1);
    assert_int_equal(sum.completed, 6);
    assert_int_equal(sum.failed, 8);
    assert_int_equal(sum.rejected, 10);
    assert_int_equal(sum.abandoned, 12);
    assert_int_equal(sum.stuck[PHASE_WAIT], 14);
    assert_int_equal(sum.stuck[PHASE_QUEUE], 16);
    assert_int_equal(sum.stuck[PHASE_DNS], 0);
    assert_int_equal(sum.server_errors, 4);
    assert_int_equal(sum.too_many, 2);
}

static void responses_are_added_up_and_begin_anew_with_the_rest(void **state)
{
    struct history_totals totals = {.server_errors = 5, .too_many = 7};
    struct history_sample sum;

    history_put(&history, 0, &totals, &idle);
    totals = (struct history_totals){.server_errors = 6, .too_many = 9};
    history_put(&history, 1, &totals, &idle);
    sum = history_sum(&history, 0, 2);
    assert_int_equal(sum.server_errors, 6);
    assert_int_equal(sum.too_many, 9);
    assert_int_equal(history_sum(&history, 1, 2).server_errors, 1);
    assert_int_equal(history_sum(&history, 1, 2).too_many, 2);
    totals = (struct history_totals){.server_errors = 6, .too_many = 1};
    history_put(&history, 2, &totals, &idle);
    assert_int_equal(history_sum(&history, 2, 3).server_errors, 6);
    assert_int_equal(history_sum(&history, 2, 3).too_many, 1);
}

static void a_second_nobody_looked_at_is_a_gap_and_its_calls_are_in_the_next(void **state)
{
    const struct history_state busy = {.held = 3, .waiting = 4, .longest_ns = S};
    struct history_totals totals = {.completed = 9};

    put(0, 5);
    history_put(&history, 3, &totals, &busy);
    assert_int_equal(history.count, 4);
    assert_int_equal(completed_in(1, 3), 0);
    assert_int_equal(history_sum(&history, 1, 3).held, HISTORY_NONE);
    assert_int_equal(completed_in(3, 4), 4);
    assert_int_equal(history_sum(&history, 0, 4).held, 3);
    assert_int_equal(history_sum(&history, 0, 4).waiting, 4);
}

static void the_oldest_make_room(void **state)
{
    for (int64_t second = 0; second < FULL + 10; second++)
        put(second, (uint64_t)(second + 1) * 2);
    assert_int_equal(history.count, HISTORY_SECONDS);
    assert_int_equal(history_oldest(&history), 10);
    assert_int_equal(completed_in(0, 10), 0);
    assert_int_equal(completed_in(10, 11), 2);
    assert_int_equal(completed_in(0, INT64_MAX), 2 * HISTORY_SECONDS);
}

static void a_gap_longer_than_the_ring_leaves_nothing_of_before(void **state)
{
    put(0, 5);
    put(1, 6);
    put(1 + 3 * FULL, 7);
    assert_int_equal(history.count, HISTORY_SECONDS);
    assert_int_equal(history_oldest(&history), 2 + 2 * FULL);
    assert_int_equal(completed_in(0, INT64_MAX), 1);
    put(2 + 3 * FULL, 9);
    assert_int_equal(completed_in(0, INT64_MAX), 3);
}

static void a_gap_as_long_as_the_ring_leaves_the_newest_alone(void **state)
{
    put(0, 5);
    put(FULL, 7);
    assert_int_equal(history_oldest(&history), 1);
    assert_int_equal(completed_in(0, INT64_MAX), 2);
}

static void the_same_second_again_adds_to_it(void **state)
{
    put(7, 5);
    put(7, 6);
    put(6, 8);
    assert_int_equal(history.count, 1);
    assert_int_equal(completed_in(7, 8), 8);
}

static void counters_that_begin_anew_count_from_zero(void **state)
{
    put(0, 100);
    put(1, 3);
    put(2, 4);
    assert_int_equal(completed_in(1, 2), 3);
    assert_int_equal(completed_in(2, 3), 1);
}

static void a_count_that_does_not_fit_is_the_highest_that_does(void **state)
{
    put(0, UINT64_MAX / 2);
    assert_int_equal(completed_in(0, 1), HISTORY_NONE - 1);
    put(1, UINT64_MAX);
    assert_int_equal(completed_in(0, 2), HISTORY_NONE - 1);
}

/* ---- percentiles -------------------------------------------------------------------------------------------- */

static struct history_sample ended(uint32_t bucket, uint64_t calls, int64_t longest_ns)
{
    const struct history_state state = {.longest_ns = longest_ns};
    struct upstream_metrics upstream = {0};
    struct history_totals totals = {.completed = calls};

    upstream.duration.bucket[bucket] = calls;
    history_add_upstream(&totals, &upstream);
    history_put(&history, 0, &totals, &state);
    return history_sum(&history, 0, 1);
}

static void percentiles_lie_within_their_bucket(void **state)
{
    struct history_sample sum = ended(BUCKET_1S, 100, 60 * S);

    assert_int_equal(sum.p50_us, 750000);
    assert_int_equal(sum.p99_us, 995000);
}

static void no_percentile_is_above_the_longest_deadline(void **state)
{
    struct history_sample sum = ended(BUCKET_2_5, 100, 2 * S);

    assert_int_equal(sum.p50_us, 1500000);
    assert_int_equal(sum.p99_us, 1990000);
}

static void a_call_that_ended_late_took_what_it_was_allowed(void **state)
{
    struct history_sample sum = ended(BUCKET_2_5, 1, S);

    assert_int_equal(sum.p50_us, 1000000);
    assert_int_equal(sum.p99_us, 1000000);
}

static void beyond_the_last_bound_the_deadline_bounds(void **state)
{
    assert_int_equal(ended(METRIC_BUCKETS - 1, 2, 100 * S).p50_us, 80000000);
}

static void several_seconds_have_the_highest_p99_and_the_mean_of_medians(void **state)
{
    struct history_totals totals = {.completed = 30};

    totals.duration.bucket[BUCKET_1S] = 30;
    history_put(&history, 0, &totals, &idle);
    totals.completed += 10;
    totals.duration.bucket[BUCKET_2_5] = 10;
    history_put(&history, 1, &totals, &idle);
    put(2, 40);
    assert_int_equal(history_sum(&history, 0, 3).p50_us, (750000 * 3 + 1750000) / 4);
    assert_int_equal(history_sum(&history, 0, 3).p99_us, history_sum(&history, 1, 2).p99_us);
    assert_int_equal(history_sum(&history, 2, 3).p99_us, HISTORY_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_is_known_before_the_first_second, begin),
        cmocka_unit_test_setup(a_second_has_what_was_counted_in_it, begin),
        cmocka_unit_test_setup(what_was_counted_before_is_not_in_it, begin),
        cmocka_unit_test_setup(it_may_begin_late, begin),
        cmocka_unit_test_setup(every_counter_has_its_place, begin),
        cmocka_unit_test_setup(responses_are_added_up_and_begin_anew_with_the_rest, begin),
        cmocka_unit_test_setup(a_second_nobody_looked_at_is_a_gap_and_its_calls_are_in_the_next, begin),
        cmocka_unit_test_setup(the_oldest_make_room, begin),
        cmocka_unit_test_setup(a_gap_longer_than_the_ring_leaves_nothing_of_before, begin),
        cmocka_unit_test_setup(a_gap_as_long_as_the_ring_leaves_the_newest_alone, begin),
        cmocka_unit_test_setup(the_same_second_again_adds_to_it, begin),
        cmocka_unit_test_setup(counters_that_begin_anew_count_from_zero, begin),
        cmocka_unit_test_setup(a_count_that_does_not_fit_is_the_highest_that_does, begin),
        cmocka_unit_test_setup(percentiles_lie_within_their_bucket, begin),
        cmocka_unit_test_setup(no_percentile_is_above_the_longest_deadline, begin),
        cmocka_unit_test_setup(a_call_that_ended_late_took_what_it_was_allowed, begin),
        cmocka_unit_test_setup(beyond_the_last_bound_the_deadline_bounds, begin),
        cmocka_unit_test_setup(several_seconds_have_the_highest_p99_and_the_mean_of_medians, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
