/*
 * Whether there is one more try: the table of outcomes by what was sent and what the request is, the ten questions in
 * their order, and how long the wait is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/number.h"
#include "core/retry_policy.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define MS(n)         ((n)*NS_PER_MS)

static struct retry_policy everything(void)
{
    static const char *const words[] = {"connect", "dns", "tls", "reset", "junk", "timeout", "408",
                                        "425",     "429", "500", "502",   "503",  "504"};
    struct retry_policy policy = {
        .attempts = 3, .base_ns = MS(25), .max_ns = MS(250), .retry_after_ns = MS(2000)};

    for (size_t i = 0; i < LENGTH(words); i++)
        assert_true(retry_when_add(&policy.when, span_of(words[i])));
    return policy;
}

/* To all questions yes. */
static const struct retry_case willing = {
    .cause = CAUSE_TERMINATED,
    .sent = SENT_COMPLETE,
    .repeatable = true,
    .has_content = true,
    .tries = 1,
    .asked_ns = -1,
    .left_ns = MS(1000),
    .need_ns = MS(100),
    .random = UINT64_MAX,
};

static enum retry_stop stop_of(const struct retry_policy *policy, const struct retry_case *facts)
{
    return retry_ask(policy, facts).stop;
}

/* ---- the table ----------------------------------------------------------------------------------------- */

enum request { REPEATABLE, POST, POST_WITH_KEY, POST_REFUSED, REQUEST_COUNT };

/* What the table says of a kind of request once some of it was sent. `-`: can't be; x: final, and no reason. */
struct row {
    const char *outcome;
    enum cause cause;
    uint16_t status;
    bool struck;
    int64_t asked_ns;
    enum retry_stop unsent; /* sent none */
    enum retry_stop sent[REQUEST_COUNT];
};

#define GO     RETRY_GOES_ON
#define X      RETRY_NOT_MEANT
#define UNSAFE RETRY_STOP_UNSAFE

static const struct row rows[] = {
    {"refused", CAUSE_REFUSED, 0, false, -1, GO, {GO, UNSAFE, GO, UNSAFE}},
    {"by the proxy", CAUSE_PROXY_REFUSED, 0, false, -1, GO, {GO, UNSAFE, GO, UNSAFE}},
    {"unroutable", CAUSE_UNROUTABLE, 0, false, -1, GO, {GO, UNSAFE, GO, UNSAFE}},
    {"dns", CAUSE_DNS, 0, false, -1, GO, {GO, UNSAFE, GO, UNSAFE}},
    {"connect limit", CAUSE_CONNECT_LIMIT, 0, false, -1, GO, {GO, UNSAFE, GO, UNSAFE}},
    {"tls", CAUSE_TLS_PROTOCOL, 0, false, -1, GO, {GO, UNSAFE, GO, UNSAFE}},
    {"certificate", CAUSE_TLS_CERTIFICATE, 0, false, -1, X, {X, X, X, X}},
    {"head too large", CAUSE_RESPONSE_HEAD_SIZE, 0, false, -1, X, {X, X, X, X}},
    {"broken", CAUSE_BROKEN, 0, false, -1, X, {X, X, X, X}},
    {"our own", CAUSE_INTERNAL, 0, false, -1, X, {X, X, X, X}},
    {"reset", CAUSE_TERMINATED, 0, false, -1, GO, {GO, UNSAFE, GO, UNSAFE}},
    {"junk", CAUSE_HTTP_PROTOCOL, 0, false, -1, GO, {GO, UNSAFE, GO, UNSAFE}},
    {"500", CAUSE_NONE, 500, false, -1, GO, {GO, UNSAFE, GO, UNSAFE}},
    {"502", CAUSE_NONE, 502, false, -1, GO, {GO, UNSAFE, GO, UNSAFE}},
    {"503", CAUSE_NONE, 503, false, -1, GO, {GO, UNSAFE, GO, UNSAFE}},
    {"503, later", CAUSE_NONE, 503, false, MS(10), GO, {GO, UNSAFE, GO, GO}},
    {"500, later", CAUSE_NONE, 500, false, MS(10), GO, {GO, UNSAFE, GO, UNSAFE}},
    {"504", CAUSE_NONE, 504, false, -1, GO, {GO, UNSAFE, GO, UNSAFE}},
    {"408", CAUSE_NONE, 408, false, -1, GO, {GO, UNSAFE, GO, UNSAFE}},
    {"429", CAUSE_NONE, 429, false, -1, GO, {GO, UNSAFE, GO, GO}},
    {"429, later", CAUSE_NONE, 429, false, 0, GO, {GO, UNSAFE, GO, GO}},
    {"425", CAUSE_NONE, 425, false, -1, GO, {GO, UNSAFE, GO, GO}},
    {"a status that is not listed", CAUSE_NONE, 409, false, -1, X, {X, X, X, X}},
    {"a good one", CAUSE_NONE, 200, false, -1, X, {X, X, X, X}},
    {"per_try", CAUSE_NONE, 0, true, -1, GO, {GO, UNSAFE, GO, UNSAFE}},
    {"first byte", CAUSE_FIRST_BYTE_LIMIT, 0, false, -1, GO, {GO, UNSAFE, GO, UNSAFE}},
    {"idle", CAUSE_IDLE_LIMIT, 0, false, -1, GO, {GO, UNSAFE, GO, UNSAFE}},
    {"begun, then cut", CAUSE_INCOMPLETE, 0, false, -1, X, {X, X, X, X}},
    {"deadline", CAUSE_DEADLINE, 0, false, -1, X, {X, X, X, X}},
    {"operator", CAUSE_OPERATOR, 0, false, -1, X, {X, X, X, X}},
    {"caller gone",
     CAUSE_CALLER_GONE,
     0,
     false,
     -1,
     RETRY_STOP_GONE,
     {RETRY_STOP_GONE, RETRY_STOP_GONE, RETRY_STOP_GONE, RETRY_STOP_GONE}},
    {"drain over",
     CAUSE_DRAIN_OVER,
     0,
     false,
     -1,
     RETRY_STOP_DRAINING,
     {RETRY_STOP_DRAINING, RETRY_STOP_DRAINING, RETRY_STOP_DRAINING, RETRY_STOP_DRAINING}},
};

