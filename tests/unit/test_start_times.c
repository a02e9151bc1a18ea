/* How long calls lately took from their permit on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/number.h"
#include "stats/start_times.h"

#define MS NS_PER_MS

static void count(struct start_times *times, uint32_t calls, int64_t took_ns)
{
    for (uint32_t i = 0; i < calls; i++)
        start_times_count(times, took_ns);
}

/* A figure is the end of its bucket: at most a sixteenth, or 64 us, above. */
static void assert_about(int64_t figure_ns, int64_t expected_ns)
{
    assert_true(figure_ns > expected_ns);
    assert_true(figure_ns <= expected_ns + expected_ns / 16 + 64000);
}

static void nothing_is_said_of_fewer_than_a_hundred(void **state)
{
    struct start_times *times = start_times_new();

    (void)state;
    assert_int_equal(start_times_median_ns(NULL), -1);
    assert_int_equal(start_times_p95_ns(NULL), -1);
    count(times, START_TIMES_KNOWN - 1, 10 * MS);
    assert_int_equal(start_times_median_ns(times), -1);
    assert_int_equal(start_times_p95_ns(times), -1);
    count(times, 1, 10 * MS);
    assert_about(start_times_median_ns(times), 10 * MS);
    assert_about(start_times_p95_ns(times), 10 * MS);
    mem_free(times);
}

static void half_and_nineteen_of_twenty_are_told_apart(void **state)
{
    struct start_times *times = start_times_new();

    (void)state;
    for (int64_t i = 1; i <= 1000; i++)
        start_times_count(times, i * 617 % 1009 * MS);
    assert_about(start_times_median_ns(times), 490 * MS);
    assert_true(start_times_median_ns(times) < 560 * MS);
    assert_about(start_times_p95_ns(times), 940 * MS);
    mem_free(times);
}

static void it_forgets_what_was_long_ago(void **state)
{
    struct start_times *times = start_times_new();

    (void)state;
    count(times, 100000, 500 * MS);
    count(times, 4 * START_TIMES_FULL, 5 * MS);
    assert_about(start_times_median_ns(times), 5 * MS);
    assert_about(start_times_p95_ns(times), 5 * MS);
    mem_free(times);
}

static void one_that_was_cut_counts_as_one_that_took_longer(void **state)
{
    struct start_times *times = start_times_new();

    (void)state;
    count(times, 90, 10 * MS);
    count(times, 10, 300 * MS);
    assert_about(start_times_p95_ns(times), 300 * MS);
    for (int i = 0; i < 1000; i++)
        start_times_count_cut(times, 100 * MS);
    assert_about(start_times_median_ns(times), 300 * MS); /* not 100: they would have gone on */
    mem_free(times);
    times = start_times_new();
    for (int i = 0; i < 100; i++)
        start_times_count_cut(times, 100 * MS); /* nothing is known of longer ones */
    assert_about(start_times_median_ns(times), 200 * MS);
    start_times_count_cut(times, INT64_MAX);
    start_times_count_cut(times, 0);
    mem_free(times);
}

static void the_shortest_and_the_longest_have_a_place(void **state)
{
    struct start_times *times = start_times_new();

    (void)state;
    count(times, 100, 0);
    assert_true(start_times_p95_ns(times) <= 64000);
    count(times, 10 * START_TIMES_FULL, INT64_MAX / 2);
    assert_true(start_times_median_ns(times) > 24 * 3600 * NS_PER_S);
    mem_free(times);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_said_of_fewer_than_a_hundred),
        cmocka_unit_test(half_and_nineteen_of_twenty_are_told_apart),
        cmocka_unit_test(it_forgets_what_was_long_ago),
        cmocka_unit_test(one_that_was_cut_counts_as_one_that_took_longer),
        cmocka_unit_test(the_shortest_and_the_longest_have_a_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
