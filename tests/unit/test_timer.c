/* Timers: exact nanoseconds against a clock that the test moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/list.h"
#include "base/mem.h"
#include "core/timer.h"

#define MANY 200

/* A timer that notes each time at which it fired. */
struct alarm {
    struct timer timer;
    struct timers *timers;
    int64_t fired_at_ns;
    unsigned fired;
    unsigned rank;       /* its place among all that have fired */
    int64_t again_ns;    /* set anew from within its function; NS_NEVER: not */
    struct alarm *ends;  /* finished from within its function */
    struct alarm *moves; /* moved from within its function … */
    int64_t moves_to_ns; /* … to here */
};

static unsigned next_rank;

static void ring(struct timer *timer, int64_t now_ns)
{
    struct alarm *alarm = CONTAINER_OF(timer, struct alarm, timer);

    assert_int_equal(timer->due_ns, NS_NEVER); /* cleared before its function runs */
    alarm->fired_at_ns = now_ns;
    alarm->fired++;
    alarm->rank = ++next_rank;
    if (alarm->again_ns != NS_NEVER) {
        timer_set(alarm->timers, timer, alarm->again_ns);
        alarm->again_ns = NS_NEVER;
    }
    if (alarm->ends != NULL)
        timer_fini(alarm->timers, &alarm->ends->timer);
    if (alarm->moves != NULL)
        timer_set(alarm->timers, &alarm->moves->timer, alarm->moves_to_ns);
}

static void init(struct timers *timers, struct alarm *alarms, int count)
{
    next_rank = 0;
    timers_init(timers);
    for (int i = 0; i < count; i++) {
        alarms[i] = (struct alarm){.timers = timers, .again_ns = NS_NEVER};
        assert_int_equal(timer_init(timers, &alarms[i].timer, ring), ST_OK);
    }
}

static void fini(struct timers *timers, struct alarm *alarms, int count)
{
    for (int i = 0; i < count; i++)
        timer_fini(timers, &alarms[i].timer);
    timers_fini(timers);
}

/* Every parent's key is no later than its children's, every timer knows its slot, no key is later than what is due. */
static void check_heap(const struct timers *timers)
{
    assert_true(timers->count <= timers->members && timers->members <= timers->capacity);
    for (uint32_t i = 0; i < timers->count; i++) {
        const struct timer *timer = timers->heap[i];

        assert_int_equal(timer->slot, i);
        assert_true(timer->key_ns <= timer->due_ns);
        if (i > 0)
            assert_true(timers->heap[(i - 1) / 4]->key_ns <= timer->key_ns);
    }
}

static void without_a_timer_set_the_next_instant_is_never(void **state)
{
    struct timers timers;
    struct alarm alarm;

    init(&timers, &alarm, 1);
    assert_int_equal(timers_next(&timers), NS_NEVER);
    timers_run(&timers, NS_NEVER);
    assert_int_equal(alarm.fired, 0);
    fini(&timers, &alarm, 1);
}

static void a_timer_fires_at_its_instant_and_not_a_nanosecond_earlier(void **state)
{
    struct timers timers;
    struct alarm alarm;

    init(&timers, &alarm, 1);
    timer_set(&timers, &alarm.timer, 2 * NS_PER_S);
    assert_int_equal(timers_next(&timers), 2 * NS_PER_S);
    timers_run(&timers, 2 * NS_PER_S - 1);
    assert_int_equal(alarm.fired, 0);
    timers_run(&timers, 2 * NS_PER_S);
    assert_int_equal(alarm.fired, 1);
    assert_int_equal(alarm.fired_at_ns, 2 * NS_PER_S);
    timers_run(&timers, 3 * NS_PER_S);
    assert_int_equal(alarm.fired, 1);
    assert_int_equal(timers_next(&timers), NS_NEVER);
    fini(&timers, &alarm, 1);
}

static void a_late_run_fires_all_that_are_due_earliest_first(void **state)
{
    static const int64_t due_ns[] = {50, 10, 40, 10, 30, 20, 61, 60};
    struct timers timers;
    struct alarm alarms[8];

    init(&timers, alarms, 8);
    for (int i = 0; i < 8; i++)
        timer_set(&timers, &alarms[i].timer, due_ns[i]);
    timers_run(&timers, 60);
    assert_int_equal(alarms[6].fired, 0);
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8 && i != 6; j++)
            if (j != 6 && due_ns[i] < due_ns[j])
                assert_true(alarms[i].rank < alarms[j].rank);
    assert_int_equal(timers_next(&timers), 61);
    fini(&timers, alarms, 8);
}

