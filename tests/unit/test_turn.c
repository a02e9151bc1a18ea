/* When a fleet lets this host's calls start: what a host asks, and what it does with the answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/number.h"
#include "core/permit_lent.h"
#include "core/turn.h"

#define CALLS 40
#define MS    NS_PER_MS
#define NOW   (INT64_C(1000) * NS_PER_S)
#define US    INT64_C(1000000)

static const struct turn_terms both = {.period_us = 10000,
                                       .burst = 20,
                                       .pauses = true,
                                       .deadline_ns = 2 * NS_PER_S,
                                       .life_ns = 20 * NS_PER_S,
                                       .timeout_ns = 250 * MS,
                                       .renew_ns = NS_PER_S};
static struct permit_pool pool;
static struct permit permits[CALLS];
static struct turn turn;
static struct turn_request request;

/* A fleet of ten hosts; this one has begun, and was answered that there is nothing. */
static int set_up(void **state)
{
    (void)state;
    permit_pool_init(&pool, 30, 100);
    permit_pool_set_leased(&pool, true);
    permit_pool_set_rate(&pool, 100 * MS, 2, NOW);
    for (int i = 0; i < CALLS; i++) {
        permit_init(&permits[i], 0);
        permits[i].wait_until_ns = NOW + 2 * NS_PER_S;
    }
    turn_init(&turn, &both, NOW);
    turn_set_terms(&turn, &pool, &both, NOW);
    return 0;
}

static bool steps(int64_t now_ns)
{
    return turn_step(&turn, &pool, pool.size, now_ns, UINT32_MAX / 2, &request);
}

static void answer(struct turn_reply reply, int64_t now_ns)
{
    if (reply.round == 0) /* there never was a pause */
        reply.state = TURN_ALL_GO;
    turn_answered(&turn, &pool, &reply, now_ns);
}

static int started(int64_t now_ns)
{
    struct permit *next;
    int count = 0;

    while ((next = permit_next(&pool, now_ns)) != NULL)
        count += next->state == PERMIT_HELD;
    return count;
}

static void wait_for_all(int64_t now_ns)
{
    for (int i = 0; i < CALLS; i++)
        assert_int_equal(permit_acquire(&pool, &permits[i], now_ns), PERMIT_QUEUED);
}

static void slots_are_asked_for_by_callers_that_have_a_permit(void **state)
{
    (void)state;
    wait_for_all(NOW);
    assert_true(steps(NOW));
    assert_int_equal(request.wanted, 30);
    assert_int_equal(request.patience_us, 2 * US);
    assert_int_equal(request.period_us, 10000);
    assert_false(steps(NOW + MS)); /* one request is open at a time */
    answer(
        (struct turn_reply){
            .time_us = 7, .granted = 12, .due_us = -150000, .beyond_us = 5000, .pace_us = 10000},
        NOW + MS);
    assert_int_equal(started(NOW + MS), 12);
    assert_int_equal(turn_next_ns(&turn, &pool, NOW + MS), NOW + 2 * MS);
    assert_true(steps(NOW + 2 * MS));
    assert_int_equal(request.wanted, 18);
}

static void who_can_not_have_a_slot_in_time_is_refused_as_soon_as_that_is_known(void **state)
{
    (void)state;
    wait_for_all(NOW);
    assert_true(steps(NOW));
    /* 20 hosts want some. */
    answer((struct turn_reply){.granted = 1, .due_us = 100000, .beyond_us = 110000, .pace_us = 200000},
           NOW + MS);
    assert_int_equal(started(NOW + MS), 0);
    assert_int_equal(pool.queue.length, 10);
    assert_int_equal(permits[CALLS - 1].refused, PERMIT_RATE);
    assert_int_equal(permits[CALLS - 1].slot_ns, NOW + 101 * MS + 10 * 200 * MS);
    assert_int_equal(permit_pool_due_ns(&pool, NOW + MS), NOW + 101 * MS);
    assert_int_equal(started(NOW + 101 * MS), 1);
    permits[20].wait_until_ns = NOW + NS_PER_S;
    assert_int_equal(permit_acquire(&pool, &permits[20], NOW + 101 * MS), PERMIT_RATE);
}

