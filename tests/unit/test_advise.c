/* Deadlines and sizes of pools from how long calls took, held against distributions that are known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/number.h"
#include "stats/duration_histogram.h"
#include "view/advise.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECOND_US    INT64_C(1000000)

/* A route as GET /durations would show it, of calls that the test counts. */
struct measured {
    struct duration_histogram histogram;
    struct duration_bucket buckets[DURATION_HISTOGRAM_BUCKETS];
    struct duration_route route;
};

static struct measured *nothing_measured(void)
{
    static struct measured m;

    m = (struct measured){
        .route = {.upstream = "api",
                  .route = "default",
                  .of = "calls",
                  .pool = "api",
                  .deadline_us = 2 * SECOND_US,
                  .longest_allowed_us = 2 * SECOND_US,
                  .for_us = 100 * SECOND_US},
    };
    m.route.buckets = m.buckets;
    return &m;
}

static void completes(struct measured *m, uint64_t calls, int64_t took_us)
{
    for (uint64_t i = 0; i < calls; i++)
        duration_histogram_count(&m->histogram, took_us * NS_PER_US, took_us * NS_PER_US);
}

static const struct duration_route *route_of(struct measured *m)
{
    struct duration_route *route = &m->route;

    route->bucket_count = 0;
    route->completed = 0;
    route->longest_us = m->histogram.longest_ns / NS_PER_US;
    for (uint32_t i = 0; i < DURATION_HISTOGRAM_BUCKETS; i++) {
        const struct duration_histogram_bucket *bucket = &m->histogram.completed[i];

        if (bucket->calls == 0)
            continue;
        m->buckets[route->bucket_count++] = (struct duration_bucket){
            duration_histogram_bound_ns(i) / NS_PER_US, bucket->calls, (double)bucket->held_ns / NS_PER_US};
        route->completed += bucket->calls;
    }
    return route;
}

/* ---- deadlines -------------------------------------------------------------------------------------------------- */

/* 1, 2, 3, …, 20000 times `step` microseconds, in an order that does not matter. */
#define LADDER 20000

static const struct duration_route *ladder(struct measured *m, int64_t step_us)
{
    m->route.observed = true;
    for (int64_t i = 1; i <= LADDER; i++)
        completes(m, 1, i * step_us);
    return route_of(m);
}

static void a_percentile_is_at_most_a_sixteenth_above_the_true_one(void **state)
{
    static const int64_t steps_us[] = {1, 50, 700, 65000};
    static const uint64_t shares_ppm[] = {500000, 900000, 990000, 999000, 999900};

    for (size_t i = 0; i < COUNT(steps_us); i++) {
        const struct duration_route *route = ladder(nothing_measured(), steps_us[i]);

        for (size_t j = 0; j < COUNT(shares_ppm); j++) {
            int64_t exact_us = (int64_t)(LADDER * shares_ppm[j] / ADVISE_PPM) * steps_us[i];
            int64_t us = advise_percentile_us(route, shares_ppm[j]);

            assert_true(us > exact_us && us <= exact_us + (exact_us / 16 > 64 ? exact_us / 16 : 64) + 1);
        }
    }
}

static void a_deadline_makes_no_more_false_timeouts_than_asked_for(void **state)
{
    static const uint64_t rates_ppm[] = {200, 1000, 10000, 50000, 123456, 500000};

    for (int64_t step_us = 3; step_us < 100000; step_us *= 7) {
        const struct duration_route *route = ladder(nothing_measured(), step_us);

        for (size_t i = 0; i < COUNT(rates_ppm); i++) {
            struct advise_deadline advice = advise_deadline(route, rates_ppm[i]);
            int64_t allowed = (int64_t)(LADDER * rates_ppm[i] / ADVISE_PPM);
            int64_t exact_us = (LADDER - allowed) * step_us, most_us = exact_us + exact_us / 16 + 65;

            assert_int_equal(advice.answer, ADVISE_KNOWN);
            /* It cuts what takes as long as it, or longer. */
            assert_true(advice.deadline_us > exact_us && advice.deadline_us <= most_us + most_us / 100 + 1);
            assert_true(advice.false_share <= (double)rates_ppm[i] / (double)ADVISE_PPM);
            assert_true(advice.false_share == advice.cut_share);
        }
    }
}

static void nine_in_ten_fast_and_one_slow(void **state)
{
    struct measured *m = nothing_measured();
    const struct duration_route *route;
    struct advise_deadline advice;

    m->route.observed = true;
    completes(m, 9000, 2000);
    completes(m, 1000, 300000);
    route = route_of(m);
    advice = advise_deadline(route, 100000);
    assert_int_equal(advice.deadline_us, 2050); /* the bucket ends at 2048 */
    assert_true(advice.false_share == 0.1);
    advice = advise_deadline(route, 99999);
    assert_int_equal(advice.deadline_us, 301000); /* 300001, in three digits: none took longer */
    assert_true(advice.false_share == 0 && advice.cut_share == 0);
}