static void a_timer_that_was_moved_keeps_the_order_too(void **state)
{
    struct timers timers;
    struct alarm alarms[2];

    init(&timers, alarms, 2);
    timer_set(&timers, &alarms[0].timer, 10);
    timer_set(&timers, &alarms[0].timer, 30);
    timer_set(&timers, &alarms[1].timer, 20);
    timers_run(&timers, 40);
    assert_int_equal(alarms[1].rank, 1);
    assert_int_equal(alarms[0].rank, 2);
    fini(&timers, alarms, 2);
}

static void a_timer_moved_to_later_keeps_its_old_place_until_that_comes_up(void **state)
{
    struct timers timers;
    struct alarm alarm;

    init(&timers, &alarm, 1);
    timer_set(&timers, &alarm.timer, 100);
    timer_set(&timers, &alarm.timer, 300);
    assert_int_equal(timers_next(&timers), 100);
    timers_run(&timers, 100);
    assert_int_equal(alarm.fired, 0);
    assert_int_equal(timers_next(&timers), 300);
    timers_run(&timers, 299);
    assert_int_equal(alarm.fired, 0);
    timers_run(&timers, 300);
    assert_int_equal(alarm.fired, 1);
    fini(&timers, &alarm, 1);
}

static void a_timer_moved_to_earlier_fires_earlier(void **state)
{
    struct timers timers;
    struct alarm alarms[2];

    init(&timers, alarms, 2);
    timer_set(&timers, &alarms[0].timer, 100);
    timer_set(&timers, &alarms[1].timer, 200);
    timer_set(&timers, &alarms[1].timer, 50);
    assert_int_equal(timers_next(&timers), 50);
    timers_run(&timers, 50);
    assert_int_equal(alarms[1].fired, 1);
    assert_int_equal(alarms[0].fired, 0);
    /* Later, and back to what it was: the lazy place serves again. */
    timer_set(&timers, &alarms[0].timer, 500);
    timer_set(&timers, &alarms[0].timer, 100);
    timers_run(&timers, 100);
    assert_int_equal(alarms[0].fired, 1);
    fini(&timers, alarms, 2);
}

static void a_cleared_timer_does_not_fire_and_can_be_set_again(void **state)
{
    struct timers timers;
    struct alarm alarm;

    init(&timers, &alarm, 1);
    timer_set(&timers, &alarm.timer, NS_NEVER);
    assert_int_equal(timers_next(&timers), NS_NEVER);
    timer_set(&timers, &alarm.timer, 100);
    timer_set(&timers, &alarm.timer, NS_NEVER);
    timers_run(&timers, 1000);
    assert_int_equal(alarm.fired, 0);
    assert_int_equal(timers_next(&timers), NS_NEVER);
    timer_set(&timers, &alarm.timer, 2000);
    timer_set(&timers, &alarm.timer, NS_NEVER);
    timer_set(&timers, &alarm.timer, 3000);
    timers_run(&timers, 2999);
    assert_int_equal(alarm.fired, 0);
    timers_run(&timers, 3000);
    assert_int_equal(alarm.fired, 1);
    fini(&timers, &alarm, 1);
}

static void a_timer_set_from_within_its_function_fires_again_when_it_is_due(void **state)
{
    struct timers timers;
    struct alarm alarm;

    init(&timers, &alarm, 1);
    alarm.again_ns = 150;
    timer_set(&timers, &alarm.timer, 100);
    timers_run(&timers, 100);
    assert_int_equal(alarm.fired, 1);
    assert_int_equal(timers_next(&timers), 150);
    timers_run(&timers, 149);
    assert_int_equal(alarm.fired, 1);
    /* What is due by the time of the run fires in the same run. */
    alarm.again_ns = 160;
    timers_run(&timers, 160);
    assert_int_equal(alarm.fired, 3);
    fini(&timers, &alarm, 1);
}

static void a_function_may_set_and_move_other_timers(void **state)
{
    struct timers timers;
    struct alarm alarms[3];

    init(&timers, alarms, 3);
    alarms[0].moves = &alarms[1]; /* away from this run */
    alarms[0].moves_to_ns = 300;
    timer_set(&timers, &alarms[0].timer, 100);
    timer_set(&timers, &alarms[1].timer, 110);
    timers_run(&timers, 200);
    assert_int_equal(alarms[0].fired, 1);
    assert_int_equal(alarms[1].fired, 0);
    alarms[1].moves = &alarms[2]; /* into this run */
    alarms[1].moves_to_ns = 250;
    timers_run(&timers, 300);
    assert_int_equal(alarms[1].fired, 1);
    assert_int_equal(alarms[2].fired, 1);
    fini(&timers, alarms, 3);
}

