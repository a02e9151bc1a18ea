/* When a tunnel has to end, and what that means for its call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/tunnel.h"

#define S NS_PER_S

static struct tunnel fresh(void)
{
    struct tunnel tunnel;

    tunnel_begin(&tunnel);
    return tunnel;
}

static void it_is_over_when_both_sides_have_ended(void **state)
{
    struct tunnel tunnel = fresh();

    assert_false(tunnel_is_over(&tunnel));
    tunnel_note_end(&tunnel, TUNNEL_END_UPSTREAM);
    assert_false(tunnel_is_over(&tunnel));
    tunnel_note_end(&tunnel, TUNNEL_END_CALLER);
    assert_true(tunnel_is_over(&tunnel));
}

static void the_side_that_ends_first_is_what_it_ends_by(void **state)
{
    static const enum tunnel_end sides[] = {TUNNEL_END_CALLER, TUNNEL_END_UPSTREAM};

    for (int first = 0; first < 2; first++) {
        struct tunnel tunnel = fresh();

        tunnel_note_end(&tunnel, sides[first]);
        assert_int_equal(tunnel_end_of(&tunnel, CAUSE_CALLER_GONE), sides[first]); /* a reset that follows */
        tunnel_note_end(&tunnel, sides[1 - first]);
        assert_int_equal(tunnel_end_of(&tunnel, CAUSE_NONE), sides[first]);
    }
}

static void idle_counts_from_the_last_byte(void **state)
{
    const struct tunnel_terms terms = {.idle_ns = 300 * S, .lifetime_ns = 3600 * S};
    struct tunnel tunnel = fresh();
    enum cause cause = CAUSE_NONE;

    assert_int_equal(tunnel_limit(&tunnel, &terms, 7 * S, &cause), 307 * S);
    assert_int_equal(cause, CAUSE_IDLE_LIMIT);
    assert_int_equal(tunnel_end_of(&tunnel, cause), TUNNEL_END_IDLE);
}

static void a_side_that_is_left_may_be_silent_for_a_minute(void **state)
{
    const struct tunnel_terms terms = {.idle_ns = 300 * S, .lifetime_ns = 3600 * S};
    struct tunnel tunnel = fresh();
    enum cause cause = CAUSE_NONE;

    tunnel_note_end(&tunnel, TUNNEL_END_UPSTREAM);
    assert_int_equal(tunnel_limit(&tunnel, &terms, 7 * S, &cause), 67 * S);
    assert_int_equal(tunnel_end_of(&tunnel, cause), TUNNEL_END_UPSTREAM);
    assert_int_equal(tunnel_cause_of(TUNNEL_END_UPSTREAM, cause), CAUSE_NONE);
}

static void a_shorter_idle_stays_in_force_for_the_side_that_is_left(void **state)
{
    const struct tunnel_terms terms = {.idle_ns = 2 * S, .lifetime_ns = 3600 * S};
    struct tunnel tunnel = fresh();
    enum cause cause = CAUSE_NONE;

    tunnel_note_end(&tunnel, TUNNEL_END_CALLER);
    assert_int_equal(tunnel_limit(&tunnel, &terms, 7 * S, &cause), 9 * S);
    assert_int_equal(tunnel_end_of(&tunnel, cause), TUNNEL_END_IDLE);
}

static void each_end_has_the_outcome_of_the_contract(void **state)
{
    static const struct {
        enum cause told;
        enum tunnel_end end;
        enum outcome outcome;
    } rows[] = {
        {CAUSE_CALLER_GONE, TUNNEL_END_CALLER, OUTCOME_COMPLETED},
        {CAUSE_DEADLINE, TUNNEL_END_LIFETIME, OUTCOME_COMPLETED},
        {CAUSE_IDLE_LIMIT, TUNNEL_END_IDLE, OUTCOME_STUCK},
        {CAUSE_OPERATOR, TUNNEL_END_OPERATOR, OUTCOME_STUCK},
        {CAUSE_DRAIN_OVER, TUNNEL_END_DRAIN, OUTCOME_STUCK},
        {CAUSE_INCOMPLETE, TUNNEL_END_ERROR, OUTCOME_FAILED},
        {CAUSE_INTERNAL, TUNNEL_END_ERROR, OUTCOME_FAILED},
        {CAUSE_BROKEN, TUNNEL_END_ERROR, OUTCOME_FAILED},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tunnel tunnel = fresh();

        assert_int_equal(tunnel_end_of(&tunnel, rows[i].told), rows[i].end);
        assert_int_equal(cause_outcome(tunnel_cause_of(rows[i].end, rows[i].told)), rows[i].outcome);
    }
    assert_int_equal(tunnel_cause_of(TUNNEL_END_ERROR, CAUSE_INTERNAL), CAUSE_INTERNAL);
}

static void ends_have_the_names_of_the_contract(void **state)
{
    static const char *const names[] = {"caller", "upstream", "idle", "lifetime",
                                        "error",  "operator", "drain"};

    assert_int_equal(TUNNEL_END_COUNT, 7);
    for (int end = 0; end < TUNNEL_END_COUNT; end++)
        assert_string_equal(tunnel_end_name((enum tunnel_end)end), names[end]);
    assert_null(tunnel_end_name(TUNNEL_END_NONE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_over_when_both_sides_have_ended),
        cmocka_unit_test(the_side_that_ends_first_is_what_it_ends_by),
        cmocka_unit_test(idle_counts_from_the_last_byte),
        cmocka_unit_test(a_side_that_is_left_may_be_silent_for_a_minute),
        cmocka_unit_test(a_shorter_idle_stays_in_force_for_the_side_that_is_left),
        cmocka_unit_test(each_end_has_the_outcome_of_the_contract),
        cmocka_unit_test(ends_have_the_names_of_the_contract),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
