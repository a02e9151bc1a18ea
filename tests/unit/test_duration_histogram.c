/* How long calls took, by buckets that are fine enough for a percentile of a thousandth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/number.h"
#include "stats/metric.h"
#include "stats/duration_histogram.h"

static int64_t start_of(uint32_t bucket)
{
    return bucket == 0 ? 0 : duration_histogram_bound_ns(bucket - 1);
}

static void the_buckets_follow_each_other_without_a_gap(void **state)
{
    assert_int_equal(duration_histogram_bound_ns(0), 64 * NS_PER_US);
    assert_int_equal(duration_histogram_bound_ns(15), 1024 * NS_PER_US);
    assert_int_equal(duration_histogram_bound_ns(31), 2048 * NS_PER_US);
    for (uint32_t bucket = 0; bucket < DURATION_HISTOGRAM_BUCKETS; bucket++) {
        assert_true(duration_histogram_bound_ns(bucket) > start_of(bucket));
        assert_int_equal(duration_histogram_bucket_of(start_of(bucket)), bucket);
        assert_int_equal(duration_histogram_bucket_of(duration_histogram_bound_ns(bucket) - 1), bucket);
    }
}

static void a_bucket_ends_at_most_a_sixteenth_above_what_is_in_it(void **state)
{
    for (uint32_t bucket = DURATION_HISTOGRAM_STEPS; bucket < DURATION_HISTOGRAM_BUCKETS; bucket++)
        assert_true(16 * (duration_histogram_bound_ns(bucket) - start_of(bucket)) <= start_of(bucket));
}

static void a_day_has_a_bucket_and_what_is_beyond_all_is_in_the_last(void **state)
{
    assert_true(duration_histogram_bucket_of(24 * 3600 * NS_PER_S) < DURATION_HISTOGRAM_BUCKETS - 1);
    assert_true(duration_histogram_bound_ns(DURATION_HISTOGRAM_BUCKETS - 1) > 38 * 3600 * NS_PER_S);
    assert_int_equal(duration_histogram_bucket_of(NS_NEVER), DURATION_HISTOGRAM_BUCKETS - 1);
}

static void calls_are_counted_where_they_belong(void **state)
{
    struct duration_histogram *histogram = duration_histogram_new(state, 5);

    assert_non_null(histogram);
    duration_histogram_count(histogram, 100 * NS_PER_US, 70 * NS_PER_US);
    duration_histogram_count(histogram, 127 * NS_PER_US, 30 * NS_PER_US);
    duration_histogram_count(histogram, 128 * NS_PER_US, 1);
    duration_histogram_count_end(histogram, DURATION_HISTOGRAM_CUT, 2 * NS_PER_S, NS_PER_S);
    duration_histogram_count_end(histogram, DURATION_HISTOGRAM_REJECTED, 7, 0);
    duration_histogram_count_end(histogram, DURATION_HISTOGRAM_CUT, 2 * NS_PER_S, NS_PER_S);
    assert_int_equal(histogram->completed[1].calls, 2);
    assert_int_equal(histogram->completed[1].held_ns, 100 * NS_PER_US);
    assert_int_equal(histogram->completed[2].calls, 1);
    assert_int_equal(histogram->longest_ns, 128 * NS_PER_US);
    assert_int_equal(histogram->ends[DURATION_HISTOGRAM_CUT].calls, 2);
    assert_int_equal(histogram->ends[DURATION_HISTOGRAM_CUT].held_ns, 2 * NS_PER_S);
    assert_int_equal(histogram->cut_ns, 4 * NS_PER_S);
    assert_int_equal(histogram->ends[DURATION_HISTOGRAM_REJECTED].calls, 1);
    assert_int_equal(histogram->ends[DURATION_HISTOGRAM_FAILED].calls, 0);
    mem_free(histogram);
}

/* Two workers' blocks; the second has not seen route 1. */
static void sums_have_what_all_workers_have(void **state)
{
    struct metrics *sum = metrics_new(1, 3), *one = metrics_new(1, 3), *other = metrics_new(1, 2);

    assert_non_null(sum);
    assert_non_null(one);
    assert_non_null(other);
    one->histograms[0] = duration_histogram_new(sum, 20);
    one->histograms[1] = duration_histogram_new(one, 30);
    other->histograms[0] = duration_histogram_new(sum, 10);
    duration_histogram_count(one->histograms[0], NS_PER_MS, 7);
    duration_histogram_count(one->histograms[1], NS_PER_MS, 7);
    duration_histogram_count(other->histograms[0], NS_PER_MS, 3);
    duration_histogram_count(other->histograms[0], 2 * NS_PER_S, 3);
    other->histograms[0]->spared = 4;
    duration_histogram_count_end(other->histograms[0], DURATION_HISTOGRAM_ABANDONED, 8, 9);
    duration_histogram_count_end(one->histograms[0], DURATION_HISTOGRAM_CUT, 5, 0);
    duration_histogram_count_end(other->histograms[0], DURATION_HISTOGRAM_CUT, 6, 0);
    metrics_add_histograms(sum, one);
    metrics_add_histograms(sum, other);
    assert_false(sum->lacks_histograms);
    assert_int_equal(sum->histograms[0]->completed[duration_histogram_bucket_of(NS_PER_MS)].calls, 2);
    assert_int_equal(sum->histograms[0]->completed[duration_histogram_bucket_of(NS_PER_MS)].held_ns, 10);
    assert_int_equal(sum->histograms[0]->ends[DURATION_HISTOGRAM_ABANDONED].held_ns, 9);
    assert_int_equal(sum->histograms[0]->cut_ns, 11);
    assert_int_equal(sum->histograms[0]->longest_ns, 2 * NS_PER_S);
    assert_int_equal(sum->histograms[0]->since_ns, 10);
    assert_int_equal(sum->histograms[0]->spared, 4);
    assert_int_equal(sum->histograms[1]->completed[duration_histogram_bucket_of(NS_PER_MS)].calls, 1);
    assert_ptr_equal(sum->histograms[1]->terms, one);
    assert_null(sum->histograms[2]);
    metrics_free(sum);
    metrics_free(one);
    metrics_free(other);
}

static bool refuse(void *arg, size_t size)
{
    return true;
}

static void without_memory_a_sum_says_that_it_is_not_whole(void **state)
{
    struct metrics *sum = metrics_new(1, 1), *part = metrics_new(1, 1);

    assert_non_null(sum);
    assert_non_null(part);
    part->histograms[0] = duration_histogram_new(sum, 0);
    mem_set_fault(refuse, NULL);
    metrics_add_histograms(sum, part);
    mem_set_fault(NULL, NULL);
    assert_true(sum->lacks_histograms);
    assert_null(sum->histograms[0]);
    metrics_free(sum);
    metrics_free(part);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_buckets_follow_each_other_without_a_gap),
        cmocka_unit_test(a_bucket_ends_at_most_a_sixteenth_above_what_is_in_it),
        cmocka_unit_test(a_day_has_a_bucket_and_what_is_beyond_all_is_in_the_last),
        cmocka_unit_test(calls_are_counted_where_they_belong),
        cmocka_unit_test(sums_have_what_all_workers_have),
        cmocka_unit_test(without_memory_a_sum_says_that_it_is_not_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