static struct retry_case facts_of(const struct row *row, enum sent sent, enum request request)
{
    struct retry_case facts = willing;

    facts.cause = row->cause;
    facts.status = row->status;
    facts.struck = row->struck;
    facts.asked_ns = row->asked_ns;
    facts.sent = sent;
    facts.repeatable = request == REPEATABLE || request == POST_WITH_KEY;
    return facts;
}

static enum retry_stop table_says(const struct row *row, enum sent sent, enum request request)
{
    return sent == SENT_NONE ? row->unsent : row->sent[request];
}

static void each_cell_of_the_table_is_as_it_says(void **state)
{
    (void)state;
    for (size_t r = 0; r < LENGTH(rows); r++)
        for (enum sent sent = SENT_NONE; sent <= SENT_COMPLETE; sent++)
            for (enum request request = 0; request < REQUEST_COUNT; request++) {
                struct retry_policy policy = everything();
                struct retry_case facts = facts_of(&rows[r], sent, request);

                policy.refused = request == POST_REFUSED;
                if (stop_of(&policy, &facts) != table_says(&rows[r], sent, request))
                    fail_msg("%s, sent %s, request %d: %d", rows[r].outcome, sent_name(sent), request,
                             stop_of(&policy, &facts));
            }
}

/* With content gone, no attempt, no time or no token left, what was yes is no, for that reason, and nothing else is. */
static void where_the_table_says_yes_the_other_questions_agree_too(void **state)
{
    static const enum retry_stop why[] = {RETRY_STOP_CONTENT, RETRY_STOP_ATTEMPTS, RETRY_STOP_TIME,
                                          RETRY_STOP_BREAKER, RETRY_STOP_BUDGET,   RETRY_STOP_TOLD};
    struct retry_tokens none;

    (void)state;
    retry_tokens_init(&none, 0, 20);
    for (size_t r = 0; r < LENGTH(rows); r++)
        for (enum sent sent = SENT_NONE; sent <= SENT_COMPLETE; sent++)
            for (enum request request = 0; request < REQUEST_COUNT; request++)
                for (size_t w = 0; w < LENGTH(why); w++) {
                    struct retry_policy policy = everything();
                    struct retry_case facts = facts_of(&rows[r], sent, request);
                    enum retry_stop want = table_says(&rows[r], sent, request);

                    policy.refused = request == POST_REFUSED;
                    facts.has_content = why[w] != RETRY_STOP_CONTENT;
                    facts.tries = why[w] == RETRY_STOP_ATTEMPTS ? 3 : 1;
                    facts.left_ns = why[w] == RETRY_STOP_TIME ? MS(100) : facts.left_ns;
                    facts.breaker_open = why[w] == RETRY_STOP_BREAKER;
                    facts.tokens = why[w] == RETRY_STOP_BUDGET ? &none : NULL;
                    facts.told = why[w] == RETRY_STOP_TOLD;
                    /* Whether it is told off is asked before whether it is safe. */
                    if (want == GO || (want == UNSAFE && facts.told))
                        want = why[w];
                    if (rows[r].asked_ns == 0 && want == RETRY_STOP_TIME)
                        want = GO; /* no wait, and just enough time */
                    assert_int_equal(stop_of(&policy, &facts), want);
                }
}

