#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/block.h"

#define S  INT64_C(1000000000)
#define MS INT64_C(1000000)

static struct block_terms terms(uint32_t fallback_size, bool glides)
{
    struct block_terms terms = {.size = 50,
                                .host_size = 50,
                                .weight = 1,
                                .fallback_size = fallback_size,
                                .glides = glides,
                                .longest_ns = 2 * S,
                                .renew_ns = S,
                                .gap_ns = 2 * MS,
                                .timeout_ns = 250 * MS};

    terms.lease_ns = block_lease_ns(&terms, 10 * S);
    return terms;
}

static struct block fresh(uint32_t fallback_size, bool glides)
{
    struct block_terms all = terms(fallback_size, glides);
    struct block block;

    block_init(&block, &all, 1000, 0);
    return block;
}

static struct block_request sent(struct block *block, int64_t now_ns)
{
    struct block_request request = {0};

    assert_int_equal(block_step(block, now_ns, 0, &request), BLOCK_SEND);
    return request;
}

static struct block_reply grants(const struct block_request *request, uint32_t granted, uint32_t aim)
{
    return (struct block_reply){.answer = BLOCK_OK,
                                .number = request->number,
                                .connection = request->connection,
                                .epoch = "e1",
                                .granted = granted,
                                .aim = aim,
                                .reserve = 1,
                                .turn_ns = INT64_MAX};
}

static void has_a_lease_of(struct block *block, uint32_t granted, int64_t now_ns)
{
    struct block_request request = sent(block, now_ns);
    struct block_reply reply = grants(&request, granted, granted);

    assert_true(block_reply(block, &reply, now_ns));
}

/* Those that came while the first of them were asked for wait on when the answer is taken: it is not for them. */
static void more_callers_than_were_asked_for_are_asked_for_with_the_answer(void **state)
{
    struct block block = fresh(0, false);
    struct block_request request;
    struct block_reply reply;

    (void)state;
    has_a_lease_of(&block, 1, 0);
    block_tell(&block, 1, 31, 10 * MS);
    request = sent(&block, 10 * MS);
    assert_int_equal(request.want, 33);
    block_tell(&block, 1, 39, 11 * MS);
    reply = grants(&request, 33, 33);
    assert_true(block_reply(&block, &reply, 12 * MS));
    assert_int_equal(sent(&block, 12 * MS).want, 41);
}

static void who_has_all_that_there_is_does_not_ask_for_more(void **state)
{
    struct block block = fresh(0, false);
    struct block_request request;

    (void)state;
    block_tell(&block, 0, 60, 0);
    has_a_lease_of(&block, 50, 0);
    block_tell(&block, 50, 10, 10 * MS);
    block_tell(&block, 50, 20, 20 * MS);
    assert_int_equal(block_step(&block, 20 * MS, 0, &request), BLOCK_WAIT);
}

static void nothing_starts_before_the_store_has_answered(void **state)
{
    struct block block = fresh(0, false);
    struct block_request request = sent(&block, 0);

    (void)state;
    assert_int_equal(block_size(&block, 0), 0);
    assert_int_equal(request.number, 1001);
    assert_int_equal(request.claim, 0);
    assert_int_equal(request.want, 1);
    assert_string_equal(request.epoch, "");
}

static void a_call_starts_only_if_the_lease_covers_it(void **state)
{
    struct block block = fresh(0, false);
    int64_t last_ns;

    (void)state;
    has_a_lease_of(&block, 5, 0);
    last_ns = block_size_ends_ns(&block, 0) - 1;
    assert_int_equal(block_size(&block, last_ns), 5);
    assert_int_equal(block_size(&block, last_ns + 1), 0);
    assert_in_range(last_ns, 9900 * MS, 10 * S);
}

static void only_the_answer_to_the_open_request_counts(void **state)
{
    struct block block = fresh(0, false);
    struct block_request request = sent(&block, 0);
    struct block_reply reply = grants(&request, 7, 7);

    (void)state;
    reply.number--;
    assert_false(block_reply(&block, &reply, MS));
    reply.number++;
    reply.connection++;
    assert_false(block_reply(&block, &reply, MS));
    assert_int_equal(block_size(&block, MS), 0);
    reply.connection--;
    assert_true(block_reply(&block, &reply, MS));
    assert_false(block_reply(&block, &reply, MS)); /* twice */
    assert_int_equal(block_size(&block, MS), 7);
}