static void what_never_completed_is_no_false_timeout_but_is_cut(void **state)
{
    struct measured *m = nothing_measured();
    struct advise_deadline advice;
    double false_share, cut_share;

    m->route.observed = true;
    m->route.longest_allowed_us = 60 * SECOND_US;
    completes(m, 9900, 100000);
    completes(m, 60, 3 * SECOND_US);
    m->route.spared = 60;
    m->route.cut = (struct duration_end){.calls = 40, .held_us = 40 * 60e6};
    advice = advise_deadline(route_of(m), 10000);
    assert_int_equal(advice.answer, ADVISE_KNOWN);
    assert_true(advice.deadline_us > 100000 && advice.deadline_us < 107000);
    assert_true(advice.false_share == 0.006 && advice.cut_share == 0.01);
    advise_present(&m->route, &false_share, &cut_share);
    assert_true(false_share == 0.006 && cut_share == 0.01);
    assert_true(advise_deadline(&m->route, 1000).deadline_us > 3 * SECOND_US);
}

static void what_was_cut_without_observing_counts_as_false(void **state)
{
    struct measured *m = nothing_measured();
    struct advise_deadline advice;
    double false_share, cut_share;

    completes(m, 9000, 100000);
    completes(m, 950, 1000000);
    m->route.cut = (struct duration_end){.calls = 50, .held_us = 50 * 2e6};
    advice = advise_deadline(route_of(m), 100000);
    /* 950 completed later, and 50 may have: as many as the rate allows. */
    assert_true(advice.deadline_us > 100000 && advice.deadline_us < 107000);
    assert_true(advice.false_share == 0.1 && advice.cut_share == 0.1);
    assert_true(advise_deadline(&m->route, 99999).deadline_us > 1000000);
    advice = advise_deadline(&m->route, 5000);
    assert_int_equal(advice.answer, ADVISE_KNOWN);
    assert_true(advice.deadline_us > 1000000 && advice.deadline_us <= 2 * SECOND_US);
    assert_true(advice.false_share == 0.005 && advice.cut_share == 0.005);
    assert_int_equal(advise_deadline(&m->route, 4999).answer, ADVISE_BEYOND);
    advise_present(&m->route, &false_share, &cut_share);
    assert_true(false_share < 0 && cut_share == 0.005);
    m->route.cut.calls = 0;
    advise_present(&m->route, &false_share, &cut_share);
    assert_true(false_share == 0 && cut_share == 0);
}

static void no_deadline_is_longer_than_what_is_in_force(void **state)
{
    struct measured *m = nothing_measured();

    completes(m, 5000, 1999999);
    assert_int_equal(advise_deadline(route_of(m), 1000).deadline_us, 2 * SECOND_US);
    m->route.observed = true;
    completes(m, 5000, 2100001);
    assert_int_equal(advise_deadline(route_of(m), 1000).deadline_us, 2110000);
}

static void it_takes_three_calls_for_each_that_may_be_false(void **state)
{
    struct measured *m = nothing_measured();

    assert_int_equal(advise_deadline(route_of(m), 1000).answer, ADVISE_TOO_FEW);
    completes(m, 2999, 5000);
    assert_int_equal(advise_deadline(route_of(m), 1000).answer, ADVISE_TOO_FEW);
    assert_int_equal(advise_deadline(route_of(m), 1000).needed, 3000);
    completes(m, 1, 5000);
    assert_int_equal(advise_deadline(route_of(m), 1000).answer, ADVISE_KNOWN);
    assert_int_equal(advise_deadline(&m->route, 7).needed, 428572);
    m->route.cut.calls = 1000000;
    m->route.observed = true;
    m->route.completed = m->route.bucket_count = 0;
    assert_int_equal(advise_deadline(&m->route, 1000).answer, ADVISE_TOO_FEW);
}

static void calls_that_were_given_up_may_be_the_slow_ones(void **state)
{
    struct measured *m = nothing_measured();

    completes(m, 9000, 5000);
    m->route.cut.calls = 1000;
    m->route.abandoned.calls = 10;
    assert_false(advise_is_in_doubt(route_of(m), 1000));
    m->route.abandoned.calls = 11;
    assert_true(advise_is_in_doubt(&m->route, 1000));
}

static void a_percentile_of_few_calls_is_none(void **state)
{
    struct measured *m = nothing_measured();

    completes(m, 99, 5000);
    assert_int_equal(advise_percentile_us(route_of(m), 990000), 0);
    completes(m, 1, 5000);
    assert_int_not_equal(advise_percentile_us(route_of(m), 990000), 0);
    assert_int_equal(advise_percentile_us(&m->route, 999000), 0);
}