/* Two keys that take turns: each of their callers waits for twice as many slots as are ahead of it in its own line. */
static void of_a_queue_that_is_shared_each_line_is_cut_where_its_slots_come_too_late(void **state)
{
    static struct queue_shares shares;
    uint32_t left[2] = {0};

    (void)state;
    (void)queue_share(&pool.queue, &shares);
    for (int i = 0; i < CALLS; i++)
        permits[i].place.bucket = (uint8_t)(i % 4 == 0);
    wait_for_all(NOW);
    assert_true(steps(NOW));
    answer((struct turn_reply){.beyond_us = 0, .pace_us = 100000}, NOW);
    assert_int_equal(started(NOW), 0);
    for (int i = 0; i < CALLS; i++)
        left[permits[i].place.bucket] += permits[i].state == PERMIT_WAITING;
    assert_int_equal(left[0], 11); /* of 30: at 0, 200, … 2000 ms */
    assert_int_equal(left[1], 10); /* of 10 */
    (void)queue_share(&pool.queue, NULL);
}

static void a_slot_that_nobody_used_is_given_back(void **state)
{
    (void)state;
    assert_int_equal(permit_acquire(&pool, &permits[0], NOW), PERMIT_QUEUED);
    assert_true(steps(NOW));
    answer((struct turn_reply){.time_us = 5 * US, .granted = 1, .due_us = 100000, .pace_us = 10000}, NOW);
    assert_null(permit_give_back(&pool, &permits[0], NOW));
    assert_false(steps(NOW + 100 * MS));
    assert_true(steps(NOW + 106 * MS));
    assert_int_equal(request.back, 1);
    assert_int_equal(request.taken_us, 5 * US);
    assert_int_equal(request.wanted, 0);
}

static void without_an_answer_it_has_its_part_and_says_so(void **state)
{
    (void)state;
    wait_for_all(NOW);
    assert_true(steps(NOW));
    turn_lost(&turn, &pool, NOW + 10 * MS, 0); /* it has gone; another may come */
    assert_int_equal(turn.mode, TURN_LENT);
    assert_int_equal(started(NOW + 10 * MS), 0);
    assert_true(steps(NOW + 60 * MS));
    turn_lost(&turn, &pool, NOW + 250 * MS, 0);
    assert_int_equal(turn.mode, TURN_AWAY);
    assert_int_equal(started(NOW + 250 * MS), 1); /* and no burst */
    assert_int_equal(started(NOW + 349 * MS), 0);
    assert_int_equal(started(NOW + 350 * MS), 1);
    assert_true(steps(NOW + NS_PER_S));
    assert_true(request.adrift);
    answer((struct turn_reply){.share_us = US, .pace_us = 10000}, NOW + NS_PER_S);
    assert_int_equal(turn.mode, TURN_LEARNS);
    assert_int_equal(started(NOW + NS_PER_S), 2);
    assert_true(steps(NOW + 2 * NS_PER_S));
    assert_int_equal(turn.mode, TURN_LENT);
    assert_false(request.adrift);
    assert_int_equal(started(NOW + 2 * NS_PER_S), 0);
}

static void one_that_begins_once_more_is_charged(void **state)
{
    (void)state;
    assert_int_equal(permit_acquire(&pool, &permits[0], NOW), PERMIT_QUEUED);
    assert_true(steps(NOW));
    answer((struct turn_reply){.granted = 1, .due_us = 0, .pace_us = 10000}, NOW);
    assert_int_equal(started(NOW), 1);
    permit_start_again(&pool, NOW);
    assert_true(steps(NOW + 3 * NS_PER_S));
    assert_int_equal(request.spent, 1);
}