static void renewals_are_spread_by_a_tenth_however_far_apart(void **state)
{
    static const uint32_t randoms[] = {0, UINT32_MAX / 2, UINT32_MAX};
    struct block_terms all = terms(0, false);

    (void)state;
    all.renew_ns = 60 * S;
    for (size_t i = 0; i < sizeof(randoms) / sizeof(randoms[0]); i++) {
        struct block_request request;
        struct block_reply reply;
        struct block block;

        block_init(&block, &all, 1000, 0);
        assert_int_equal(block_step(&block, 0, randoms[i], &request), BLOCK_SEND);
        reply = grants(&request, 5, 5);
        assert_true(block_reply(&block, &reply, 0));
        assert_in_range(block_next_ns(&block), (54 + 6 * i) * S - MS, (54 + 6 * i) * S);
    }
}

/* A store that nobody asks for four seconds learns anew. */
static void few_hosts_ask_each_three_seconds_however_far_apart(void **state)
{
    struct block_terms all = terms(0, false);
    struct block_request request;
    struct block_reply reply;
    struct block block;

    (void)state;
    all.renew_ns = 60 * S;
    block_init(&block, &all, 1000, 0);
    for (uint32_t hosts = 99; hosts <= 102; hosts++) {
        int64_t now_ns = block_next_ns(&block);

        assert_int_equal(block_step(&block, now_ns, UINT32_MAX / 2, &request), BLOCK_SEND);
        reply = grants(&request, 5, 5);
        reply.hosts = hosts;
        assert_true(block_reply(&block, &reply, now_ns));
        /* What was said before counts for the next request. */
        assert_true((block_next_ns(&block) - now_ns <= 3 * S + MS) == (hosts <= 101));
    }
}

static void no_answer_in_time_costs_the_connection(void **state)
{
    struct block block = fresh(0, false);
    struct block_request request = sent(&block, 0), again;
    struct block_reply late = grants(&request, 7, 7);

    (void)state;
    assert_int_equal(block_next_ns(&block), 250 * MS);
    assert_int_equal(block_step(&block, 249 * MS, 0, &again), BLOCK_WAIT);
    assert_int_equal(block_step(&block, 250 * MS, 0, &again), BLOCK_CONNECT);
    assert_false(block_reply(&block, &late, 251 * MS));
    again = sent(&block, block_next_ns(&block));
    assert_true(again.number > request.number && again.connection > request.connection);
}

static void permits_that_come_back_go_on_to_others(void **state)
{
    struct block block = fresh(0, false);
    struct block_request request;
    struct block_reply reply;

    (void)state;
    has_a_lease_of(&block, 4, 0);
    block_tell(&block, 4, 3, 10 * MS);
    request = sent(&block, 20 * MS);
    assert_int_equal(request.claim, 4);
    reply = grants(&request, 4, 2);
    reply.tight = true;
    assert_true(block_reply(&block, &reply, 21 * MS));
    assert_int_equal(block_size(&block, 21 * MS), 4); /* nobody's permit is taken */
    block_tell(&block, 3, 3, 30 * MS);
    assert_int_equal(block_size(&block, 30 * MS), 3);
    request = sent(&block, 30 * MS);
    assert_true(request.yields);
    assert_int_equal(request.claim, 3);
}

static void a_request_that_is_open_is_never_outgrown(void **state)
{
    struct block block = fresh(10, true);
    struct block_request request = {0};

    (void)state;
    has_a_lease_of(&block, 3, 0);
    block_tell(&block, 1, 0, 10 * MS);
    block_hint(&block);
    request = sent(&block, 20 * MS);
    assert_int_equal(block_size(&block, 20 * MS), request.claim);
    assert_int_equal(block_size(&block, 100 * S), request.claim); /* the fallback's size is larger */
}

static void a_share_is_glided_to_before_the_lease_ends(void **state)
{
    struct block block = fresh(2, true);
    int64_t glide_ns;

    (void)state;
    has_a_lease_of(&block, 9, 0);
    block_tell(&block, 9, 5, MS);
    glide_ns = block_size_ends_ns(&block, 0);
    assert_int_equal(block_size(&block, glide_ns), 9);
    block_tell(&block, 8, 5, glide_ns);
    assert_int_equal(block_size(&block, glide_ns), 8);
    block_tell(&block, 1, 5, glide_ns + MS);
    assert_int_equal(block_size(&block, glide_ns + MS), 2);
}

/* Others may have all permits for as long as a lease lasts. */
/* By steps of 10 ms, which are wider than the gap between requests. */
static void of_many_that_come_at_once_the_store_hears_each_doubling(void **state)
{
    struct block block = fresh(0, false);
    struct block_request request;
    uint32_t wanted[8] = {0}, asked = 0;

    (void)state;
    has_a_lease_of(&block, 0, 0);
    for (uint32_t waiting = 1; waiting <= 40; waiting++) {
        int64_t now_ns = 10 * MS * waiting;
        struct block_reply reply;

        block_tell(&block, 0, waiting, now_ns);
        if (block_step(&block, now_ns, 0, &request) != BLOCK_SEND)
            continue;
        assert_in_range(asked, 0, 7);
        wanted[asked++] = request.want;
        reply = grants(&request, 0, 0);
        reply.tight = true;
        assert_true(block_reply(&block, &reply, now_ns));
    }
    assert_int_equal(asked, 4);
    for (uint32_t i = 0; i < asked; i++) /* twice what it has heard, and one to spare */
        assert_int_equal(wanted[i], (4u << i) - 1);
}

