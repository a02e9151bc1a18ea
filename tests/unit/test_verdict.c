#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/verdict.h"

#define MS INT64_C(1000000)

/* For every cause that can end a try, and for those that can't: a cause that is new has to be put here. */
static const struct {
    enum cause cause;
    enum verdict verdict; /* with no head, the API to move, and all of the time */
} by_cause[] = {
    {CAUSE_NONE, VERDICT_NEUTRAL},
    {CAUSE_DEADLINE, VERDICT_BAD},
    {CAUSE_HEAD_LIMIT, VERDICT_NEUTRAL},
    {CAUSE_CONNECT_LIMIT, VERDICT_BAD},
    {CAUSE_FIRST_BYTE_LIMIT, VERDICT_BAD},
    {CAUSE_BEGIN_LIMIT, VERDICT_BAD},
    {CAUSE_IDLE_LIMIT, VERDICT_BAD},
    {CAUSE_FIRST_EVENT_LIMIT, VERDICT_BAD},
    {CAUSE_RATE_LIMIT, VERDICT_BAD},
    {CAUSE_OPERATOR, VERDICT_NEUTRAL},
    {CAUSE_DRAIN_OVER, VERDICT_NEUTRAL},
    {CAUSE_QUEUE_FULL, VERDICT_NEUTRAL},
    {CAUSE_QUEUE_LIMIT, VERDICT_NEUTRAL},
    {CAUSE_TOO_LATE, VERDICT_NEUTRAL},
    {CAUSE_NO_SLOT, VERDICT_NEUTRAL},
    {CAUSE_FLEET_UNAVAILABLE, VERDICT_NEUTRAL},
    {CAUSE_BREAKER_OPEN, VERDICT_NEUTRAL},
    {CAUSE_PAUSED, VERDICT_NEUTRAL},
    {CAUSE_DRAINING, VERDICT_NEUTRAL},
    {CAUSE_REFUSED, VERDICT_BAD},
    {CAUSE_PROXY_REFUSED, VERDICT_BAD},
    {CAUSE_UNROUTABLE, VERDICT_BAD},
    {CAUSE_PROHIBITED, VERDICT_BAD},
    {CAUSE_TERMINATED, VERDICT_BAD},
    {CAUSE_TLS_PROTOCOL, VERDICT_BAD},
    {CAUSE_TLS_CERTIFICATE, VERDICT_BAD},
    {CAUSE_DNS, VERDICT_BAD},
    {CAUSE_HTTP_PROTOCOL, VERDICT_BAD},
    {CAUSE_RESPONSE_HEAD_SIZE, VERDICT_BAD},
    {CAUSE_INCOMPLETE, VERDICT_BAD},
    {CAUSE_INTERNAL, VERDICT_NEUTRAL},
    {CAUSE_BROKEN, VERDICT_NEUTRAL},
    {CAUSE_CALLER_GONE, VERDICT_NEUTRAL},
    {CAUSE_SNI, VERDICT_NEUTRAL},
    {CAUSE_CONTENT_BROKEN, VERDICT_NEUTRAL},
};

static struct try_end end_by(enum cause cause, uint16_t status)
{
    return (struct try_end){.cause = cause,
                            .status = status,
                            .api_to_move = true,
                            .took_ns = 2000 * MS,
                            .deadline_ns = 2000 * MS};
}

static enum verdict verdict(const struct try_end *end)
{
    return verdict_of(end, &verdict_bad_statuses);
}

static void every_cause_that_is_the_apis_doing_is_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(by_cause) / sizeof(by_cause[0]); i++) {
        struct try_end end = end_by(by_cause[i].cause, 0);

        if (verdict(&end) != by_cause[i].verdict)
            fail_msg("%s is %s", cause_reason(end.cause), verdict_name(verdict(&end)));
    }
}

static bool is_in_the_table(enum cause cause)
{
    for (size_t i = 0; i < sizeof(by_cause) / sizeof(by_cause[0]); i++)
        if (by_cause[i].cause == cause)
            return true;
    return false;
}

static void no_cause_is_left_out_of_the_table(void **state)
{
    (void)state;
    for (enum cause cause = 0; cause < CAUSE_COUNT; cause++)
        if (cause_outcome(cause) != OUTCOME_NOT_A_CALL && !is_in_the_table(cause))
            fail_msg("what does %s say of the API?", cause_reason(cause));
}

static void a_status_speaks_when_its_head_has_been_read(void **state)
{
    static const struct {
        uint16_t status;
        enum verdict verdict;
    } cells[] = {
        {200, VERDICT_GOOD}, {204, VERDICT_GOOD}, {304, VERDICT_GOOD}, {400, VERDICT_GOOD},
        {404, VERDICT_GOOD}, {408, VERDICT_GOOD}, {425, VERDICT_GOOD}, {429, VERDICT_NEUTRAL},
        {500, VERDICT_GOOD}, {501, VERDICT_GOOD}, {502, VERDICT_BAD},  {503, VERDICT_BAD},
        {504, VERDICT_BAD},  {505, VERDICT_GOOD}, {599, VERDICT_GOOD}, {999, VERDICT_GOOD},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
        struct try_end end = end_by(CAUSE_NONE, cells[i].status);

        assert_int_equal(verdict_of_status(cells[i].status, &verdict_bad_statuses), cells[i].verdict);
        assert_int_equal(verdict(&end), cells[i].verdict);
        end.cause = CAUSE_CALLER_GONE; /* it changes nothing of what the API has said */
        assert_int_equal(verdict(&end), cells[i].verdict);
        end.cause = CAUSE_OPERATOR;
        assert_int_equal(verdict(&end), cells[i].verdict);
    }
}