/* ---- the order ----------------------------------------------------------------------------------------- */

/* To all questions no; then one after the other yes, and each gives way to the next. */
static void the_first_no_is_the_reason(void **state)
{
    struct retry_tokens none;
    struct retry_policy policy = everything();
    struct retry_case facts = {
        .cause = CAUSE_CALLER_GONE,
        .sent = SENT_PARTIAL,
        .delivered = true,
        .draining = true,
        .told = true,
        .breaker_open = true,
        .tries = 3,
        .asked_ns = MS(2001),
        .left_ns = MS(2000),
        .need_ns = MS(100),
        .tokens = &none,
    };

    (void)state;
    retry_tokens_init(&none, 0, 20);
    assert_int_equal(stop_of(&policy, &facts), RETRY_STOP_DELIVERED);
    facts.delivered = false;
    assert_int_equal(stop_of(&policy, &facts), RETRY_STOP_GONE);
    facts.cause = CAUSE_DEADLINE;
    assert_int_equal(stop_of(&policy, &facts), RETRY_STOP_DRAINING);
    facts.draining = false;
    assert_int_equal(stop_of(&policy, &facts), RETRY_NOT_MEANT);
    facts.cause = CAUSE_NONE;
    facts.status = 503;
    assert_int_equal(stop_of(&policy, &facts), RETRY_STOP_TOLD);
    facts.told = false;
    assert_int_equal(stop_of(&policy, &facts), RETRY_STOP_UNSAFE);
    facts.repeatable = true;
    assert_int_equal(stop_of(&policy, &facts), RETRY_STOP_CONTENT);
    facts.has_content = true;
    assert_int_equal(stop_of(&policy, &facts), RETRY_STOP_ATTEMPTS);
    facts.tries = 2;
    assert_int_equal(stop_of(&policy, &facts), RETRY_STOP_WAIT);
    facts.asked_ns = MS(2000);
    assert_int_equal(stop_of(&policy, &facts), RETRY_STOP_TIME);
    facts.left_ns = MS(2100);
    assert_int_equal(stop_of(&policy, &facts), RETRY_STOP_BREAKER);
    facts.breaker_open = false;
    assert_int_equal(stop_of(&policy, &facts), RETRY_STOP_BUDGET);
    retry_tokens_init(&none, 1, 20);
    assert_int_equal(stop_of(&policy, &facts), RETRY_GOES_ON);
    assert_int_equal(retry_tokens_level(&none), 0);
}

static void a_token_is_taken_only_for_a_retry_that_happens(void **state)
{
    struct retry_policy policy = everything();
    struct retry_case facts = willing;
    struct retry_tokens tokens;

    (void)state;
    retry_tokens_init(&tokens, 10, 20);
    facts.tokens = &tokens;
    facts.breaker_open = true;
    assert_int_equal(stop_of(&policy, &facts), RETRY_STOP_BREAKER);
    assert_int_equal(retry_tokens_level(&tokens), 10 * RETRY_TOKEN);
    facts.breaker_open = false;
    assert_int_equal(stop_of(&policy, &facts), RETRY_GOES_ON);
    assert_int_equal(retry_tokens_level(&tokens), 9 * RETRY_TOKEN);
}

static void one_that_begins_beside_another_waits_for_nothing(void **state)
{
    struct retry_policy policy = everything();
    struct retry_case facts = willing;
    struct retry_answer answer;

    (void)state;
    facts.cause = CAUSE_NONE;
    facts.struck = facts.beside = true;
    facts.left_ns = facts.need_ns; /* and none would fit */
    for (facts.random = 1; facts.random != 0; facts.random <<= 1) {
        answer = retry_ask(&policy, &facts);
        assert_int_equal(answer.stop, RETRY_GOES_ON);
        assert_int_equal(answer.wait_ns, 0);
    }
}

