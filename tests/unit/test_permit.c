/* Permits: the cap, the queue in front of it, and who is next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/permit.h"

#define CALLS 6

static struct permit_pool pool;
static struct permit permits[CALLS];

static void init(uint32_t size, uint32_t queue_size)
{
    permit_pool_init(&pool, size, queue_size);
    for (uint32_t i = 0; i < CALLS; i++)
        permit_init(&permits[i], i);
}

/* All that a pool says of itself, after each step. */
static void check(uint32_t held, uint32_t waiting, uint64_t acquired, uint64_t released)
{
    assert_int_equal(pool.held, held);
    assert_int_equal(pool.queue.length, waiting);
    assert_int_equal(pool.acquired, acquired);
    assert_int_equal(pool.released, released);
    assert_true(permit_pool_is_sound(&pool));
}

static void a_new_permit_is_free_and_belongs_to_its_worker(void **state)
{
    init(2, 2);
    assert_int_equal(permits[3].state, PERMIT_FREE);
    assert_int_equal(permits[3].worker, 3);
    check(0, 0, 0, 0);
    assert_int_equal(pool.size, 2);
    assert_int_equal(pool.queue_size, 2);
}

static void permits_are_granted_until_the_cap_then_calls_queue_then_they_are_refused(void **state)
{
    init(2, 2);
    assert_int_equal(permit_acquire(&pool, &permits[0], 0), PERMIT_GRANTED);
    check(1, 0, 1, 0);
    assert_int_equal(permit_acquire(&pool, &permits[1], 0), PERMIT_GRANTED);
    check(2, 0, 2, 0);
    assert_int_equal(permit_acquire(&pool, &permits[2], 0), PERMIT_QUEUED);
    assert_int_equal(permit_acquire(&pool, &permits[3], 0), PERMIT_QUEUED);
    check(2, 2, 2, 0);
    assert_int_equal(permit_acquire(&pool, &permits[4], 0), PERMIT_QUEUE_FULL);
    check(2, 2, 2, 0);
    assert_int_equal(permits[0].state, PERMIT_HELD);
    assert_int_equal(permits[2].state, PERMIT_WAITING);
    assert_int_equal(permits[4].state, PERMIT_FREE);
    /* The one that was refused has nothing to give back, and may ask again. */
    assert_null(permit_give_back(&pool, &permits[4], 0));
    check(2, 2, 2, 0);
    assert_int_equal(permit_acquire(&pool, &permits[4], 0), PERMIT_QUEUE_FULL);
}

static void a_permit_given_back_goes_to_the_first_waiter_in_one_step(void **state)
{
    init(2, 3);
    for (int i = 0; i < 5; i++)
        assert_int_equal(permit_acquire(&pool, &permits[i], 0), i < 2 ? PERMIT_GRANTED : PERMIT_QUEUED);
    assert_ptr_equal(permit_give_back(&pool, &permits[1], 0), &permits[2]);
    check(2, 2, 3, 1);
    assert_int_equal(permits[1].state, PERMIT_FREE);
    assert_int_equal(permits[2].state, PERMIT_HELD);
    assert_true(list_is_empty(&permits[2].place.node));
    assert_ptr_equal(permit_give_back(&pool, &permits[0], 0), &permits[3]);
    assert_ptr_equal(permit_give_back(&pool, &permits[2], 0), &permits[4]);
    check(2, 0, 5, 3);
    assert_null(permit_give_back(&pool, &permits[3], 0));
    check(1, 0, 5, 4);
    assert_null(permit_give_back(&pool, &permits[4], 0));
    check(0, 0, 5, 5);
}