static void times_are_rounded_up_to_three_digits(void **state)
{
    static const int64_t pairs[][2] = {{0, 0},       {1, 1},        {999, 999},       {1000, 1000},
                                       {1001, 1010}, {9991, 10000}, {123400, 124000}, {2000000, 2000000}};

    for (size_t i = 0; i < COUNT(pairs); i++)
        assert_int_equal(advise_round_up(pairs[i][0]), pairs[i][1]);
}

/* ---- pools ------------------------------------------------------------------------------------------------------ */

/* Worked out by sums of Poisson probabilities with another program. */
static void permits_are_those_of_the_poisson_distribution(void **state)
{
    static const struct {
        double mean;
        uint64_t permits;
    } known[] = {{0.0005, 1}, {0.001, 1}, {0.002, 2}, {0.1, 3},     {1, 6},       {2.5, 10},
                 {10, 22},    {50, 74},   {100, 133}, {640.5, 721}, {5000, 5221}, {100000, 100980}};

    for (size_t i = 0; i < COUNT(known); i++)
        assert_int_equal(advise_permits(known[i].mean), known[i].permits);
    assert_int_equal(advise_permits(0), 1);
    assert_true(advise_permits(1e9) > 1000000 && advise_permits(1e9) < 1004000);
}

static void a_pool_is_sized_by_littles_law(void **state)
{
    struct measured *m = nothing_measured();
    struct duration_pool pool = {"api", 50, 7}, other = {"other", 50, 0};
    struct durations durations = {.routes = &m->route, .pools = &pool, .route_count = 1, .pool_count = 1};
    struct advise_pool advice;

    m->route.observed = true;
    completes(m, 9990, 100000); /* 99.9 a second, each for 100 ms */
    m->route.cut = (struct duration_end){.calls = 10, .held_us = 10 * 60e6};
    m->route.rejected.calls = 3;
    (void)route_of(m);
    assert_true(advise_pool(&durations, &pool, 10000, &advice));
    assert_true(advice.rate > 99.99 && advice.rate < 100.01);
    assert_true(advice.mean_held > 15.98 && advice.mean_held < 16.0); /* 9.99 and 6 for those that hang */
    assert_true(advice.held_s * advice.rate > 15.98 && advice.held_s * advice.rate < 16.0);
    assert_int_equal(advice.size, advise_permits(advice.mean_held));
    assert_true(advice.with_deadlines && advice.mean_held_then > 9.99 && advice.mean_held_then < 10.02);
    assert_int_equal(advice.size_then, 22);
    assert_int_equal(advice.rejected, 3);
    assert_false(advise_pool(&durations, &other, 10000, &advice));
}

static void a_pool_that_is_shared_bears_all_of_its_routes(void **state)
{
    struct measured *m = nothing_measured();
    struct duration_pool pool = {"api", 50, 7};
    struct duration_route routes[3];
    struct durations durations = {.routes = routes, .pools = &pool, .route_count = 3, .pool_count = 1};
    struct advise_pool advice;

    completes(m, 100, 500000);
    routes[0] = routes[1] = routes[2] = *route_of(m);
    routes[1].for_us = 0; /* no call has ended there */
    routes[2].for_us *= 2;
    assert_true(advise_pool(&durations, &pool, 10000, &advice));
    assert_true(advice.rate > 1.499 && advice.rate < 1.501);
    assert_true(advice.mean_held > 0.749 && advice.mean_held < 0.751);
    assert_false(advice.with_deadlines); /* 100 calls are too few for 1 % */
}

static void a_queue_is_as_long_as_the_last_in_it_has_time_for(void **state)
{
    struct measured *m = nothing_measured();
    struct duration_pool pool = {"api", 50, 7};
    struct duration_route routes[2];
    struct durations durations = {.routes = routes, .pools = &pool, .route_count = 2, .pool_count = 1};
    struct advise_pool advice;

    completes(m, 10, 500000);
    routes[0] = routes[1] = *route_of(m);
    assert_true(advise_pool(&durations, &pool, 10000, &advice));
    assert_false(advice.with_queue); /* of so few the p95 is not known */
    completes(m, 1000, 500000);
    routes[0] = routes[1] = *route_of(m);
    assert_true(advise_pool(&durations, &pool, 10000, &advice));
    assert_true(advice.with_queue && advice.queue > 130 && advice.queue <= 150); /* 50 * 1.5 s / 0.5 s */
    routes[1].deadline_us = 600000; /* the route that has the least time */
    assert_true(advise_pool(&durations, &pool, 10000, &advice));
    assert_true(advice.queue <= 10);
    routes[1].deadline_us = 100000;
    assert_true(advise_pool(&durations, &pool, 10000, &advice));
    assert_true(advice.with_queue && advice.queue == 0);
}

