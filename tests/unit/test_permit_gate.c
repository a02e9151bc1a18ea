/* Permits, where more than a free one is needed to start: a slot of the rate, the end of a pause, time that is left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/number.h"
#include "core/permit.h"

#define CALLS 1200
#define MS    NS_PER_MS
#define NOW   (INT64_C(1000) * NS_PER_S)

static struct permit_pool pool;
static struct permit permits[CALLS];
static struct queue_shares shares;

static void init(uint32_t size, uint32_t queue_size, int64_t left_ns)
{
    permit_pool_init(&pool, size, queue_size);
    for (uint32_t i = 0; i < CALLS; i++) {
        permit_init(&permits[i], 0);
        permits[i].wait_until_ns = NOW + left_ns;
    }
}

static enum permit_answer ask(int i, int64_t now_ns)
{
    return permit_acquire(&pool, &permits[i], now_ns);
}

/* Who has news; -1: nobody. */
static int next(int64_t now_ns)
{
    struct permit *permit = permit_next(&pool, now_ns);

    return permit != NULL ? (int)(permit - permits) : -1;
}

/* ---- time that is left ---- */

static void who_comes_too_late_is_refused_and_the_permit_goes_on(void **state)
{
    (void)state;
    init(1, 10, 0);
    for (int i = 0; i < 5; i++)
        permits[i].start_by_ns = NOW + (i == 1 || i == 2 ? 100 : 300) * MS;
    assert_int_equal(ask(0, NOW), PERMIT_GRANTED);
    for (int i = 1; i < 5; i++)
        assert_int_equal(ask(i, NOW), PERMIT_QUEUED);
    assert_ptr_equal(permit_give_back(&pool, &permits[0], NOW + 200 * MS), &permits[1]);
    assert_int_equal(permits[1].state, PERMIT_FREE);
    assert_int_equal(permits[1].refused, PERMIT_TOO_LATE);
    assert_int_equal(next(NOW + 200 * MS), 2);
    assert_int_equal(permits[2].refused, PERMIT_TOO_LATE);
    assert_int_equal(next(NOW + 200 * MS), 3);
    assert_int_equal(permits[3].state, PERMIT_HELD);
    assert_int_equal(next(NOW + 200 * MS), -1);
    assert_true(permit_pool_is_sound(&pool));
    assert_int_equal(pool.acquired, 2);
}

static void the_last_instant_is_in_time(void **state)
{
    (void)state;
    init(1, 10, 0);
    permits[1].start_by_ns = NOW + 100 * MS;
    (void)ask(0, NOW);
    (void)ask(1, NOW);
    assert_ptr_equal(permit_give_back(&pool, &permits[0], NOW + 100 * MS), &permits[1]);
    assert_int_equal(permits[1].state, PERMIT_HELD);
}

static void who_would_have_to_wait_and_is_late_already_is_refused_on_arrival(void **state)
{
    (void)state;
    init(1, 10, 0);
    for (int i = 0; i < 2; i++)
        permits[i].start_by_ns = NOW - 1;
    assert_int_equal(ask(0, NOW), PERMIT_GRANTED); /* a permit is free: what time there is, is the call's */
    assert_int_equal(ask(1, NOW), PERMIT_TOO_LATE);
    assert_int_equal(permits[1].state, PERMIT_FREE);
    assert_int_equal(pool.queue.length, 0);
}

static void if_all_are_late_the_permit_is_put_down(void **state)
{
    (void)state;
    init(1, 10, 0);
    for (int i = 0; i < 4; i++)
        permits[i].start_by_ns = NOW;
    for (int i = 0; i < 4; i++)
        (void)ask(i, NOW);
    assert_ptr_equal(permit_give_back(&pool, &permits[0], NOW + 1), &permits[1]);
    assert_int_equal(next(NOW + 1), 2);
    assert_int_equal(next(NOW + 1), 3);
    assert_int_equal(next(NOW + 1), -1);
    assert_int_equal(pool.held, 0);
    assert_true(permit_pool_is_sound(&pool));
}

/* ---- the rate ---- */

