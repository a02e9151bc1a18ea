/* How long a call can wait for its turn, and what a refusal is called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "call/pool_wait.h"

#define MS       NS_PER_MS
#define NOW      (INT64_C(1000) * NS_PER_S)
#define DEADLINE (NOW + 2000 * MS)

static struct pool_config pool;
static struct route_config route;
static struct permit permit;

static void set(int64_t least_ns, uint32_t per_hour, int64_t queue_timeout_ns)
{
    pool = (struct pool_config){.least_ns = least_ns, .rate_per_hour = per_hour};
    route =
        (struct route_config){.queue_timeout_ns = queue_timeout_ns, .ceiling_ns = NS_NEVER, .waits = &pool};
    permit_init(&permit, 0);
}

static struct start_times *known(int64_t took_ns)
{
    struct start_times *times = start_times_new();

    for (uint32_t i = 0; i < START_TIMES_KNOWN; i++)
        start_times_count(times, took_ns);
    return times;
}

static void tell(const struct start_times *times)
{
    pool_wait_tell(&permit, &route, times, DEADLINE, NOW);
}

static void least_is_what_has_to_be_left_at_its_turn(void **state)
{
    (void)state;
    set(150 * MS, 0, NS_NEVER);
    tell(NULL);
    assert_int_equal(permit.start_by_ns, DEADLINE - 150 * MS);
    assert_false(pool_wait_is_too_late(&route, NULL, DEADLINE, DEADLINE - 150 * MS));
    assert_true(pool_wait_is_too_late(&route, NULL, DEADLINE, DEADLINE - 150 * MS + 1));
}

static void an_observed_call_is_never_too_late(void **state)
{
    (void)state;
    set(150 * MS, 0, NS_NEVER);
    route.ceiling_ns = 60 * NS_PER_S;
    tell(NULL);
    assert_int_equal(permit.start_by_ns, NS_NEVER);
}

static void p95_is_off_until_it_is_known(void **state)
{
    struct start_times *times = known(100 * MS);
    int64_t p95_ns = start_times_p95_ns(times);

    (void)state;
    set(LEAST_IS_P95, 0, NS_NEVER);
    tell(NULL);
    assert_int_equal(permit.start_by_ns, NS_NEVER);
    assert_false(pool_wait_is_too_late(&route, NULL, DEADLINE, DEADLINE));
    tell(times);
    assert_int_equal(permit.start_by_ns, DEADLINE - p95_ns);
    assert_true(pool_wait_is_too_late(&route, times, DEADLINE, DEADLINE - 100 * MS));
    mem_free(times);
}

static void a_slot_has_to_leave_the_median_or_a_millisecond_and_five_for_coming_late(void **state)
{
    struct start_times *times = known(100 * MS);
    int64_t median_ns = start_times_median_ns(times);

    (void)state;
    set(NS_NEVER, 360000, NS_NEVER);
    tell(NULL);
    assert_int_equal(permit.wait_until_ns, DEADLINE - 6 * MS);
    assert_int_equal(permit.start_by_ns, DEADLINE - MS);
    tell(times);
    assert_int_equal(permit.wait_until_ns, DEADLINE - median_ns - 5 * MS);
    assert_int_equal(permit.start_by_ns, DEADLINE - median_ns);
    mem_free(times);
}

static void the_larger_of_least_and_median_counts(void **state)
{
    struct start_times *times = known(100 * MS);

    (void)state;
    set(500 * MS, 360000, NS_NEVER);
    tell(times);
    assert_int_equal(permit.start_by_ns, DEADLINE - 500 * MS);
    assert_int_equal(permit.wait_until_ns, DEADLINE - 500 * MS);
    mem_free(times);
}

static void nobody_waits_for_a_slot_beyond_queue_timeout(void **state)
{
    (void)state;
    set(NS_NEVER, 360000, 300 * MS);
    tell(NULL);
    assert_int_equal(permit.wait_until_ns, NOW + 300 * MS);
    assert_int_equal(permit.start_by_ns, DEADLINE - MS);
}

static void each_refusal_has_a_cause(void **state)
{
    (void)state;
    assert_int_equal(pool_wait_cause(PERMIT_QUEUE_FULL), CAUSE_QUEUE_FULL);
    assert_int_equal(pool_wait_cause(PERMIT_TOO_LATE), CAUSE_TOO_LATE);
    assert_int_equal(pool_wait_cause(PERMIT_RATE), CAUSE_NO_SLOT);
    assert_int_equal(pool_wait_cause(PERMIT_PAUSED), CAUSE_PAUSED);
}

static void waiters_share_by_the_first_value_of_a_field_or_by_their_caller(void **state)
{
    struct http1_field fields[] = {{.name = SPAN_LIT("Host"), .value = SPAN_LIT("a")},
                                   {.name = SPAN_LIT("x-tenant"), .value = SPAN_LIT("blue")},
                                   {.name = SPAN_LIT("X-Tenant"), .value = SPAN_LIT("red")}};
    struct http1_head head = {.fields = fields, .field_count = 3};
    struct span caller = SPAN_LIT("127.0.0.1");

    (void)state;
    set(NS_NEVER, 0, NS_NEVER);
    pool.share_by = SPAN_LIT("X-Tenant");
    assert_true(span_eq(pool_wait_key(&pool, &head, caller), SPAN_LIT("blue")));
    head.field_count = 1;
    assert_int_equal(pool_wait_key(&pool, &head, caller).len, 0);
    pool.shares_by_caller = true;
    assert_true(span_eq(pool_wait_key(&pool, &head, caller), caller));
}

static void retry_after_is_rounded_up_and_never_0(void **state)
{
    (void)state;
    permit_init(&permit, 0);
    assert_int_equal(pool_wait_retry_after_s(&permit, NOW), 1);
    permit.refused = PERMIT_QUEUE_FULL;
    permit.slot_ns = NOW + 10 * NS_PER_S; /* of no meaning */
    assert_int_equal(pool_wait_retry_after_s(&permit, NOW), 1);
    permit.refused = PERMIT_RATE;
    assert_int_equal(pool_wait_retry_after_s(&permit, NOW), 10);
    assert_int_equal(pool_wait_retry_after_s(&permit, NOW - 1), 11);
    assert_int_equal(pool_wait_retry_after_s(&permit, NOW + 10 * NS_PER_S), 1);
    assert_int_equal(pool_wait_retry_after_s(&permit, NOW + 20 * NS_PER_S), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(least_is_what_has_to_be_left_at_its_turn),
        cmocka_unit_test(an_observed_call_is_never_too_late),
        cmocka_unit_test(p95_is_off_until_it_is_known),
        cmocka_unit_test(a_slot_has_to_leave_the_median_or_a_millisecond_and_five_for_coming_late),
        cmocka_unit_test(the_larger_of_least_and_median_counts),
        cmocka_unit_test(nobody_waits_for_a_slot_beyond_queue_timeout),
        cmocka_unit_test(each_refusal_has_a_cause),
        cmocka_unit_test(waiters_share_by_the_first_value_of_a_field_or_by_their_caller),
        cmocka_unit_test(retry_after_is_rounded_up_and_never_0),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
