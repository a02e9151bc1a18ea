/* What a connection over HTTP/2 may still be given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/number.h"
#include "core/slots.h"

#define NOW  (1000 * NS_PER_S)
#define S    NS_PER_S
#define MANY 1000000u

static struct slots fresh(void)
{
    struct slots slots;

    slots_init(&slots, NOW);
    return slots;
}

static void the_least_of_what_each_side_allows_may_begin(void **state)
{
    struct slots_terms terms = {10, MANY};
    struct slots slots = fresh();

    (void)state;
    assert_int_equal(slots_left(&slots, &terms, 100), 10);
    assert_int_equal(slots_left(&slots, &terms, 4), 4);
    assert_int_equal(slots_left(&slots, &terms, 0), 0);
    for (int i = 0; i < 4; i++)
        slots_take(&slots);
    assert_int_equal(slots_left(&slots, &terms, 4), 0);
    assert_int_equal(slots_left(&slots, &terms, 1),
                     0); /* the API allows fewer by now: none is ended for that */
    assert_int_equal(slots_left(&slots, &terms, 100), 6);
    slots_give(&slots);
    assert_int_equal(slots_left(&slots, &terms, 4), 1);
}

static void a_connection_has_served_its_time_after_max_calls(void **state)
{
    struct slots_terms terms = {10, 12};
    struct slots slots = fresh();

    (void)state;
    for (int i = 0; i < 9; i++) {
        slots_take(&slots);
        slots_give(&slots);
    }
    assert_int_equal(slots_left(&slots, &terms, 100), 3);
    for (int i = 0; i < 3; i++)
        slots_take(&slots);
    slots_give(&slots);
    assert_int_equal(slots_left(&slots, &terms, 100), 0);
}

static void a_slot_is_free_when_the_api_can_know_of_the_reset(void **state)
{
    struct slots_terms terms = {2, MANY};
    struct slots slots = fresh();

    (void)state;
    slots_take(&slots);
    slots_take(&slots);
    assert_false(slots_reset_call(&slots, NOW, false));
    assert_int_equal(slots_left(&slots, &terms, 100), 0);
    slots_note_read(&slots, false, true); /* it was sent before the reset was written */
    assert_int_equal(slots_left(&slots, &terms, 100), 0);
    slots_note_read(&slots, true, false);
    assert_int_equal(slots_left(&slots, &terms, 100), 1);
}

static void a_refusal_says_how_many_the_api_takes(void **state)
{
    struct slots_terms terms = {10, MANY};
    struct slots slots = fresh();

    (void)state;
    for (int i = 0; i < 5; i++)
        slots_take(&slots);
    slots_note_refused(&slots);
    slots_give(&slots);
    assert_int_equal(slots_left(&slots, &terms, 100), 0); /* four are open */
    slots_give(&slots);
    assert_int_equal(slots_left(&slots, &terms, 100), 1);
}

static void an_api_that_refuses_its_only_stream_gets_no_other_there(void **state)
{
    struct slots slots = fresh();

    (void)state;
    slots_take(&slots);
    slots_note_refused(&slots);
    slots_give(&slots);
    assert_true(slots.retired);
}

static void the_budget_of_resets_is_a_hundred_and_five_a_second(void **state)
{
    struct slots_terms terms = {100, MANY};
    struct slots slots = fresh();

    (void)state;
    for (uint32_t i = 0; i < SLOTS_RESETS; i++) {
        slots_take(&slots);
        assert_false(slots_reset_call(&slots, NOW, false));
        slots_note_read(&slots, true, true);
    }
    assert_false(slots.retired);
    assert_int_equal(slots_left(&slots, &terms, 100), SLOTS_RESETS_MAX - 1 - SLOTS_RESETS);
    for (uint32_t i = 0; i < SLOTS_RESETS_A_S; i++) {
        slots_count_reset(&slots, NOW + S);
        assert_false(slots.retired);
    }
    slots_count_reset(&slots, NOW + S);
    assert_true(slots.retired);
    assert_int_equal(slots_left(&slots, &terms, 100), 0);
}

