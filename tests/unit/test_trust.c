/* Which kept connections are used after one was silent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/trust.h"

static struct proof proof_of(int64_t responded_ns)
{
    struct proof proof;

    trust_responded(&proof, responded_ns);
    return proof;
}

/* The request was not even acknowledged. */
static void lose(struct doubt *doubt, const struct proof *silent, int64_t sent_ns)
{
    trust_doubt(doubt, silent, sent_ns, sent_ns + 50, false);
}

static void without_a_silent_one_all_are_trusted(void **state)
{
    const struct doubt none = {0};
    struct proof proof = proof_of(1);

    (void)state;
    assert_int_equal(trust_of(&none, &proof), TRUST_SURE);
}

static void suspect_is_what_was_idle_when_the_request_was_sent(void **state)
{
    struct doubt doubt = {0};
    struct proof before = proof_of(90), same = proof_of(100), after = proof_of(101), silent = proof_of(80);

    (void)state;
    lose(&doubt, &silent, 100);
    assert_int_equal(trust_of(&doubt, &before), TRUST_UNASKED);
    assert_int_equal(trust_of(&doubt, &same), TRUST_UNASKED);
    assert_int_equal(trust_of(&doubt, &after), TRUST_SURE);
    trust_responded(&before, 150);
    assert_int_equal(trust_of(&doubt, &before), TRUST_SURE);
}

static void a_probe_that_is_acknowledged_clears_one(void **state)
{
    struct doubt doubt = {0};
    struct proof proof = proof_of(90), silent = proof_of(80);

    (void)state;
    lose(&doubt, &silent, 100);
    trust_probed(&proof, 200);
    assert_int_equal(trust_of(&doubt, &proof), TRUST_ASKED);
    trust_acknowledged(&proof);
    assert_int_equal(trust_of(&doubt, &proof), TRUST_SURE);
    lose(&doubt, &silent, 150); /* sent before the probe */
    assert_int_equal(trust_of(&doubt, &proof), TRUST_SURE);
    lose(&doubt, &silent, 250);
    assert_int_equal(trust_of(&doubt, &proof), TRUST_UNASKED);
}

static void an_answer_to_a_probe_from_before_the_doubt_clears_nothing(void **state)
{
    struct doubt doubt = {0};
    struct proof proof = proof_of(90), silent = proof_of(80);

    (void)state;
    lose(&doubt, &silent, 100);
    trust_probed(&proof, 200);
    lose(&doubt, &silent, 300);
    trust_acknowledged(&proof);
    assert_int_equal(trust_of(&doubt, &proof), TRUST_UNASKED);
}

static void when_a_probed_one_is_silent_in_turn_probes_are_not_believed_any_more(void **state)
{
    struct doubt doubt = {0};
    struct proof one = proof_of(90), two = proof_of(91), silent = proof_of(80), used = proof_of(92);

    (void)state;
    lose(&doubt, &silent, 100);
    trust_probed(&one, 200);
    trust_probed(&two, 200);
    trust_acknowledged(&one);
    trust_acknowledged(&two);
    trust_responded(&used, 350);
    lose(&doubt, &one, 300);
    assert_int_equal(trust_of(&doubt, &two), TRUST_LOST);
    assert_int_equal(trust_of(&doubt, &used), TRUST_SURE);
    trust_responded(&two, 400);
    assert_int_equal(trust_of(&doubt, &two), TRUST_SURE);
}

static void a_slow_upstream_makes_nothing_suspect(void **state)
{
    struct doubt doubt = {0};
    struct proof proof = proof_of(90), slow = proof_of(80), at_once = proof_of(70), fresh = proof_of(120);

    (void)state;
    trust_doubt(&doubt, &slow, 100, 200, true);
    trust_doubt(&doubt, &at_once, 110, 210, true); /* was on its way already */
    trust_doubt(&doubt, &fresh, 300, 400, true);   /* has given a response in between */
    assert_int_equal(trust_of(&doubt, &proof), TRUST_SURE);
}

static void two_that_are_silent_one_after_another_condemn_the_rest(void **state)
{
    struct doubt doubt = {0};
    struct proof proof = proof_of(90), one = proof_of(80), two = proof_of(70), used = proof_of(301);

    (void)state;
    trust_doubt(&doubt, &one, 100, 200, true);
    trust_doubt(&doubt, &two, 300, 400, true);
    assert_int_equal(trust_of(&doubt, &proof), TRUST_LOST);
    assert_int_equal(trust_of(&doubt, &used), TRUST_SURE);
}

static void an_older_doubt_does_not_take_back_a_newer_one(void **state)
{
    struct doubt doubt = {0};
    struct proof proof = proof_of(150), silent = proof_of(80);

    (void)state;
    lose(&doubt, &silent, 200);
    lose(&doubt, &silent, 100);
    assert_int_equal(trust_of(&doubt, &proof), TRUST_UNASKED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_silent_one_all_are_trusted),
        cmocka_unit_test(suspect_is_what_was_idle_when_the_request_was_sent),
        cmocka_unit_test(a_probe_that_is_acknowledged_clears_one),
        cmocka_unit_test(an_answer_to_a_probe_from_before_the_doubt_clears_nothing),
        cmocka_unit_test(when_a_probed_one_is_silent_in_turn_probes_are_not_believed_any_more),
        cmocka_unit_test(a_slow_upstream_makes_nothing_suspect),
        cmocka_unit_test(two_that_are_silent_one_after_another_condemn_the_rest),
        cmocka_unit_test(an_older_doubt_does_not_take_back_a_newer_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
