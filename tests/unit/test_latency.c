/* How long calls took between two pages of GET /durations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "view/latency.h"

#define ROUTE(upstream, route, allowed, counted_for, cut, took, buckets)                                     \
    "{\"upstream\":\"" upstream "\",\"route\":\"" route "\",\"longest_allowed_us\":" allowed                 \
    ",\"for_us\":" counted_for ",\"cut\":{\"calls\":" cut ",\"held_us\":0,\"took_us\":" took                 \
    "},\"buckets\":" buckets "}"
#define PAGE(routes) "{\"routes\":[" routes "],\"pools\":[]}"

static struct latency between(const char *before_json, const char *now_json, const char *upstream)
{
    struct durations before, now;
    struct latency latency;

    assert_true(durations_read(&now, span_of(now_json)));
    if (before_json != NULL)
        assert_true(durations_read(&before, span_of(before_json)));
    latency = latency_between(&now, before_json != NULL ? &before : NULL, upstream, "calls");
    durations_free(&now);
    if (before_json != NULL)
        durations_free(&before);
    return latency;
}

static void expect(struct latency latency, double p50, double p99)
{
    if (fabs(latency.p50 - p50) > 1e-9 || fabs(latency.p99 - p99) > 1e-9)
        fail_msg("p50 %g, p99 %g, not %g and %g", latency.p50, latency.p99, p50, p99);
}

static void only_calls_in_between_count(void **state)
{
    static const char before[] =
        PAGE(ROUTE("a", "default", "5000000", "10", "0", "0", "[[1000,90,0],[4000000,10,0]]"));
    static const char now[] =
        PAGE(ROUTE("a", "default", "5000000", "20", "0", "0", "[[1000,90,0],[2000,98,0],[4000000,12,0]]"));

    expect(between(NULL, before, "a"), 0.001, 4);
    expect(between(before, now, "a"), 0.002, 4);
}

static void nothing_is_known_of_no_calls(void **state)
{
    static const char page[] = PAGE(ROUTE("a", "default", "5000000", "10", "0", "0", "[[1000,90,0]]"));

    assert_true(isnan(between(page, page, "a").p50) && isnan(between(page, page, "a").p99));
    assert_true(isnan(between(NULL, page, "b").p50));
    assert_true(isnan(latency_between(NULL, NULL, "a", "calls").p99));
}

/* A bucket ends above what is in it: at 2.031 s where calls of a deadline of 2 s are. */
static void nothing_is_above_the_longest_that_is_allowed(void **state)
{
    expect(between(NULL, PAGE(ROUTE("a", "default", "2000000", "10", "0", "0", "[[2031616,3,0]]")), "a"), 2,
           2);
    expect(between(NULL, PAGE(ROUTE("a", "default", "2000000", "10", "2", "4002000", "[]")), "a"), 2, 2);
}

static void calls_that_were_cut_count_with_what_they_took(void **state)
{
    static const char before[] =
        PAGE(ROUTE("a", "default", "5000000", "10", "1", "5000000", "[[1000,50,0]]"));
    static const char now[] = PAGE(ROUTE("a", "default", "5000000", "20", "3", "7000000", "[[1000,349,0]]"));

    expect(between(before, now, "a"), 0.001, 0.001);
    expect(
        between(before, PAGE(ROUTE("a", "default", "5000000", "20", "4", "8000000", "[[1000,55,0]]")), "a"),
        0.001, 1);
}

static void routes_of_an_upstream_come_together(void **state)
{
    static const char page[] =
        PAGE(ROUTE("a", "default", "2000000", "10", "0", "0", "[[1000,60,0]]") "," ROUTE(
            "a", "/slow", "30000000", "10", "0", "0",
            "[[20000000,40,0]]") "," ROUTE("b", "default", "9000000", "10", "0", "0", "[[8000000,900,0]]"));

    expect(between(NULL, page, "a"), 0.001, 20);
    expect(between(NULL, page, "b"), 8, 8);
}

/* After a reload that changes its limits, a route is counted anew. */
static void what_is_counted_anew_has_no_before(void **state)
{
    static const char before[] = PAGE(ROUTE("a", "default", "5000000", "900", "9", "9", "[[1000,90,0]]"));
    static const char now[] =
        PAGE(ROUTE("a", "default", "2000000", "20", "0", "0", "[[1000,1,0],[3000,3,0]]"));

    expect(between(before, now, "a"), 0.003, 0.003);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_calls_in_between_count),
        cmocka_unit_test(nothing_is_known_of_no_calls),
        cmocka_unit_test(nothing_is_above_the_longest_that_is_allowed),
        cmocka_unit_test(calls_that_were_cut_count_with_what_they_took),
        cmocka_unit_test(routes_of_an_upstream_come_together),
        cmocka_unit_test(what_is_counted_anew_has_no_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