static void a_pause_is_told_and_afterwards_one_host_is_first(void **state)
{
    (void)state;
    assert_true(steps(NOW));
    answer((struct turn_reply){.state = TURN_ALL_GO, .pace_us = 10000}, NOW);
    permit_pool_pause(&pool, NOW + NS_PER_S, NOW + 5 * MS);
    assert_true(steps(NOW + 5 * MS));
    assert_int_equal(request.pause_us, 995000);
    answer((struct turn_reply){.round = 1, .pause_us = 995000, .state = TURN_WAIT}, NOW + 5 * MS);
    assert_int_equal(permit_acquire(&pool, &permits[0], NOW + 10 * MS), PERMIT_QUEUED);
    assert_int_equal(permit_acquire(&pool, &permits[1], NOW + 10 * MS), PERMIT_QUEUED);
    assert_int_equal(started(NOW + NS_PER_S), 0);
    assert_true(steps(NOW + NS_PER_S));
    assert_int_equal(request.word, TURN_WANTS_FIRST);
    assert_int_equal(request.round, 1);
    answer((struct turn_reply){.round = 1, .state = TURN_FIRST, .pace_us = 10000}, NOW + NS_PER_S);
    assert_true(steps(NOW + NS_PER_S + 2 * MS));
    assert_int_equal(request.wanted, 1); /* not more than may go */
    answer((struct turn_reply){.round = 1, .state = TURN_FIRST, .granted = 1, .pace_us = 10000},
           NOW + NS_PER_S + 2 * MS);
    assert_int_equal(started(NOW + NS_PER_S + 2 * MS), 1);
    permit_answered(&pool, &permits[0]);
    assert_true(steps(NOW + NS_PER_S + 10 * MS));
    assert_int_equal(request.word, TURN_WENT_WELL);
    answer((struct turn_reply){.round = 1, .state = TURN_ALL_GO, .pace_us = 10000}, NOW + NS_PER_S + 10 * MS);
    assert_false(pool.pause.waits);
}

static void who_is_not_first_waits_and_who_can_not_be_says_so(void **state)
{
    (void)state;
    assert_true(steps(NOW));
    /* Another host was told of a pause, which is over by now. */
    answer((struct turn_reply){.round = 3, .state = TURN_WAIT, .pace_us = 10000}, NOW);
    assert_int_equal(permit_acquire(&pool, &permits[0], NOW), PERMIT_QUEUED);
    assert_int_equal(started(NOW + 100 * MS), 0);
    assert_true(steps(NOW + 500 * MS));
    assert_int_equal(request.word, TURN_WANTS_FIRST);
    answer((struct turn_reply){.round = 3, .state = TURN_FIRST, .pace_us = 10000}, NOW + 500 * MS);
    assert_null(permit_give_back(&pool, &permits[0], NOW + 501 * MS));
    assert_true(steps(NOW + 502 * MS));
    assert_int_equal(request.word, TURN_IS_OVER);
}

static void without_the_store_it_comes_back_by_itself(void **state)
{
    (void)state;
    permit_pool_pause(&pool, NOW + 100 * MS, NOW);
    assert_int_equal(permit_acquire(&pool, &permits[0], NOW), PERMIT_QUEUED);
    assert_true(steps(NOW));
    turn_lost(&turn, &pool, NOW + 250 * MS, 0);
    assert_int_equal(started(NOW + 250 * MS), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(slots_are_asked_for_by_callers_that_have_a_permit, set_up),
        cmocka_unit_test_setup(who_can_not_have_a_slot_in_time_is_refused_as_soon_as_that_is_known, set_up),
        cmocka_unit_test_setup(of_a_queue_that_is_shared_each_line_is_cut_where_its_slots_come_too_late,
                               set_up),
        cmocka_unit_test_setup(a_slot_that_nobody_used_is_given_back, set_up),
        cmocka_unit_test_setup(without_an_answer_it_has_its_part_and_says_so, set_up),
        cmocka_unit_test_setup(one_that_begins_once_more_is_charged, set_up),
        cmocka_unit_test_setup(a_pause_is_told_and_afterwards_one_host_is_first, set_up),
        cmocka_unit_test_setup(who_is_not_first_waits_and_who_can_not_be_says_so, set_up),
        cmocka_unit_test_setup(without_the_store_it_comes_back_by_itself, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