/* The one that it is beside may still send the request. */
static void one_that_begins_beside_another_is_of_a_request_that_may_be_repeated(void **state)
{
    struct retry_policy policy = everything();
    struct retry_case facts = willing;

    (void)state;
    facts.cause = CAUSE_NONE;
    facts.sent = SENT_NONE;
    facts.struck = true;
    facts.repeatable = false;
    assert_int_equal(stop_of(&policy, &facts), RETRY_GOES_ON);
    facts.beside = true;
    assert_int_equal(stop_of(&policy, &facts), RETRY_STOP_UNSAFE);
    facts.repeatable = true;
    assert_int_equal(stop_of(&policy, &facts), RETRY_GOES_ON);
}

/* Stripe says 409 to a key that is in use: the first try goes on, and that one's answer is the caller's. */
static void an_answer_to_the_second_of_two_counts_if_it_is_not_about_that(void **state)
{
    static const uint16_t never[] = {408, 409, 425, 429, 500, 502, 503, 504, 529};

    (void)state;
    for (uint16_t status = 200; status < 400; status++)
        assert_true(retry_hedge_counts(status, false) && retry_hedge_counts(status, true));
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        assert_false(retry_hedge_counts(never[i], false) || retry_hedge_counts(never[i], true));
    assert_true(retry_hedge_counts(404, true));
    assert_false(retry_hedge_counts(404, false)); /* a DELETE's, after the first has done it */
}

/* A 103 has gone before: for a retry that is too late, and for a 200 that is nothing to speak of. */
static void a_good_response_has_no_reason(void **state)
{
    struct retry_policy policy = everything();
    struct retry_case facts = willing;

    (void)state;
    facts.cause = CAUSE_NONE;
    facts.status = 200;
    facts.delivered = true;
    assert_int_equal(stop_of(&policy, &facts), RETRY_NOT_MEANT);
    facts.status = 503;
    assert_int_equal(stop_of(&policy, &facts), RETRY_STOP_DELIVERED);
}

static void what_is_not_listed_is_not_meant(void **state)
{
    struct retry_policy policy = everything();
    struct retry_case facts = willing;

    (void)state;
    policy.when = (struct retry_when){0};
    assert_int_equal(stop_of(&policy, &facts), RETRY_NOT_MEANT);
    facts.cause = CAUSE_NONE;
    facts.status = 503;
    assert_int_equal(stop_of(&policy, &facts), RETRY_NOT_MEANT);
    facts.status = 0;
    facts.struck = true; /* needs no listing */
    assert_int_equal(stop_of(&policy, &facts), RETRY_GOES_ON);
}

static void a_list_takes_kinds_and_statuses(void **state)
{
    static const char *const bad[] = {"",    "Connect", "conn", "200",     "399",
                                      "600", "5xx",     "-500", "per_try", "99999999999"};
    struct retry_when when = {0};

    (void)state;
    for (size_t i = 0; i < LENGTH(bad); i++)
        assert_false(retry_when_add(&when, span_of(bad[i])));
    assert_int_equal(when.kinds, 0);
    for (uint16_t status = 0; status < 1000; status++)
        assert_false(retry_when_has_status(&when, status));
    assert_true(retry_when_add(&when, SPAN_LIT("400")));
    assert_true(retry_when_add(&when, SPAN_LIT("464")));
    assert_true(retry_when_add(&when, SPAN_LIT("599")));
    assert_true(retry_when_add(&when, SPAN_LIT("junk")));
    for (uint16_t status = 0; status < 1000; status++)
        assert_true(retry_when_has_status(&when, status) ==
                    (status == 400 || status == 464 || status == 599));
    assert_true(retry_when_has_kind(&when, RETRY_KIND_JUNK));
    assert_false(retry_when_has_kind(&when, RETRY_KIND_RESET));
}

static void each_reason_has_a_word(void **state)
{
    (void)state;
    assert_null(retry_stop_word(RETRY_GOES_ON));
    assert_null(retry_stop_word(RETRY_NOT_MEANT));
    for (enum retry_stop stop = RETRY_STOP_DELIVERED; stop < RETRY_STOP_COUNT; stop++)
        assert_true(retry_stop_word(stop)[0] != '\0');
}

/* ---- the wait ------------------------------------------------------------------------------------------ */

static int64_t wait_of(const struct retry_case *facts)
{
    struct retry_policy policy = everything();
    struct retry_answer answer;

    policy.attempts = 5;
    answer = retry_ask(&policy, facts);
    assert_int_equal(answer.stop, RETRY_GOES_ON);
    return answer.wait_ns;
}