static void a_function_may_finish_itself_and_others_that_are_due(void **state)
{
    struct timers timers;
    struct alarm alarms[3];

    init(&timers, alarms, 3);
    alarms[0].ends = &alarms[1];
    alarms[2].ends = &alarms[2];
    for (int i = 0; i < 3; i++)
        timer_set(&timers, &alarms[i].timer, 10 + i);
    timers_run(&timers, 100);
    assert_int_equal(alarms[0].fired, 1);
    assert_int_equal(alarms[1].fired, 0);
    assert_int_equal(alarms[2].fired, 1);
    assert_int_equal(timers.members, 1);
    fini(&timers, alarms, 1);
}

/* Timers set in an order that is shuffled by `stride`, of which one is finished. */
static void finish_one(int stride, int gone)
{
    struct timers timers;
    struct alarm alarms[40];

    init(&timers, alarms, 40);
    for (int i = 0; i < 40; i++)
        timer_set(&timers, &alarms[i].timer, 1 + (i * stride) % 41);
    timer_fini(&timers, &alarms[gone].timer);
    assert_int_equal(timers.members, 39);
    check_heap(&timers);
    for (int64_t now_ns = 1; now_ns <= 41; now_ns++)
        timers_run(&timers, now_ns);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(alarms[i].fired, i != gone);
        if (i != gone) {
            assert_int_equal(alarms[i].fired_at_ns, 1 + (i * stride) % 41);
            timer_fini(&timers, &alarms[i].timer);
        }
    }
    timers_fini(&timers);
}

static void a_timer_finished_anywhere_in_the_heap_leaves_it_in_order(void **state)
{
    for (int stride = 1; stride < 41; stride++)
        for (int gone = 0; gone < 40; gone++)
            finish_one(stride, gone);
}

static bool refuse(void *arg, size_t size)
{
    unsigned *asked = arg;

    (void)size;
    ++*asked;
    return true;
}

