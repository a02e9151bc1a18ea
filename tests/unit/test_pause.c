/* The pause that an API asks for, and the way back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/number.h"
#include "core/pause.h"

#define NOW (1000 * NS_PER_S)
#define S   NS_PER_S

static struct pause now_paused(int64_t until_ns)
{
    struct pause pause = {0};

    assert_true(pause_begin(&pause, until_ns, NOW));
    return pause;
}

static void nothing_is_paused_unless_asked_for(void **state)
{
    struct pause pause = {0};

    (void)state;
    assert_false(pause_is_on(&pause, NOW));
    assert_true(pause_has_room(&pause));
    assert_int_equal(pause_start(&pause), 0);
    pause_answered(&pause, 0, 50);
    pause_end(&pause, 0);
    assert_int_equal(pause.count, 0);
}

static void a_pause_ends_at_its_instant(void **state)
{
    struct pause pause = now_paused(NOW + 2 * S);

    (void)state;
    assert_true(pause_is_on(&pause, NOW + 2 * S - 1));
    assert_false(pause_is_on(&pause, NOW + 2 * S));
    assert_int_equal(pause.count, 1);
}

static void what_would_shorten_it_changes_nothing(void **state)
{
    struct pause pause = now_paused(NOW + 5 * S), before = pause;

    (void)state;
    assert_false(pause_begin(&pause, NOW + 1 * S, NOW));
    assert_false(pause_begin(&pause, NOW + 5 * S, NOW));
    assert_memory_equal(&pause, &before, sizeof(pause));
    assert_true(pause_begin(&pause, NOW + 6 * S, NOW));
    assert_true(pause_is_on(&pause, NOW + 6 * S - 1));
    assert_int_equal(pause.count, 1); /* the same one, only longer */
}

static void none_begins_in_the_past(void **state)
{
    struct pause pause = {0};

    (void)state;
    assert_false(pause_begin(&pause, NOW, NOW));
    assert_false(pause_begin(&pause, NOW - 1, NOW));
    assert_true(pause_has_room(&pause));
}

static void one_goes_first_then_each_good_answer_doubles(void **state)
{
    struct pause pause = now_paused(NOW + S);
    uint32_t rounds[50], open = 0;

    (void)state;
    for (uint32_t may = 1; may < 50; may *= 2) {
        while (pause_has_room(&pause) && open < 50)
            rounds[open++] = pause_start(&pause);
        assert_int_equal(open, may);
        pause_answered(&pause, rounds[0], 50);
    }
    assert_true(pause_has_room(&pause));
    assert_int_equal(pause_start(&pause), 0); /* it is over for good */
    for (uint32_t i = 0; i < open; i++)
        pause_end(&pause, rounds[i]);
}

static void a_place_is_given_back_by_whoever_is_over(void **state)
{
    struct pause pause = now_paused(NOW + S);
    uint32_t round = pause_start(&pause);

    (void)state;
    assert_false(pause_has_room(&pause));
    pause_end(&pause, round); /* without a good answer: the next one tries */
    assert_true(pause_has_room(&pause));
    assert_int_equal(pause_start(&pause), round);
    assert_false(pause_has_room(&pause));
}

static void calls_from_before_say_nothing_of_now(void **state)
{
    struct pause pause = now_paused(NOW + S);
    uint32_t first = pause_start(&pause);

    (void)state;
    assert_true(pause_begin(&pause, NOW + 3 * S, NOW + 2 * S));
    assert_int_equal(pause.count, 2);
    pause_answered(&pause, first, 50);
    pause_answered(&pause, 0, 50);
    assert_int_equal(pause.bound, 1);
    assert_true(pause_start(&pause) != first);
    pause_end(&pause, first);
    assert_false(pause_has_room(&pause));
}

static void with_as_many_as_the_pool_has_it_is_over(void **state)
{
    (void)state;
    for (uint32_t size = 1; size < 100; size++) {
        struct pause pause = now_paused(NOW + S);
        uint32_t round = pause_start(&pause), answers = 0;

        for (uint32_t may = 1; pause.round != 0; may *= 2, answers++) {
            assert_true(may < size || size == 1);
            pause_answered(&pause, round, size);
        }
        assert_true(answers >= 1 && answers <= 7);
    }
}

static void rounds_never_are_none(void **state)
{
    struct pause pause = {.rounds = UINT32_MAX};

    (void)state;
    assert_true(pause_begin(&pause, NOW + S, NOW));
    assert_true(pause.round != 0 && pause.round != UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_paused_unless_asked_for),
        cmocka_unit_test(a_pause_ends_at_its_instant),
        cmocka_unit_test(what_would_shorten_it_changes_nothing),
        cmocka_unit_test(none_begins_in_the_past),
        cmocka_unit_test(one_goes_first_then_each_good_answer_doubles),
        cmocka_unit_test(a_place_is_given_back_by_whoever_is_over),
        cmocka_unit_test(calls_from_before_say_nothing_of_now),
        cmocka_unit_test(with_as_many_as_the_pool_has_it_is_over),
        cmocka_unit_test(rounds_never_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