static void a_newcomer_never_overtakes_the_queue(void **state)
{
    init(1, 3);
    assert_int_equal(permit_acquire(&pool, &permits[0], 0), PERMIT_GRANTED);
    assert_int_equal(permit_acquire(&pool, &permits[1], 0), PERMIT_QUEUED);
    assert_ptr_equal(permit_give_back(&pool, &permits[0], 0), &permits[1]);
    /* permits[1] has not heard of it yet: the permit is his all the same. */
    assert_int_equal(permit_acquire(&pool, &permits[0], 0), PERMIT_QUEUED);
    assert_int_equal(permit_acquire(&pool, &permits[2], 0), PERMIT_QUEUED);
    assert_ptr_equal(permit_give_back(&pool, &permits[1], 0), &permits[0]);
    assert_ptr_equal(permit_give_back(&pool, &permits[0], 0), &permits[2]);
    check(1, 0, 4, 3);
}

static void waiters_leave_from_any_place_and_the_others_keep_their_order(void **state)
{
    for (int gone = 1; gone < 5; gone++) {
        init(1, 4);
        for (int i = 0; i < 5; i++)
            (void)permit_acquire(&pool, &permits[i], 0);
        assert_null(permit_give_back(&pool, &permits[gone], 0));
        check(1, 3, 1, 0);
        assert_int_equal(permits[gone].state, PERMIT_FREE);
        assert_true(list_is_empty(&permits[gone].place.node));
        /* The place is free again, at the end of the queue. */
        assert_int_equal(permit_acquire(&pool, &permits[5], 0), PERMIT_QUEUED);
        for (int i = 0, next; i < 5; i = next) {
            next = i + 1 == gone ? i + 2 : i + 1;
            if (i != gone)
                assert_ptr_equal(permit_give_back(&pool, &permits[i], 0), &permits[next]);
        }
        assert_null(permit_give_back(&pool, &permits[5], 0));
        check(0, 0, 5, 5);
    }
}

static void a_granted_permit_that_nobody_was_told_of_is_handed_on(void **state)
{
    init(1, 2);
    for (int i = 0; i < 3; i++)
        (void)permit_acquire(&pool, &permits[i], 0);
    assert_ptr_equal(permit_give_back(&pool, &permits[0], 0), &permits[1]);
    assert_ptr_equal(permit_give_back(&pool, &permits[1], 0), &permits[2]);
    check(1, 0, 3, 2);
    assert_null(permit_give_back(&pool, &permits[2], 0));
    check(0, 0, 3, 3);
}

static void giving_back_twice_gives_back_once(void **state)
{
    init(1, 2);
    (void)permit_acquire(&pool, &permits[0], 0);
    (void)permit_acquire(&pool, &permits[1], 0);
    assert_null(permit_give_back(&pool, &permits[1], 0));
    assert_null(permit_give_back(&pool, &permits[1], 0));
    check(1, 0, 1, 0);
    assert_null(permit_give_back(&pool, &permits[0], 0));
    assert_null(permit_give_back(&pool, &permits[0], 0));
    check(0, 0, 1, 1);
}

static void without_a_queue_the_cap_refuses_at_once(void **state)
{
    init(1, 0);
    assert_int_equal(permit_acquire(&pool, &permits[0], 0), PERMIT_GRANTED);
    assert_int_equal(permit_acquire(&pool, &permits[1], 0), PERMIT_QUEUE_FULL);
    check(1, 0, 1, 0);
    assert_null(permit_give_back(&pool, &permits[0], 0));
    assert_int_equal(permit_acquire(&pool, &permits[1], 0), PERMIT_GRANTED);
    check(1, 0, 2, 1);
}

static void the_peak_is_the_most_that_was_ever_held(void **state)
{
    init(3, 3);
    assert_int_equal(pool.held_peak, 0);
    for (int i = 0; i < 2; i++)
        (void)permit_acquire(&pool, &permits[i], 0);
    assert_int_equal(pool.held_peak, 2);
    for (int i = 0; i < 2; i++)
        assert_null(permit_give_back(&pool, &permits[i], 0));
    assert_int_equal(pool.held_peak, 2);
    for (int i = 0; i < CALLS; i++)
        (void)permit_acquire(&pool, &permits[i], 0);
    assert_int_equal(pool.held_peak, 3);
    for (int i = 0; i < CALLS; i++)
        assert_ptr_equal(permit_give_back(&pool, &permits[i], 0), i < 3 ? &permits[i + 3] : NULL);
    assert_int_equal(pool.held_peak, 3);
    check(0, 0, 8, 8);
}

