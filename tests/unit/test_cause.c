/* Causes, outcomes and phases: what callers, logs and metrics are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/cause.h"

static void reason_and_outcome_tell_a_cause_and_it_has_a_title(void **state)
{
    for (unsigned a = 0; a < CAUSE_COUNT; a++) {
        assert_true(cause_title((enum cause)a)[0] != '\0');
        for (const char *c = cause_reason((enum cause)a); *c != '\0'; c++)
            assert_true((*c >= 'a' && *c <= 'z') || *c == '_');
        for (unsigned b = 0; b < a; b++)
            if (cause_outcome((enum cause)a) == cause_outcome((enum cause)b))
                assert_string_not_equal(cause_reason((enum cause)a), cause_reason((enum cause)b));
    }
}

static void status_codes_go_with_outcomes(void **state)
{
    for (unsigned i = 0; i < CAUSE_COUNT; i++) {
        enum cause cause = (enum cause)i;
        unsigned status = cause_status(cause);

        print_message("%s\n", cause_reason(cause));
        switch (cause_outcome(cause)) {
        case OUTCOME_COMPLETED: assert_int_equal(cause, CAUSE_NONE); break;
        case OUTCOME_STUCK: assert_int_equal(status, 504); break;
        case OUTCOME_FAILED:
            assert_true(status == (cause == CAUSE_INTERNAL || cause == CAUSE_BROKEN ? 500 : 502));
            break;
        case OUTCOME_REJECTED: assert_int_equal(status, 503); break;
        case OUTCOME_ABANDONED: assert_true(status / 100 == 4); break;
        default: assert_true(status / 100 == 4 || status / 100 == 5); break;
        }
    }
}

static void only_what_the_upstream_has_seen_nothing_of_is_to_be_asked_again(void **state)
{
    for (unsigned i = 0; i < CAUSE_COUNT; i++) {
        enum cause cause = (enum cause)i;
        enum outcome outcome = cause_outcome(cause);
        bool is_refusal = outcome == OUTCOME_REJECTED || outcome == OUTCOME_NOT_A_CALL;

        print_message("%s\n", cause_reason(cause));
        assert_int_equal(cause_invites_retry(cause, SENT_NONE), is_refusal && cause_status(cause) == 503);
        assert_false(cause_invites_retry(cause, SENT_PARTIAL));
        assert_false(cause_invites_retry(cause, SENT_COMPLETE));
    }
}

static void two_causes_say_that_curfew_shuts_down(void **state)
{
    assert_string_equal(cause_reason(CAUSE_DRAIN_OVER), "draining");
    assert_string_equal(cause_reason(CAUSE_DRAINING), "draining");
    assert_int_equal(cause_outcome(CAUSE_DRAIN_OVER), OUTCOME_STUCK);
    for (unsigned i = 0; i < CAUSE_COUNT; i++)
        assert_int_equal(cause_is_shutdown((enum cause)i), i == CAUSE_DRAIN_OVER || i == CAUSE_DRAINING);
}

static void a_time_limits_error_says_what_did_not_come_in_time(void **state)
{
    static const char *const errors[PHASE_COUNT] = {
        [PHASE_UPLOAD] = "http_response_timeout",  [PHASE_QUEUE] = "connection_limit_reached",
        [PHASE_BACKOFF] = "http_response_timeout", [PHASE_DNS] = "dns_timeout",
        [PHASE_CONNECT] = "connection_timeout",    [PHASE_TLS] = "connection_timeout",
        [PHASE_SEND] = "http_response_timeout",    [PHASE_WAIT] = "http_response_timeout",
        [PHASE_RECEIVE] = "http_response_timeout", [PHASE_TUNNEL] = "http_response_timeout",
    };

    for (unsigned i = 0; i < PHASE_COUNT; i++) {
        assert_string_equal(cause_proxy_error(CAUSE_DEADLINE, (enum phase)i), errors[i]);
        assert_string_equal(cause_proxy_error(CAUSE_IDLE_LIMIT, (enum phase)i), errors[i]);
        assert_string_equal(cause_proxy_error(CAUSE_DRAIN_OVER, (enum phase)i), errors[i]);
    }
}

static void other_errors_do_not_depend_on_the_phase(void **state)
{
    assert_string_equal(cause_proxy_error(CAUSE_QUEUE_FULL, PHASE_QUEUE), "connection_limit_reached");
    assert_string_equal(cause_proxy_error(CAUSE_DNS, PHASE_DNS), "dns_error");
    assert_string_equal(cause_proxy_error(CAUSE_REFUSED, PHASE_CONNECT), "connection_refused");
    assert_string_equal(cause_proxy_error(CAUSE_BAD_REQUEST, PHASE_UPLOAD), "http_request_error");
    assert_string_equal(cause_proxy_error(CAUSE_NO_ROUTE, PHASE_UPLOAD), "destination_not_found");
    assert_null(cause_proxy_error(CAUSE_NONE, PHASE_RECEIVE));
    assert_null(cause_proxy_error(CAUSE_CALLER_GONE, PHASE_WAIT));
}

static void names_are_those_of_the_contract(void **state)
{
    static const char *const phases[] = {"upload", "queue", "backoff", "dns",     "connect",
                                         "tls",    "send",  "wait",    "receive", "tunnel"};
    static const char *const outcomes[] = {"completed", "stuck",     "failed",
                                           "rejected",  "abandoned", "not_a_call"};
    static const char *const sents[] = {"none", "partial", "complete"};

    assert_int_equal(PHASE_COUNT, sizeof(phases) / sizeof(phases[0]));
    for (unsigned i = 0; i < PHASE_COUNT; i++)
        assert_string_equal(phase_name((enum phase)i), phases[i]);
    assert_int_equal(OUTCOME_COUNT, sizeof(outcomes) / sizeof(outcomes[0]));
    for (unsigned i = 0; i < OUTCOME_COUNT; i++)
        assert_string_equal(outcome_name((enum outcome)i), outcomes[i]);
    for (unsigned i = 0; i < 3; i++)
        assert_string_equal(sent_name((enum sent)i), sents[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reason_and_outcome_tell_a_cause_and_it_has_a_title),
        cmocka_unit_test(status_codes_go_with_outcomes),
        cmocka_unit_test(only_what_the_upstream_has_seen_nothing_of_is_to_be_asked_again),
        cmocka_unit_test(two_causes_say_that_curfew_shuts_down),
        cmocka_unit_test(a_time_limits_error_says_what_did_not_come_in_time),
        cmocka_unit_test(other_errors_do_not_depend_on_the_phase),
        cmocka_unit_test(names_are_those_of_the_contract),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