static void which_statuses_are_bad_is_the_operators_to_say(void **state)
{
    struct status_set bad = {0};
    struct try_end end = end_by(CAUSE_NONE, 500);

    (void)state;
    assert_int_equal(verdict_of(&end, &bad), VERDICT_GOOD);
    status_set_add(&bad, 500);
    assert_int_equal(verdict_of(&end, &bad), VERDICT_BAD);
    end.status = 503;
    assert_int_equal(verdict_of(&end, &bad), VERDICT_GOOD);
    end.status = 429;
    assert_int_equal(verdict_of(&end, &bad), VERDICT_NEUTRAL);
    status_set_add(&bad, 429);
    assert_int_equal(verdict_of(&end, &bad), VERDICT_BAD);
}

static void a_set_has_the_codes_that_were_added_and_no_others(void **state)
{
    (void)state;
    for (uint32_t code = STATUS_SET_MIN; code < STATUS_SET_END; code++) {
        struct status_set set = {0};

        assert_true(status_set_takes(code));
        status_set_add(&set, code);
        for (uint32_t other = 0; other <= 1000; other++)
            assert_int_equal(status_set_has(&set, other), other == code);
    }
    assert_false(status_set_takes(399));
    assert_false(status_set_takes(600));
    assert_false(status_set_takes(UINT64_C(400) << 32));
}

static void what_goes_wrong_after_a_good_head_is_bad_all_the_same(void **state)
{
    static const enum cause cuts[] = {CAUSE_INCOMPLETE, CAUSE_IDLE_LIMIT, CAUSE_HTTP_PROTOCOL,
                                      CAUSE_DEADLINE};

    (void)state;
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        struct try_end end = end_by(cuts[i], 200);

        assert_int_equal(verdict(&end), VERDICT_BAD);
        end.status = 429;
        assert_int_equal(verdict(&end), VERDICT_BAD);
    }
}

static void a_deadline_blames_the_api_alone_if_it_was_to_move(void **state)
{
    struct try_end end = end_by(CAUSE_DEADLINE, 0);

    (void)state;
    end.api_to_move = false; /* a slow upload */
    assert_int_equal(verdict(&end), VERDICT_NEUTRAL);
    end.status = 200; /* a slow reader */
    assert_int_equal(verdict(&end), VERDICT_GOOD);
}

static void a_beginning_that_is_missed_blames_the_api_if_it_was_to_move(void **state)
{
    struct try_end end = end_by(CAUSE_BEGIN_LIMIT, 0);

    (void)state;
    end.took_ns = 1; /* of a limit that is shorter than half of the deadline, no try has more */
    assert_int_equal(verdict(&end), VERDICT_BAD);
    end.api_to_move = false;
    assert_int_equal(verdict(&end), VERDICT_NEUTRAL);
}

static void a_deadline_blames_the_api_alone_if_the_try_had_half_of_the_routes(void **state)
{
    struct try_end end = end_by(CAUSE_DEADLINE, 0);

    (void)state;
    end.took_ns = 1000 * MS;
    assert_int_equal(verdict(&end), VERDICT_BAD);
    end.took_ns = 1000 * MS - 1; /* 1 s in the queue, or a caller that had no more to give */
    assert_int_equal(verdict(&end), VERDICT_NEUTRAL);
    end.took_ns = 0;
    assert_int_equal(verdict(&end), VERDICT_NEUTRAL);
    end.status = 200;
    assert_int_equal(verdict(&end), VERDICT_GOOD);
    end.cause = CAUSE_FIRST_BYTE_LIMIT; /* the operator's own words of what is too long */
    end.status = 0;
    assert_int_equal(verdict(&end), VERDICT_BAD);
}

static void verdicts_and_kinds_have_names(void **state)
{
    (void)state;
    assert_string_equal(try_kind_name(TRY_FIRST), "first");
    assert_string_equal(try_kind_name(TRY_RETRY), "retry");
    assert_string_equal(try_kind_name(TRY_FALLBACK), "fallback");
    assert_string_equal(try_kind_name(TRY_HEDGE), "hedge");
    assert_string_equal(verdict_name(VERDICT_GOOD), "good");
    assert_string_equal(verdict_name(VERDICT_BAD), "bad");
    assert_string_equal(verdict_name(VERDICT_NEUTRAL), "neutral");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cause_that_is_the_apis_doing_is_bad),
        cmocka_unit_test(no_cause_is_left_out_of_the_table),
        cmocka_unit_test(a_status_speaks_when_its_head_has_been_read),
        cmocka_unit_test(which_statuses_are_bad_is_the_operators_to_say),
        cmocka_unit_test(a_set_has_the_codes_that_were_added_and_no_others),
        cmocka_unit_test(what_goes_wrong_after_a_good_head_is_bad_all_the_same),
        cmocka_unit_test(a_deadline_blames_the_api_alone_if_it_was_to_move),
        cmocka_unit_test(a_beginning_that_is_missed_blames_the_api_if_it_was_to_move),
        cmocka_unit_test(a_deadline_blames_the_api_alone_if_the_try_had_half_of_the_routes),
        cmocka_unit_test(verdicts_and_kinds_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