static void a_larger_pool_takes_waiters_in_at_once_in_their_order(void **state)
{
    init(1, 4);
    for (int i = 0; i < 5; i++)
        assert_int_equal(permit_acquire(&pool, &permits[i], 0), i < 1 ? PERMIT_GRANTED : PERMIT_QUEUED);
    permit_pool_resize(&pool, 3, 4);
    assert_ptr_equal(permit_next(&pool, 0), &permits[1]);
    assert_ptr_equal(permit_next(&pool, 0), &permits[2]);
    assert_null(permit_next(&pool, 0));
    check(3, 2, 3, 0);
    assert_int_equal(permits[2].state, PERMIT_HELD);
    assert_int_equal(permits[3].state, PERMIT_WAITING);
    assert_int_equal(pool.size, 3);
}

static void a_smaller_pool_comes_down_as_permits_come_back_and_passes_none_on_until_then(void **state)
{
    init(4, 2);
    for (int i = 0; i < 6; i++)
        assert_int_equal(permit_acquire(&pool, &permits[i], 0), i < 4 ? PERMIT_GRANTED : PERMIT_QUEUED);
    permit_pool_resize(&pool, 2, 2);
    assert_null(permit_next(&pool, 0));
    assert_int_equal(pool.size, 4);
    check(4, 2, 4, 0);
    assert_null(permit_give_back(&pool, &permits[0], 0));
    assert_int_equal(pool.size, 3);
    assert_null(permit_give_back(&pool, &permits[1], 0));
    assert_int_equal(pool.size, 2);
    check(2, 2, 4, 2);
    /* Now it is as small as it should be: permits are handed on again. */
    assert_ptr_equal(permit_give_back(&pool, &permits[2], 0), &permits[4]);
    check(2, 1, 5, 3);
    assert_int_equal(permit_acquire(&pool, &permits[0], 0), PERMIT_QUEUED);
}

static void a_pool_that_is_to_grow_again_before_it_has_shrunk_does_so_at_once(void **state)
{
    init(3, 3);
    for (int i = 0; i < 5; i++)
        assert_int_equal(permit_acquire(&pool, &permits[i], 0), i < 3 ? PERMIT_GRANTED : PERMIT_QUEUED);
    permit_pool_resize(&pool, 1, 3);
    assert_null(permit_next(&pool, 0));
    assert_null(permit_give_back(&pool, &permits[0], 0));
    permit_pool_resize(&pool, 4, 3);
    assert_ptr_equal(permit_next(&pool, 0), &permits[3]);
    assert_ptr_equal(permit_next(&pool, 0), &permits[4]);
    assert_null(permit_next(&pool, 0));
    check(4, 0, 5, 1);
    assert_int_equal(pool.size, 4);
}

static void a_shorter_queue_keeps_those_who_are_in_it_and_takes_nobody_new(void **state)
{
    init(1, 3);
    for (int i = 0; i < 4; i++)
        assert_int_equal(permit_acquire(&pool, &permits[i], 0), i < 1 ? PERMIT_GRANTED : PERMIT_QUEUED);
    permit_pool_resize(&pool, 1, 1);
    assert_null(permit_next(&pool, 0));
    assert_int_equal(permit_acquire(&pool, &permits[4], 0), PERMIT_QUEUE_FULL);
    check(1, 3, 1, 0);
    assert_null(permit_give_back(&pool, &permits[2], 0)); /* leaves */
    assert_int_equal(permit_acquire(&pool, &permits[4], 0), PERMIT_QUEUE_FULL);
    assert_ptr_equal(permit_give_back(&pool, &permits[0], 0), &permits[1]);
    assert_int_equal(permit_acquire(&pool, &permits[4], 0), PERMIT_QUEUE_FULL);
    check(1, 1, 2, 1);
    assert_null(permit_give_back(&pool, &permits[3], 0));
    assert_int_equal(permit_acquire(&pool, &permits[4], 0), PERMIT_QUEUED);
    check(1, 1, 2, 1);
}