static void the_back_off_grows_to_its_most(void **state)
{
    static const int64_t most_ms[] = {25, 75, 175, 250};
    struct retry_case facts = willing;

    (void)state;
    facts.left_ns = MS(10000);
    for (uint8_t i = 0; i < LENGTH(most_ms); i++) {
        facts.tries = (uint8_t)(i + 1);
        facts.random = UINT64_MAX;
        assert_int_equal(wait_of(&facts), MS(most_ms[i]));
        facts.random = UINT64_MAX / 2;
        assert_in_range(wait_of(&facts), MS(most_ms[i]) / 2 - 1, MS(most_ms[i]) / 2);
        facts.random = 0;
        assert_int_equal(wait_of(&facts), 0);
    }
}

static void too_many_without_a_time_waits_four_times_as_long(void **state)
{
    struct retry_case facts = willing;

    (void)state;
    facts.cause = CAUSE_NONE;
    facts.status = 429;
    assert_int_equal(wait_of(&facts), MS(100));
    facts.status = 425;
    assert_int_equal(wait_of(&facts), MS(100));
    facts.status = 503;
    assert_int_equal(wait_of(&facts), MS(25));
}

static void what_the_api_asks_for_is_the_least(void **state)
{
    struct retry_case facts = willing;

    (void)state;
    facts.cause = CAUSE_NONE;
    facts.status = 429;
    facts.left_ns = MS(10000);
    facts.asked_ns = MS(1000);
    facts.random = 0;
    assert_int_equal(wait_of(&facts), MS(1000));
    facts.random = UINT64_MAX;
    assert_int_equal(wait_of(&facts), MS(1100));
    facts.asked_ns = 0;
    assert_int_equal(wait_of(&facts), 0);
}

static void a_wait_for_ever_is_too_long(void **state)
{
    struct retry_policy policy = everything();
    struct retry_case facts = willing;

    (void)state;
    facts.cause = CAUSE_NONE;
    facts.status = 503;
    facts.asked_ns = NS_NEVER;
    assert_int_equal(stop_of(&policy, &facts), RETRY_STOP_WAIT);
    policy.retry_after_ns = NS_NEVER;
    assert_int_equal(stop_of(&policy, &facts), RETRY_STOP_TIME);
}

static void what_just_fits_goes_on(void **state)
{
    struct retry_policy policy = everything();
    struct retry_case facts = willing;

    (void)state;
    facts.left_ns = MS(125);
    assert_int_equal(stop_of(&policy, &facts), RETRY_GOES_ON);
    facts.left_ns--;
    assert_int_equal(stop_of(&policy, &facts), RETRY_STOP_TIME);
    facts.left_ns = 0;
    assert_int_equal(stop_of(&policy, &facts), RETRY_STOP_TIME);
}

static void a_try_needs_what_is_known_best(void **state)
{
    (void)state;
    assert_int_equal(retry_need_ns(MS(80), MS(20), MS(1000)), MS(80));
    assert_int_equal(retry_need_ns(NS_NEVER, MS(20), MS(1000)), MS(20));
    assert_int_equal(retry_need_ns(NS_NEVER, 0, MS(1000)), 0);
    assert_int_equal(retry_need_ns(NS_NEVER, -1, MS(1000)), MS(100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_cell_of_the_table_is_as_it_says),
        cmocka_unit_test(where_the_table_says_yes_the_other_questions_agree_too),
        cmocka_unit_test(the_first_no_is_the_reason),
        cmocka_unit_test(a_token_is_taken_only_for_a_retry_that_happens),
        cmocka_unit_test(one_that_begins_beside_another_waits_for_nothing),
        cmocka_unit_test(one_that_begins_beside_another_is_of_a_request_that_may_be_repeated),
        cmocka_unit_test(an_answer_to_the_second_of_two_counts_if_it_is_not_about_that),
        cmocka_unit_test(a_good_response_has_no_reason),
        cmocka_unit_test(what_is_not_listed_is_not_meant),
        cmocka_unit_test(a_list_takes_kinds_and_statuses),
        cmocka_unit_test(each_reason_has_a_word),
        cmocka_unit_test(the_back_off_grows_to_its_most),
        cmocka_unit_test(too_many_without_a_time_waits_four_times_as_long),
        cmocka_unit_test(what_the_api_asks_for_is_the_least),
        cmocka_unit_test(a_wait_for_ever_is_too_long),
        cmocka_unit_test(what_just_fits_goes_on),
        cmocka_unit_test(a_try_needs_what_is_known_best),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