/* Whatever happens: calls that hang, of which as many run at once as may. */
static void no_connection_sees_as_many_resets_as_servers_end_it_for(void **state)
{
    static const uint32_t streams[] = {1, 10, 50, 100, 149, 150, 1000};

    (void)state;
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        struct slots_terms terms = {streams[i], MANY};
        struct slots slots = fresh();
        int64_t now_ns = NOW;

        while (slots_left(&slots, &terms, MANY) != 0 || slots.open != 0) {
            while (slots_left(&slots, &terms, MANY) != 0)
                slots_take(&slots);
            if (slots_may_reset(&slots))
                assert_false(slots_reset_call(&slots, now_ns, false));
            else
                slots_give(&slots); /* it has to wait for the others, and ends with the connection */
            slots_note_read(&slots, true, true);
            now_ns += S;
        }
        assert_true(slots.resets < SLOTS_RESETS_MAX && slots.resets >= SLOTS_RESETS);
    }
}

static void a_ping_goes_with_the_reset_of_a_call_that_heard_nothing(void **state)
{
    struct slots_terms terms = {10, MANY};
    struct slots slots = fresh();

    (void)state;
    for (int i = 0; i < 4; i++)
        slots_take(&slots);
    assert_true(slots_reset_call(&slots, NOW, true));
    assert_true(slots.doubtful && slots.ping_ns == NOW);
    assert_int_equal(slots_left(&slots, &terms, 100), 0);
    assert_false(slots_may_begin(&slots, true)); /* one that took its slot before begins elsewhere */
    assert_false(slots_reset_call(&slots, NOW + 1, true)); /* one is under way */
    slots_note_read(&slots, true, false);                  /* its answer */
    assert_true(slots_may_begin(&slots, false));
    assert_int_equal(slots_left(&slots, &terms, 100), 8);
    assert_false(slots_reset_call(&slots, NOW + 2, true)); /* it has said no more than that it is there */
    assert_false(slots.doubtful);
    slots_note_read(&slots, true, true);
    assert_true(slots_reset_call(&slots, NOW + 3, true));
}

static void a_connection_that_was_silent_is_asked_before_a_call(void **state)
{
    struct slots slots = fresh();

    (void)state;
    assert_false(slots_ask(&slots, NOW + 5 * S - 1, NOW, 5 * S));
    assert_true(slots_ask(&slots, NOW + 5 * S, NOW, 5 * S));
    assert_false(slots_ask(&slots, NOW + 6 * S, NOW, 5 * S)); /* it has been */
    assert_true(slots_may_begin(&slots, true) && !slots_may_begin(&slots, false));
    assert_false(slots.doubtful);
    slots_note_read(&slots, true, false);
    assert_int_equal(slots.ping_ns, 0);
}

static void calm_lasts_twice_as_long_each_time(void **state)
{
    struct calm calm = {0};
    int64_t now_ns = NOW, expected_ns = CALM_FIRST_NS;

    (void)state;
    for (int i = 0; i < 10; i++) {
        calm_note(&calm, now_ns);
        calm_note(&calm, now_ns + 1); /* of another connection */
        assert_int_equal(calm.until_ns, now_ns + expected_ns);
        now_ns = calm.until_ns;
        expected_ns = expected_ns * 2 < CALM_MOST_NS ? expected_ns * 2 : CALM_MOST_NS;
    }
    calm_note(&calm, now_ns + 11 * S);
    assert_int_equal(calm.for_ns, CALM_FIRST_NS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_of_what_each_side_allows_may_begin),
        cmocka_unit_test(a_connection_has_served_its_time_after_max_calls),
        cmocka_unit_test(a_slot_is_free_when_the_api_can_know_of_the_reset),
        cmocka_unit_test(a_refusal_says_how_many_the_api_takes),
        cmocka_unit_test(an_api_that_refuses_its_only_stream_gets_no_other_there),
        cmocka_unit_test(the_budget_of_resets_is_a_hundred_and_five_a_second),
        cmocka_unit_test(no_connection_sees_as_many_resets_as_servers_end_it_for),
        cmocka_unit_test(a_ping_goes_with_the_reset_of_a_call_that_heard_nothing),
        cmocka_unit_test(a_connection_that_was_silent_is_asked_before_a_call),
        cmocka_unit_test(calm_lasts_twice_as_long_each_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