static void set_rate(uint32_t limit, uint32_t burst)
{
    permit_pool_set_rate(&pool, rate_period_ns(limit, NS_PER_S), burst, NOW);
}

/* 100/s, burst 20, 1,000 calls at once, 2 s, a queue of 1,000. */
static void of_a_crowd_those_whose_slot_comes_too_late_are_refused_at_once(void **state)
{
    uint32_t granted = 0, queued = 0, refused = 0, started = 0;

    (void)state;
    init(1000, 1000, 2000 * MS - MS);
    set_rate(100, 20);
    for (int i = 0; i < 1000; i++) {
        switch (ask(i, NOW)) {
        case PERMIT_GRANTED: granted++; break;
        case PERMIT_QUEUED: queued++; break;
        case PERMIT_RATE:
            refused++;
            assert_int_equal(permits[i].slot_ns, NOW + 2000 * MS);
            break;
        default: fail();
        }
    }
    assert_int_equal(granted, 20);
    assert_int_equal(queued, 199);
    assert_int_equal(refused, 781);
    for (int64_t now_ns = NOW; now_ns < NOW + 3 * NS_PER_S; now_ns = permit_pool_due_ns(&pool, now_ns)) {
        while (next(now_ns) >= 0)
            started++;
        if (pool.queue.length == 0)
            break;
        assert_int_equal(permit_pool_due_ns(&pool, now_ns), now_ns + 10 * MS);
    }
    assert_int_equal(started, 199);
    assert_int_equal(pool.rate_started, 219);
}

static void a_slot_is_taken_at_the_start_and_not_on_arrival(void **state)
{
    (void)state;
    init(1, 10, NS_PER_S);
    set_rate(100, 1);
    assert_int_equal(ask(0, NOW), PERMIT_GRANTED);
    assert_int_equal(ask(1, NOW), PERMIT_QUEUED);
    assert_int_equal(ask(2, NOW), PERMIT_QUEUED);
    assert_int_equal(permit_pool_due_ns(&pool, NOW),
                     NS_NEVER); /* no permit is free: time alone does nothing */
    /* Half a second for the first permit: the two behind it don't start together. */
    assert_ptr_equal(permit_give_back(&pool, &permits[0], NOW + 500 * MS), &permits[1]);
    assert_null(permit_give_back(&pool, &permits[1], NOW + 501 * MS));
    assert_true(permit_pool_is_sound(&pool));
    assert_int_equal(permit_pool_due_ns(&pool, NOW + 501 * MS), NOW + 510 * MS);
    assert_int_equal(next(NOW + 510 * MS - 1), -1);
    assert_int_equal(next(NOW + 510 * MS), 2);
}

static void no_permit_is_held_for_a_slot_that_is_to_come(void **state)
{
    (void)state;
    init(1, 10, NS_PER_S);
    set_rate(100, 1);
    (void)ask(0, NOW);
    assert_null(permit_give_back(&pool, &permits[0], NOW + MS));
    assert_int_equal(ask(1, NOW + MS), PERMIT_QUEUED);
    assert_int_equal(pool.held, 0);
    assert_int_equal(permit_pool_due_ns(&pool, NOW + MS), NOW + 10 * MS);
}

static void a_full_queue_beside_free_permits_is_the_rates_doing(void **state)
{
    (void)state;
    init(2, 1, NS_PER_S);
    set_rate(100, 1);
    assert_int_equal(ask(0, NOW), PERMIT_GRANTED);
    assert_int_equal(ask(1, NOW), PERMIT_QUEUED);
    assert_int_equal(ask(2, NOW), PERMIT_RATE);
    assert_int_equal(permits[2].slot_ns, NOW + 20 * MS);
    init(1, 1, NS_PER_S);
    set_rate(100, 1);
    (void)ask(0, NOW);
    (void)ask(1, NOW);
    assert_int_equal(ask(2, NOW), PERMIT_QUEUE_FULL);
}