static void who_never_had_a_lease_waits_for_its_share(void **state)
{
    struct block block = fresh(2, true);
    struct block_request request;
    int64_t lease_ns = block.terms.lease_ns;

    (void)state;
    (void)sent(&block, 0);
    assert_int_equal(block_step(&block, 250 * MS, 0, &request), BLOCK_CONNECT);
    assert_int_equal(block_size(&block, lease_ns - 1), 0);
    assert_int_equal(block_size(&block, lease_ns), 2);
}

static void who_has_never_reached_the_store_has_its_share_at_once(void **state)
{
    struct block block = fresh(2, true);

    (void)state;
    assert_int_equal(block_size(&block, 250 * MS), 0);
    block_unreached(&block, 250 * MS);
    assert_int_equal(block_size(&block, 250 * MS), 2);
}

static void open_holds_after_one_timeout(void **state)
{
    struct block block = fresh(50, false);
    struct block_request request;

    (void)state;
    (void)sent(&block, 0);
    assert_int_equal(block_size(&block, 249 * MS), 0);
    assert_int_equal(block_step(&block, 250 * MS, 0, &request), BLOCK_CONNECT);
    assert_int_equal(block_size(&block, 250 * MS), 50);
}

static void calls_of_the_fallback_are_said_to_the_store(void **state)
{
    struct block block = fresh(50, false);
    struct block_request request;

    (void)state;
    (void)sent(&block, 0);
    assert_int_equal(block_step(&block, 250 * MS, 0, &request), BLOCK_CONNECT);
    block_tell(&block, 3, 0, 300 * MS);
    request = sent(&block, S);
    assert_true(request.adrift);
    assert_int_equal(request.claim, 50);
    assert_int_equal(request.held, 3);
}

/* It still asks, since a store that nobody asks for four seconds learns anew at the next call. */
static void a_host_of_which_nothing_is_wanted_leaves_and_keeps_the_store_awake(void **state)
{
    struct block block = fresh(0, false);
    struct block_request request = {.claim = 1};
    struct block_reply reply;
    int64_t before_ns = 0;

    (void)state;
    for (int64_t now_ns = 0; now_ns < 90 * S; now_ns = block_next_ns(&block)) {
        assert_true(now_ns - before_ns < 4 * S);
        before_ns = now_ns;
        request = sent(&block, now_ns);
        reply = grants(&request, request.want, request.want);
        assert_true(block_reply(&block, &reply, now_ns));
    }
    assert_int_equal(request.claim, 0);
    assert_int_equal(request.want, 0);
    assert_true(block_next_ns(&block) > before_ns + 2 * S);
    assert_int_equal(block_starts_until_ns(&block), INT64_MIN);
    block_tell(&block, 0, 1, 100 * S);
    request = sent(&block, 100 * S);
    assert_int_equal(request.want, 2);
}

/* It has nothing when the store goes away; others may have all of it, for a lease at the most. */
static void a_host_that_has_left_has_its_share_a_lease_after_the_store_went_away(void **state)
{
    struct block block = fresh(5, true);
    struct block_request request;
    struct block_reply reply;
    int64_t now_ns = 0, away_ns, lease_ns = block.terms.lease_ns;

    (void)state;
    for (; now_ns < 3 * lease_ns; now_ns = block_next_ns(&block)) {
        request = sent(&block, now_ns);
        reply = grants(&request, request.want, request.want);
        assert_true(block_reply(&block, &reply, now_ns));
    }
    assert_int_equal(block_step(&block, now_ns, 0, &request), BLOCK_SEND);
    away_ns = now_ns + 250 * MS;
    assert_int_equal(block_step(&block, away_ns, 0, &request), BLOCK_CONNECT);
    block_tell(&block, 0, 3, away_ns + S);
    assert_int_equal(block_size(&block, away_ns + S), 0);
    assert_int_equal(block_size(&block, away_ns + lease_ns - 1), 0);
    assert_int_equal(block_size(&block, away_ns + lease_ns), 5);
}

