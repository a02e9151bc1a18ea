/* What happened in the last minute. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/number.h"
#include "stats/recent.h"

static struct recent recent;

static void put(int64_t second, uint64_t retries)
{
    const struct recent_totals totals = {.retries = retries};

    recent_put(&recent, second, &totals);
}

static uint64_t retries_of_the_minute(void)
{
    return recent_minute(&recent).retries;
}

static void every_counter_has_its_place(void **state)
{
    const struct route_metrics route = {
        .rejected = {[CAUSE_NO_SLOT] = 3, [CAUSE_TOO_LATE] = 1},
        .tries_started = {[TRY_FIRST] = 100, [TRY_RETRY] = 5, [TRY_FALLBACK] = 2, [TRY_HEDGE] = 1},
        .saved = {4}};
    const struct upstream_metrics upstream = {
        .retries_stopped = {[RETRY_STOP_BUDGET] = 6, [RETRY_STOP_ATTEMPTS] = 9},
        .dns_answers = {[DNS_FRESH] = 9, [DNS_STALE] = 7},
        .http2_calls = {[SIDE_DOWNSTREAM] = 10, [SIDE_UPSTREAM] = 11},
        .first_event = {.bucket = {[2] = 8}}};
    struct recent_totals totals = {.retries = 1}, minute;

    (void)state;
    recent_begin(&recent, 0, &totals);
    recent_add_route(&totals, &route);
    recent_add_route(&totals, &route);
    recent_add_upstream(&totals, &upstream);
    recent_put(&recent, 1, &totals);
    minute = recent_minute(&recent);
    assert_int_equal(minute.rejected[CAUSE_NO_SLOT], 6);
    assert_int_equal(minute.rejected[CAUSE_TOO_LATE], 2);
    assert_int_equal(minute.rejected[CAUSE_QUEUE_FULL], 0);
    assert_int_equal(minute.retries, 16);
    assert_int_equal(minute.saved, 8);
    assert_int_equal(minute.budget_stops, 6);
    assert_int_equal(minute.dns_stale, 7);
    assert_int_equal(minute.h2_callers, 10);
    assert_int_equal(minute.h2_apis, 11);
    assert_int_equal(minute.first_event.bucket[2], 8);
}

static void a_minute_is_between_fifty_and_sixty_seconds(void **state)
{
    static const struct recent_totals nothing;

    (void)state;
    recent_begin(&recent, 0, &nothing);
    for (int64_t second = 1; second <= 600; second++) {
        uint64_t found;

        put(second, (uint64_t)second); /* one each second */
        found = retries_of_the_minute();
        assert_true(found <= 60 && found >= (second < 50 ? (uint64_t)second : 50));
    }
}

static void what_was_before_is_forgotten(void **state)
{
    static const struct recent_totals nothing;

    (void)state;
    recent_begin(&recent, 0, &nothing);
    put(5, 100);
    assert_int_equal(retries_of_the_minute(), 100);
    for (int64_t second = 6; second < 60; second++)
        put(second, 100);
    assert_int_equal(retries_of_the_minute(), 100);
    put(60, 100);
    assert_int_equal(retries_of_the_minute(), 0);
    put(300, 200); /* nobody looked for minutes */
    assert_int_equal(retries_of_the_minute(), 0);
    put(301, 201);
    assert_int_equal(retries_of_the_minute(), 1);
}

static void counters_may_begin_anew(void **state)
{
    static const struct recent_totals nothing;

    (void)state;
    recent_begin(&recent, 0, &nothing);
    put(1, 100);
    put(2, 7);
    assert_int_equal(retries_of_the_minute(), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_counter_has_its_place),
        cmocka_unit_test(a_minute_is_between_fifty_and_sixty_seconds),
        cmocka_unit_test(what_was_before_is_forgotten),
        cmocka_unit_test(counters_may_begin_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