static void a_request_that_is_sent_once_more_takes_a_slot_and_does_not_wait(void **state)
{
    (void)state;
    init(2, 2, NS_PER_S);
    set_rate(100, 1);
    (void)ask(0, NOW);
    permit_start_again(&pool, NOW);
    assert_int_equal(ask(1, NOW), PERMIT_QUEUED);
    assert_int_equal(permit_pool_due_ns(&pool, NOW), NOW + 20 * MS);
    assert_int_equal(pool.rate_started, 2);
}

static void a_rate_that_is_taken_away_lets_everybody_in(void **state)
{
    (void)state;
    init(10, 10, NS_PER_S);
    set_rate(1, 1);
    for (int i = 0; i < 2; i++)
        (void)ask(i, NOW);
    permit_pool_set_rate(&pool, 0, 1, NOW);
    assert_int_equal(next(NOW), 1);
    assert_int_equal(next(NOW), -1);
    assert_true(permit_pool_is_sound(&pool));
}

/* ---- the pause ---- */

static void a_pause_puts_out_those_who_cant_wait_for_its_end(void **state)
{
    (void)state;
    init(1, 10, NS_PER_S);
    (void)ask(0, NOW);
    for (int i = 1; i < 5; i++) {
        permits[i].wait_until_ns = NOW + (i % 2 != 0 ? 1000 : 3000) * MS;
        (void)ask(i, NOW);
    }
    permit_pool_pause(&pool, NOW + 2000 * MS, NOW);
    assert_int_equal(next(NOW), 1);
    assert_int_equal(permits[1].refused, PERMIT_PAUSED);
    assert_int_equal(permits[1].slot_ns, NOW + 2000 * MS);
    assert_int_equal(next(NOW), 3);
    assert_int_equal(next(NOW), -1);
    assert_int_equal(pool.queue.length, 2);
    assert_int_equal(ask(5, NOW), PERMIT_PAUSED); /* a second is left to it */
    assert_int_equal(permits[5].slot_ns, NOW + 2000 * MS);
    assert_null(permit_give_back(&pool, &permits[0], NOW + MS));
    assert_int_equal(permit_pool_due_ns(&pool, NOW + MS), NOW + 2000 * MS);
    assert_int_equal(next(NOW + 2000 * MS - 1), -1);
    assert_int_equal(next(NOW + 2000 * MS), 2);
    assert_true(permit_pool_is_sound(&pool));
}

static void after_a_pause_one_starts_then_two_then_four(void **state)
{
    int64_t now_ns = NOW + NS_PER_S;
    int started = 0;

    (void)state;
    init(100, 100, 10 * NS_PER_S);
    permit_pool_pause(&pool, now_ns, NOW);
    for (int i = 0; i < 50; i++)
        assert_int_equal(ask(i, NOW), PERMIT_QUEUED);
    for (int open = 1; open < 32; open *= 2) {
        while (next(now_ns) >= 0)
            started++;
        assert_int_equal(started, open);
        assert_int_equal(permit_pool_due_ns(&pool, now_ns), NS_NEVER);
        assert_true(permit_pool_is_sound(&pool));
        permit_answered(&pool, &permits[0]);
    }
}

static void an_answer_that_is_not_good_leaves_the_next_one_to_try(void **state)
{
    (void)state;
    init(10, 10, 10 * NS_PER_S);
    permit_pool_pause(&pool, NOW + NS_PER_S, NOW);
    for (int i = 0; i < 3; i++)
        (void)ask(i, NOW);
    assert_int_equal(next(NOW + NS_PER_S), 0);
    assert_int_equal(next(NOW + NS_PER_S), -1);
    assert_ptr_equal(permit_give_back(&pool, &permits[0], NOW + NS_PER_S), &permits[1]);
    assert_int_equal(next(NOW + NS_PER_S), -1);
}

static void a_permit_that_is_passed_on_keeps_its_place_after_the_pause(void **state)
{
    (void)state;
    init(10, 10, 10 * NS_PER_S);
    permit_pool_pause(&pool, NOW + NS_PER_S, NOW);
    for (int i = 0; i < 2; i++)
        (void)ask(i, NOW);
    assert_int_equal(next(NOW + NS_PER_S), 0);
    permit_pass_on(&permits[0], &permits[5]);
    assert_null(permit_give_back(&pool, &permits[0], NOW + NS_PER_S));
    assert_ptr_equal(permit_give_back(&pool, &permits[5], NOW + NS_PER_S), &permits[1]);
}