static void without_memory_for_one_more_the_others_go_on(void **state)
{
    struct timers timers;
    struct alarm alarms[MANY];
    struct timer one_more;
    unsigned asked = 0;
    int count = 0;

    init(&timers, alarms, 1);
    mem_set_fault(refuse, &asked);
    for (count = 1; count < MANY; count++) {
        alarms[count] = (struct alarm){.timers = &timers, .again_ns = NS_NEVER};
        if (timer_init(&timers, &alarms[count].timer, ring) != ST_OK)
            break;
    }
    assert_int_equal(timer_init(&timers, &one_more, ring), ST_NOMEM);
    assert_int_equal(asked, 2);
    assert_int_equal(timers.members, count);
    /* Setting never needs memory: there is room for every member. */
    for (int i = 0; i < count; i++)
        timer_set(&timers, &alarms[i].timer, count - i);
    check_heap(&timers);
    timers_run(&timers, count);
    assert_int_equal(asked, 2);
    mem_set_fault(NULL, NULL);
    for (int i = 0; i < count; i++)
        assert_int_equal(alarms[i].fired, 1);
    assert_int_equal(timer_init(&timers, &one_more, ring), ST_OK);
    timer_fini(&timers, &one_more);
    fini(&timers, alarms, count);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static void set_at_random(struct timers *timers, struct alarm *alarms, int64_t *due_ns, int64_t now_ns,
                          uint32_t *seed)
{
    for (uint32_t moves = next_random(seed) % 20; moves > 0; moves--) {
        uint32_t i = next_random(seed) % MANY;

        due_ns[i] = next_random(seed) % 8 == 0 ? NS_NEVER : now_ns + 1 + next_random(seed) % 100;
        timer_set(timers, &alarms[i].timer, due_ns[i]);
    }
}

/* Runs as a loop would, at timers_next or later. */
static int64_t run_once(struct timers *timers, int64_t now_ns, uint32_t *seed)
{
    int64_t next_ns = timers_next(timers);

    now_ns += 1 + next_random(seed) % 20;
    if (next_random(seed) % 2 == 0 && next_ns != NS_NEVER && next_ns > now_ns)
        now_ns = next_ns;
    timers_run(timers, now_ns);
    return now_ns;
}

static void any_schedule_fires_each_timer_once_in_order_and_never_early(void **state)
{
    struct timers timers;
    static struct alarm alarms[MANY];
    int64_t due_ns[MANY];
    int64_t now_ns = 0, earliest_ns, last_due_ns[MANY];
    uint32_t seed = 42;
    unsigned fired[MANY] = {0};

    init(&timers, alarms, MANY);
    for (int i = 0; i < MANY; i++)
        due_ns[i] = NS_NEVER;
    for (int round = 0; round < 20000; round++) {
        unsigned rank = next_rank;

        set_at_random(&timers, alarms, due_ns, now_ns, &seed);
        check_heap(&timers);
        earliest_ns = NS_NEVER;
        for (int i = 0; i < MANY; i++)
            earliest_ns = due_ns[i] < earliest_ns ? due_ns[i] : earliest_ns;
        assert_true(timers_next(&timers) <= earliest_ns);
        now_ns = run_once(&timers, now_ns, &seed);
        for (int i = 0; i < MANY; i++) {
            bool due = due_ns[i] <= now_ns;

            assert_int_equal(alarms[i].fired, fired[i] + due);
            if (due) {
                assert_true(alarms[i].rank > rank && alarms[i].rank - rank <= MANY);
                last_due_ns[alarms[i].rank - rank - 1] = due_ns[i];
                fired[i]++;
                due_ns[i] = NS_NEVER;
            }
        }
        for (unsigned i = 1; i < next_rank - rank; i++)
            assert_true(last_due_ns[i - 1] <= last_due_ns[i]);
    }
    assert_true(next_rank > 10000);
    fini(&timers, alarms, MANY);
}

static void asked_for_the_instant_that_counts_those_that_were_moved_or_cleared_are_passed_over(void **state)
{
    struct timers timers;
    struct alarm alarms[4];

    (void)state;
    init(&timers, alarms, 4);
    for (int i = 0; i < 4; i++)
        timer_set(&timers, &alarms[i].timer, 10 + i);
    timer_set(&timers, &alarms[0].timer, 100);
    timer_set(&timers, &alarms[1].timer, NS_NEVER);
    assert_int_equal(timers_next(&timers), 10);
    assert_int_equal(timers_settle(&timers), 12);
    assert_int_equal(timers_next(&timers), 12);
    timer_set(&timers, &alarms[2].timer, NS_NEVER);
    timer_set(&timers, &alarms[3].timer, NS_NEVER);
    assert_int_equal(timers_settle(&timers), 100);
    timers_run(&timers, 100);
    assert_int_equal(alarms[0].fired, 1);
    assert_int_equal(timers_settle(&timers), NS_NEVER);
    fini(&timers, alarms, 4);
}

static void the_next_multiple_of_a_rhythm_is_later_than_now_by_no_more_than_once(void **state)
{
    (void)state;
    assert_int_equal(timer_next_multiple(7, 10, 7), 17); /* not now */
    assert_int_equal(timer_next_multiple(7, 10, 8), 17);
    assert_int_equal(timer_next_multiple(7, 10, 16), 17);
    assert_int_equal(timer_next_multiple(7, 10, 17), 27);
    assert_int_equal(timer_next_multiple(7, 10, 1000), 1007); /* whatever was missed */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_timer_set_the_next_instant_is_never),
        cmocka_unit_test(a_timer_fires_at_its_instant_and_not_a_nanosecond_earlier),
        cmocka_unit_test(a_late_run_fires_all_that_are_due_earliest_first),
        cmocka_unit_test(a_timer_that_was_moved_keeps_the_order_too),
        cmocka_unit_test(a_timer_moved_to_later_keeps_its_old_place_until_that_comes_up),
        cmocka_unit_test(a_timer_moved_to_earlier_fires_earlier),
        cmocka_unit_test(a_cleared_timer_does_not_fire_and_can_be_set_again),
        cmocka_unit_test(a_timer_set_from_within_its_function_fires_again_when_it_is_due),
        cmocka_unit_test(a_function_may_set_and_move_other_timers),
        cmocka_unit_test(a_function_may_finish_itself_and_others_that_are_due),
        cmocka_unit_test(a_timer_finished_anywhere_in_the_heap_leaves_it_in_order),
        cmocka_unit_test(without_memory_for_one_more_the_others_go_on),
        cmocka_unit_test(asked_for_the_instant_that_counts_those_that_were_moved_or_cleared_are_passed_over),
        cmocka_unit_test(the_next_multiple_of_a_rhythm_is_later_than_now_by_no_more_than_once),
        cmocka_unit_test(any_schedule_fires_each_timer_once_in_order_and_never_early),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