/* ---- rates ------------------------------------------------------------------------------------------------------ */

static void rates_are_percentages_with_up_to_four_decimals(void **state)
{
    static const struct {
        const char *text;
        uint64_t ppm;
    } rates[] = {
        {"1%", 10000},    {"0.1%", 1000},  {"0.01%", 100}, {"0.0001%", 1}, {"50%", 500000},
        {"2.50%", 25000}, {"50.1%", 0},    {"0%", 0},      {"0.0%", 0},    {"%", 0},
        {"", 0},          {"1", 0},        {".5%", 0},     {"1.%", 0},     {"-1%", 0},
        {"1e1%", 0},      {"0.00001%", 0}, {"1 %", 0},     {"101%", 0},    {"99999999999999999999%", 0},
        {"1.2.3%", 0},
    };

    for (size_t i = 0; i < COUNT(rates); i++) {
        uint64_t ppm = 0;
        bool is_one = advise_read_rate(span_of(rates[i].text), &ppm);

        assert_int_equal(is_one, rates[i].ppm != 0);
        if (is_one)
            assert_int_equal(ppm, rates[i].ppm);
    }
}

static void a_queue_is_of_use_up_to_the_time_that_the_deadline_leaves(void **state)
{
    (void)state;
    assert_int_equal(advise_queue(50, 2000000, 500000), 150);
    assert_int_equal(advise_queue(1, 2000000, 1999999), 0);
    assert_int_equal(advise_queue(50, 2000000, 2000000), 0);
    assert_int_equal(advise_queue(50, 2000000, 9000000), 0);
    assert_int_equal(advise_queue(UINT32_MAX, INT64_MAX, 1), 1000000);
}

static void a_try_is_given_the_time_of_99_calls_in_100_if_two_fit_into_the_deadline(void **state)
{
    struct measured *m = nothing_measured();
    int64_t per_try_us;

    (void)state;
    completes(m, 98, 50000);
    assert_int_equal(advise_per_try_us(route_of(m)), 0); /* of so few the p99 is not known */
    completes(m, 10, 900000);
    per_try_us = advise_per_try_us(route_of(m));
    assert_true(per_try_us >= 900000 && per_try_us <= 960000);
    m->route.deadline_us = 1700000;
    assert_int_equal(advise_per_try_us(&m->route), 0);
    m->route.deadline_us = 2 * SECOND_US;
    m->route.of = "streams";
    assert_int_equal(advise_per_try_us(&m->route), 0);
}

static void least_is_the_p95_of_the_quickest_route_that_is_below_its_deadline(void **state)
{
    struct measured *m = nothing_measured();
    const struct duration_pool pool = {.name = "api", .size = 50};
    struct durations durations = {.routes = &m->route, .route_count = 1};
    struct advise_pool advice;

    (void)state;
    completes(m, 1000, 100000);
    (void)route_of(m);
    assert_true(advise_pool(&durations, &pool, ADVISE_PPM / 100, &advice));
    assert_true(advice.least_us >= 100000 && advice.least_us <= 107000);
    m->route.deadline_us = 90000; /* observed, it takes longer than it may */
    assert_true(advise_pool(&durations, &pool, ADVISE_PPM / 100, &advice));
    assert_int_equal(advice.least_us, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_try_is_given_the_time_of_99_calls_in_100_if_two_fit_into_the_deadline),
        cmocka_unit_test(least_is_the_p95_of_the_quickest_route_that_is_below_its_deadline),
        cmocka_unit_test(a_queue_is_of_use_up_to_the_time_that_the_deadline_leaves),
        cmocka_unit_test(a_percentile_is_at_most_a_sixteenth_above_the_true_one),
        cmocka_unit_test(a_deadline_makes_no_more_false_timeouts_than_asked_for),
        cmocka_unit_test(nine_in_ten_fast_and_one_slow),
        cmocka_unit_test(what_never_completed_is_no_false_timeout_but_is_cut),
        cmocka_unit_test(what_was_cut_without_observing_counts_as_false),
        cmocka_unit_test(no_deadline_is_longer_than_what_is_in_force),
        cmocka_unit_test(it_takes_three_calls_for_each_that_may_be_false),
        cmocka_unit_test(calls_that_were_given_up_may_be_the_slow_ones),
        cmocka_unit_test(a_percentile_of_few_calls_is_none),
        cmocka_unit_test(times_are_rounded_up_to_three_digits),
        cmocka_unit_test(permits_are_those_of_the_poisson_distribution),
        cmocka_unit_test(a_pool_is_sized_by_littles_law),
        cmocka_unit_test(a_pool_that_is_shared_bears_all_of_its_routes),
        cmocka_unit_test(a_queue_is_as_long_as_the_last_in_it_has_time_for),
        cmocka_unit_test(rates_are_percentages_with_up_to_four_decimals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