static void every_corruption_of_the_books_is_noticed(void **state)
{
    struct permit stranger;

    permit_init(&stranger, 0);
    init(2, 2);
    for (int i = 0; i < 4; i++)
        (void)permit_acquire(&pool, &permits[i], 0);
    check(2, 2, 2, 0);

    pool.held = 3;
    assert_false(permit_pool_is_sound(&pool));
    pool.acquired = 3; /* the sums agree, but the cap is broken */
    assert_false(permit_pool_is_sound(&pool));
    pool.held = 1; /* a waiter beside a free permit */
    pool.acquired = 1;
    assert_false(permit_pool_is_sound(&pool));
    pool.held = pool.size;
    pool.acquired = 2;
    assert_true(permit_pool_is_sound(&pool));

    pool.released = 1;
    assert_false(permit_pool_is_sound(&pool));
    pool.released = 0;
    pool.queue.length = 1; /* a waiter that left was not counted off, or the other way round */
    assert_false(permit_pool_is_sound(&pool));
    pool.queue.length = 3;
    assert_false(permit_pool_is_sound(&pool));
    pool.queue.length = 2;
    list_push_back(&pool.queue.line, &stranger.place.node);
    assert_false(permit_pool_is_sound(&pool));
    pool.queue.length = 3; /* more than the queue holds */
    assert_false(permit_pool_is_sound(&pool));
    list_remove(&stranger.place.node);
    pool.queue.length = 2;
    check(2, 2, 2, 0);
}

/* Linked twice, the queue would be corrupt. In release builds too. */
static void a_permit_that_asks_twice_ends_the_process(void **state)
{
    for (uint32_t queue_size = 0; queue_size < 2; queue_size++) {
        const struct rlimit no_core = {0};
        int status;
        pid_t child;

        init(1, queue_size);
        assert_int_equal(permit_acquire(&pool, &permits[0], 0), PERMIT_GRANTED);
        (void)permit_acquire(&pool, &permits[1], 0);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            setrlimit(RLIMIT_CORE, &no_core);
            signal(SIGABRT, SIG_DFL);
            (void)permit_acquire(&pool, &permits[queue_size], 0);
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_permit_is_free_and_belongs_to_its_worker),
        cmocka_unit_test(permits_are_granted_until_the_cap_then_calls_queue_then_they_are_refused),
        cmocka_unit_test(a_permit_given_back_goes_to_the_first_waiter_in_one_step),
        cmocka_unit_test(a_newcomer_never_overtakes_the_queue),
        cmocka_unit_test(waiters_leave_from_any_place_and_the_others_keep_their_order),
        cmocka_unit_test(a_granted_permit_that_nobody_was_told_of_is_handed_on),
        cmocka_unit_test(giving_back_twice_gives_back_once),
        cmocka_unit_test(without_a_queue_the_cap_refuses_at_once),
        cmocka_unit_test(the_peak_is_the_most_that_was_ever_held),
        cmocka_unit_test(a_larger_pool_takes_waiters_in_at_once_in_their_order),
        cmocka_unit_test(a_smaller_pool_comes_down_as_permits_come_back_and_passes_none_on_until_then),
        cmocka_unit_test(a_pool_that_is_to_grow_again_before_it_has_shrunk_does_so_at_once),
        cmocka_unit_test(a_shorter_queue_keeps_those_who_are_in_it_and_takes_nobody_new),
        cmocka_unit_test(every_corruption_of_the_books_is_noticed),
        cmocka_unit_test(a_permit_that_asks_twice_ends_the_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