static void who_has_none_asks_for_one_as_soon_as_there_are_some_to_spare(void **state)
{
    struct block block = fresh(0, false);
    struct block_request request = sent(&block, 0);
    struct block_reply reply = grants(&request, 1, 1);

    (void)state;
    reply.tight = true;
    reply.reserve = 0;
    assert_true(block_reply(&block, &reply, 0));
    request = sent(&block, 2 * MS); /* it has one too many */
    assert_int_equal(request.want, 0);
    reply = grants(&request, 0, 0);
    reply.tight = true;
    reply.reserve = 0;
    assert_true(block_reply(&block, &reply, 2 * MS));
    assert_true(block_next_ns(&block) > 500 * MS);
    request = sent(&block, S + 200 * MS);
    assert_int_equal(request.want, 0);
    reply = grants(&request, 0, 0);
    reply.tight = true;
    reply.reserve = 1;
    assert_true(block_reply(&block, &reply, S + 200 * MS));
    request = sent(&block, S + 202 * MS);
    assert_int_equal(request.want, 1);
}

static void what_comes_back_above_the_aim_is_not_ours_to_give_out_again(void **state)
{
    struct block block = fresh(0, false);
    struct block_request request = sent(&block, 0);
    struct block_reply reply = grants(&request, 6, 4);

    (void)state;
    block_tell(&block, 6, 3, 0);
    assert_true(block_reply(&block, &reply, 0));
    assert_int_equal(block_size(&block, 0), 6);
    assert_int_equal(block_aim(&block, 0), 4);
    block_tell(&block, 5, 3, 0);
    assert_int_equal(block_size(&block, 0), 5);
    assert_int_equal(block_aim(&block, 0), 4);
}

static void one_permit_goes_on_when_its_turn_has_come(void **state)
{
    struct block block = fresh(0, false);
    struct block_request request = sent(&block, 0);
    struct block_reply reply = grants(&request, 2, 2);

    (void)state;
    reply.turn_ns = 30 * MS;
    block_tell(&block, 2, 1, 0);
    assert_true(block_reply(&block, &reply, 0));
    block.asks = false;
    assert_int_equal(block_look_ns(&block, 0), 30 * MS);
    block_tell(&block, 2, 1, 30 * MS);
    assert_int_equal(block_size(&block, 30 * MS), 2);
    assert_int_equal(block_aim(&block, 30 * MS), 1);
    block_tell(&block, 1, 1, 31 * MS);
    request = sent(&block, 32 * MS);
    assert_true(request.yields);
    assert_int_equal(request.claim, 1);
}

static void calls_that_took_each_others_place_after_the_lease_are_adrift_too(void **state)
{
    struct block block = fresh(2, true);

    (void)state;
    has_a_lease_of(&block, 2, 0);
    block_tell(&block, 2, 0, 0);
    block_started(&block, 0);
    assert_false(block.adrift);
    block_started(&block, 100 * S);
    assert_true(sent(&block, 100 * S).adrift);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_starts_before_the_store_has_answered),
        cmocka_unit_test(more_callers_than_were_asked_for_are_asked_for_with_the_answer),
        cmocka_unit_test(who_has_all_that_there_is_does_not_ask_for_more),
        cmocka_unit_test(what_comes_back_above_the_aim_is_not_ours_to_give_out_again),
        cmocka_unit_test(one_permit_goes_on_when_its_turn_has_come),
        cmocka_unit_test(calls_that_took_each_others_place_after_the_lease_are_adrift_too),
        cmocka_unit_test(a_call_starts_only_if_the_lease_covers_it),
        cmocka_unit_test(only_the_answer_to_the_open_request_counts),
        cmocka_unit_test(renewals_are_spread_by_a_tenth_however_far_apart),
        cmocka_unit_test(few_hosts_ask_each_three_seconds_however_far_apart),
        cmocka_unit_test(no_answer_in_time_costs_the_connection),
        cmocka_unit_test(permits_that_come_back_go_on_to_others),
        cmocka_unit_test(a_request_that_is_open_is_never_outgrown),
        cmocka_unit_test(a_share_is_glided_to_before_the_lease_ends),
        cmocka_unit_test(of_many_that_come_at_once_the_store_hears_each_doubling),
        cmocka_unit_test(who_never_had_a_lease_waits_for_its_share),
        cmocka_unit_test(who_has_never_reached_the_store_has_its_share_at_once),
        cmocka_unit_test(open_holds_after_one_timeout),
        cmocka_unit_test(calls_of_the_fallback_are_said_to_the_store),
        cmocka_unit_test(who_has_none_asks_for_one_as_soon_as_there_are_some_to_spare),
        cmocka_unit_test(a_host_that_has_left_has_its_share_a_lease_after_the_store_went_away),
        cmocka_unit_test(a_host_of_which_nothing_is_wanted_leaves_and_keeps_the_store_awake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