static void a_pool_that_has_no_pauses_any_more_goes_on_at_once(void **state)
{
    (void)state;
    init(10, 10, 10 * NS_PER_S);
    permit_pool_pause(&pool, NOW + NS_PER_S, NOW);
    for (int i = 0; i < 2; i++)
        (void)ask(i, NOW);
    permit_pool_unpause(&pool);
    assert_int_equal(next(NOW), 0);
    assert_int_equal(next(NOW), 1);
    assert_int_equal(pool.gate, PERMIT_GATE_NONE);
}

static void a_pause_and_a_rate_both_hold(void **state)
{
    (void)state;
    init(10, 10, 10 * NS_PER_S);
    set_rate(1, 1);
    (void)ask(0, NOW);
    permit_pool_pause(&pool, NOW + 500 * MS, NOW);
    (void)ask(1, NOW);
    assert_int_equal(permit_pool_due_ns(&pool, NOW), NOW + NS_PER_S);
    assert_int_equal(next(NOW + 500 * MS), -1);
    assert_int_equal(next(NOW + NS_PER_S), 1);
}

/* ---- shares ---- */

static void the_newest_of_the_longest_bucket_makes_room_and_is_told(void **state)
{
    (void)state;
    init(1, 3, NS_PER_S);
    assert_null(queue_share(&pool.queue, &shares));
    permits[4].place.bucket = 9;
    for (int i = 0; i < 4; i++)
        (void)ask(i, NOW);
    assert_int_equal(ask(4, NOW), PERMIT_QUEUED);
    assert_int_equal(next(NOW), 3);
    assert_int_equal(permits[3].refused, PERMIT_QUEUE_FULL);
    assert_int_equal(next(NOW), -1);
    assert_int_equal(ask(3, NOW), PERMIT_QUEUE_FULL);
    assert_true(permit_pool_is_sound(&pool));
    assert_ptr_equal(permit_give_back(&pool, &permits[0], NOW), &permits[1]);
    assert_ptr_equal(permit_give_back(&pool, &permits[1], NOW), &permits[4]);
}

static void without_a_queue_nobody_makes_room(void **state)
{
    (void)state;
    init(1, 0, NS_PER_S);
    assert_null(queue_share(&pool.queue, &shares));
    (void)ask(0, NOW);
    assert_int_equal(ask(1, NOW), PERMIT_QUEUE_FULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_comes_too_late_is_refused_and_the_permit_goes_on),
        cmocka_unit_test(the_last_instant_is_in_time),
        cmocka_unit_test(who_would_have_to_wait_and_is_late_already_is_refused_on_arrival),
        cmocka_unit_test(if_all_are_late_the_permit_is_put_down),
        cmocka_unit_test(of_a_crowd_those_whose_slot_comes_too_late_are_refused_at_once),
        cmocka_unit_test(a_slot_is_taken_at_the_start_and_not_on_arrival),
        cmocka_unit_test(no_permit_is_held_for_a_slot_that_is_to_come),
        cmocka_unit_test(a_full_queue_beside_free_permits_is_the_rates_doing),
        cmocka_unit_test(a_request_that_is_sent_once_more_takes_a_slot_and_does_not_wait),
        cmocka_unit_test(a_rate_that_is_taken_away_lets_everybody_in),
        cmocka_unit_test(a_pause_puts_out_those_who_cant_wait_for_its_end),
        cmocka_unit_test(after_a_pause_one_starts_then_two_then_four),
        cmocka_unit_test(an_answer_that_is_not_good_leaves_the_next_one_to_try),
        cmocka_unit_test(a_permit_that_is_passed_on_keeps_its_place_after_the_pause),
        cmocka_unit_test(a_pool_that_has_no_pauses_any_more_goes_on_at_once),
        cmocka_unit_test(a_pause_and_a_rate_both_hold),
        cmocka_unit_test(the_newest_of_the_longest_bucket_makes_room_and_is_told),
        cmocka_unit_test(without_a_queue_nobody_makes_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
