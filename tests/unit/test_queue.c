/* Who is next of those that wait, by arrival and by shares. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/queue.h"

#define WAITERS 200

static struct queue queue;
static struct queue_shares shares;
static struct queue_place places[WAITERS];

static void init(bool is_shared)
{
    queue_init(&queue);
    if (is_shared)
        assert_null(queue_share(&queue, &shares));
    for (int i = 0; i < WAITERS; i++) {
        places[i] = (struct queue_place){.bucket = 0};
        list_init(&places[i].node);
    }
}

static void push(int i, uint8_t bucket)
{
    places[i].bucket = bucket;
    queue_push(&queue, &places[i]);
    assert_true(queue_is_sound(&queue));
}

static int take(void)
{
    struct queue_place *place = queue_take(&queue);

    assert_true(queue_is_sound(&queue));
    return place != NULL ? (int)(place - places) : -1;
}

static void the_first_comes_first_whatever_its_bucket(void **state)
{
    (void)state;
    init(false);
    for (int i = 0; i < 10; i++)
        push(i, (uint8_t)(i % 3));
    queue_remove(&queue, &places[4]);
    assert_int_equal(queue_ahead(&queue, 5), 9);
    assert_null(queue_yielding(&queue, 5));
    for (int i = 0; i < 10; i++)
        if (i != 4)
            assert_int_equal(take(), i);
    assert_int_equal(take(), -1);
    assert_int_equal(queue.length, 0);
}

static void buckets_are_served_in_turn_and_each_by_arrival(void **state)
{
    static const int expected[] = {0, 4, 6, 1, 5, 2, 3};

    (void)state;
    init(true);
    for (int i = 0; i < 4; i++)
        push(i, 7);
    push(4, 9);
    push(5, 9);
    push(6, 63);
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_int_equal(take(), expected[i]);
    assert_int_equal(take(), -1);
}

static void whoever_was_served_comes_behind_all_others(void **state)
{
    (void)state;
    init(true);
    push(0, 7);
    assert_int_equal(take(), 0);
    push(1, 7);
    push(2, 3); /* newer, and has not been served */
    assert_int_equal(take(), 2);
    assert_int_equal(take(), 1);
}

static void the_newest_of_the_longest_bucket_makes_room(void **state)
{
    (void)state;
    init(true);
    for (int i = 0; i < 5; i++)
        push(i, 1);
    push(5, 2);
    assert_ptr_equal(queue_yielding(&queue, 3), &places[4]);
    assert_ptr_equal(queue_yielding(&queue, 2), &places[4]);
    assert_null(queue_yielding(&queue, 1)); /* it would be the newcomer itself */
    queue_remove(&queue, &places[4]);
    queue_remove(&queue, &places[3]);
    queue_remove(&queue, &places[2]);
    assert_null(queue_yielding(&queue, 2)); /* as long as the longest, with the newcomer */
    assert_ptr_equal(queue_yielding(&queue, 3), &places[1]);
}

/* By what is really taken when nobody comes or leaves. */
static void how_many_are_ahead_is_known_exactly(void **state)
{
    uint64_t seed = 88172645463325252u;

    (void)state;
    for (int round = 0; round < 300; round++) {
        int count, last;
        uint32_t ahead, taken = 0;

        init(round % 4 != 0);
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        count = (int)(seed % (WAITERS - 1));
        shares.turn = (uint32_t)(seed >> 32) % QUEUE_BUCKETS;
        for (int i = 0; i < count; i++) {
            seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
            push(i, (uint8_t)(seed % (1 + (seed >> 20) % QUEUE_BUCKETS)));
        }
        last = count;
        ahead = queue_ahead(&queue, (uint8_t)(seed >> 40 & 63));
        push(last, (uint8_t)(seed >> 40 & 63));
        while (take() != last)
            taken++;
        assert_int_equal(taken, ahead);
    }
}

static bool is_even(const struct queue_place *place, void *arg)
{
    return (place - places) % 2 == 0 && arg == NULL;
}

static void a_sweep_takes_out_whoever_does_not_fit(void **state)
{
    struct list_node out;

    (void)state;
    for (int is_shared = 0; is_shared < 2; is_shared++) {
        int count = 0;

        init(is_shared);
        for (int i = 0; i < 20; i++)
            push(i, (uint8_t)(i % 5));
        list_init(&out);
        queue_sweep(&queue, is_even, NULL, &out);
        assert_true(queue_is_sound(&queue));
        assert_int_equal(queue.length, 10);
        for (int i; (i = take()) >= 0;)
            assert_int_equal(i % 2, 0);
        while (list_take_front(&out) != NULL)
            count++;
        assert_int_equal(count, 10);
    }
}

static void who_waits_keeps_its_place_when_the_order_changes(void **state)
{
    (void)state;
    init(false);
    for (int i = 0; i < 4; i++)
        push(i, i < 3 ? 1 : 2);
    assert_null(queue_share(&queue, &shares));
    assert_true(queue_is_sound(&queue));
    assert_int_equal(take(), 0);
    assert_int_equal(take(), 3);
    push(3, 2);
    assert_ptr_equal(queue_share(&queue, NULL), &shares);
    assert_true(queue_is_sound(&queue));
    assert_int_equal(take(), 1);
    assert_int_equal(take(), 3);
    assert_int_equal(take(), 2);
    assert_null(queue_share(&queue, &shares));
    assert_int_equal(take(), -1);
}

static void every_corruption_is_noticed(void **state)
{
    (void)state;
    init(true);
    push(0, 1);
    push(1, 1);
    queue.length++;
    assert_false(queue_is_sound(&queue));
    queue.length--;
    shares.lengths[1]--;
    assert_false(queue_is_sound(&queue));
    shares.lengths[1]++;
    shares.filled |= 4;
    assert_false(queue_is_sound(&queue));
    shares.filled = 0;
    assert_false(queue_is_sound(&queue));
    shares.filled = 2;
    assert_true(queue_is_sound(&queue));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_comes_first_whatever_its_bucket),
        cmocka_unit_test(buckets_are_served_in_turn_and_each_by_arrival),
        cmocka_unit_test(whoever_was_served_comes_behind_all_others),
        cmocka_unit_test(the_newest_of_the_longest_bucket_makes_room),
        cmocka_unit_test(how_many_are_ahead_is_known_exactly),
        cmocka_unit_test(a_sweep_takes_out_whoever_does_not_fit),
        cmocka_unit_test(who_waits_keeps_its_place_when_the_order_changes),
        cmocka_unit_test(every_corruption_is_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
