/* The loop: a turn's order, timers by the real timerfd, mail, what is deferred, what is freed at its end. */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/mem.h"

#define TIMERS 100

struct world {
    struct rig rig;
    char happened[32]; /* a letter each */
};

static struct world *the_world;

static void note(char letter)
{
    size_t len = strlen(the_world->happened);

    assert_true(len + 1 < sizeof(the_world->happened));
    the_world->happened[len] = letter;
    the_world->happened[len + 1] = '\0';
}

static int set_up(void **state)
{
    the_world = test_calloc(1, sizeof(*the_world));
    rig_init(&the_world->rig);
    *state = the_world;
    return 0;
}

static int tear_down(void **state)
{
    rig_fini(&the_world->rig);
    test_free(the_world);
    return 0;
}

static void stop(void)
{
    loop_stop(&the_world->rig.loop);
}

/* ---- one turn ------------------------------------------------------------------------------------------ */

struct turn {
    struct event event;
    struct timer timer;
    struct mail mail, deferred, last;
    struct deferred_free deferred_free;
    int64_t seen_ns[4];
    int pipe[2];
};

static struct turn turn;

static void see_time(int index)
{
    turn.seen_ns[index] = loop_now(&the_world->rig.loop);
}

static void freed(struct deferred_free *deferred_free)
{
    note('g');
}

static void descriptor_ready(evutil_socket_t fd, short what, void *arg)
{
    note('e');
    see_time(0);
    loop_free_later(&the_world->rig.loop, &turn.deferred_free, freed);
    loop_defer(&the_world->rig.loop, &turn.deferred);
    mailbox_post(&the_world->rig.loop.mailbox, &turn.mail);
    loop_expect_mail(&the_world->rig.loop);
}

static void timer_due(struct timer *timer, int64_t now_ns)
{
    note('t');
    see_time(1);
    assert_int_equal(now_ns, turn.seen_ns[1]);
}

static void mail_came(struct mail *mail)
{
    note('m');
    see_time(2);
}

static void last_turn(struct mail *mail)
{
    note('n');
    see_time(3);
    stop();
}

static void deferred_runs(struct mail *mail)
{
    note('d');
    loop_defer(&the_world->rig.loop, &turn.last);
}

static void a_turn_is_descriptors_timers_mail_deferred_frees_at_one_time(void **state)
{
    struct loop *loop = &the_world->rig.loop;

    assert_int_equal(pipe(turn.pipe), 0);
    assert_int_equal(
        event_assign(&turn.event, loop->base, turn.pipe[0], EV_READ | EV_ET, descriptor_ready, NULL), 0);
    assert_int_equal(event_add(&turn.event, NULL), 0);
    assert_int_equal(timer_init(&loop->timers, &turn.timer, timer_due), ST_OK);
    mail_init(&turn.mail, mail_came);
    mail_init(&turn.deferred, deferred_runs);
    mail_init(&turn.last, last_turn);
    timer_set(&loop->timers, &turn.timer, 1);
    assert_int_equal(write(turn.pipe[1], "x", 1), 1);
    rig_run(&the_world->rig);
    /* What was deferred while the deferred ran waited for the next turn, which had its own time. */
    assert_string_equal(the_world->happened, "etmdgn");
    assert_int_equal(turn.seen_ns[0], turn.seen_ns[1]);
    assert_int_equal(turn.seen_ns[0], turn.seen_ns[2]);
    assert_true(turn.seen_ns[3] > turn.seen_ns[0]);
    timer_fini(&loop->timers, &turn.timer);
    event_del(&turn.event);
    close(turn.pipe[0]);
    close(turn.pipe[1]);
}

static void refreshes(struct mail *mail)
{
    (void)mail;
    assert_false(the_world->rig.loop.is_fresh);
    (void)loop_refresh_now(&the_world->rig.loop);
}

static void a_time_is_fresh_until_the_next_event_or_the_end_of_the_turn(void **state)
{
    struct loop *loop = &the_world->rig.loop;

    (void)state;
    assert_false(loop->is_fresh);
    (void)loop_now(loop); /* what was asked for once may be old */
    assert_false(loop->is_fresh);
    (void)loop_refresh_now(
        loop); /* what comes by no event of a descriptor, as mail does, may not be the last to start */
    assert_false(loop->is_fresh);
    loop_count_event(loop);
    (void)loop_refresh_now(loop);
    assert_true(loop->is_fresh);
    loop_count_event(loop);
    assert_false(loop->is_fresh);
    mail_init(&turn.deferred, refreshes);
    loop_defer(loop, &turn.deferred);
    loop_turn(loop, loop_refresh_now(loop));
    assert_false(loop->is_fresh);
}

/* ---- timers -------------------------------------------------------------------------------------------- */

struct alarm {
    struct timer timer;
    int64_t due_ns, late_ns;
};

static struct alarm alarms[TIMERS];
static unsigned ringing;
static int64_t last_due_ns, latest_ns;

static void ring(struct timer *timer, int64_t now_ns)
{
    struct alarm *alarm = CONTAINER_OF(timer, struct alarm, timer);

    assert_true(now_ns >= alarm->due_ns);
    assert_true(loop_clock_ns() >= now_ns);
    assert_true(alarm->due_ns >= last_due_ns);
    last_due_ns = alarm->due_ns;
    alarm->late_ns = loop_clock_ns() - alarm->due_ns;
    if (alarm->late_ns > latest_ns)
        latest_ns = alarm->late_ns;
    if (--ringing == 0)
        stop();
}

static void set_alarm(struct alarm *alarm, int64_t due_ns)
{
    struct timers *timers = &the_world->rig.loop.timers;

    if (alarm->timer.fn == NULL)
        assert_int_equal(timer_init(timers, &alarm->timer, ring), ST_OK);
    alarm->due_ns = due_ns;
    timer_set(timers, &alarm->timer, due_ns);
}

static void run_alarms(unsigned count)
{
    ringing = count;
    last_due_ns = INT64_MIN;
    latest_ns = 0;
    rig_run(&the_world->rig);
    for (int i = 0; i < TIMERS; i++) {
        if (alarms[i].timer.fn != NULL)
            timer_fini(&the_world->rig.loop.timers, &alarms[i].timer);
        alarms[i].timer.fn = NULL;
    }
}

static void timers_fire_in_order_and_never_early_by_the_real_clock(void **state)
{
    int64_t now_ns = loop_clock_ns();

    for (int i = 0; i < TIMERS; i++) /* scattered over 50 ms, to the nanosecond */
        set_alarm(&alarms[i], now_ns + (i * INT64_C(7919) % 101) * 495 * NS_PER_US + i);
    run_alarms(TIMERS);
    print_message("the latest of %d timers was %lld us late\n", TIMERS, (long long)(latest_ns / NS_PER_US));
    assert_true(latest_ns < NS_PER_S);
}

static void a_timer_in_the_past_fires_in_the_next_turn(void **state)
{
    set_alarm(&alarms[0], 1);
    set_alarm(&alarms[1], -5);
    set_alarm(&alarms[2], loop_clock_ns() - 1);
    run_alarms(3);
}

static void a_timer_that_comes_nearer_rearms_the_descriptor(void **state)
{
    struct loop *loop = &the_world->rig.loop;
    int64_t begin_ns = loop_clock_ns();

    /* The watchdog has armed it for 10 s; this turn ends with that. */
    set_alarm(&alarms[0], begin_ns + 5 * NS_PER_S);
    mail_init(&turn.last, last_turn);
    loop_defer(loop, &turn.last);
    rig_run(&the_world->rig);
    set_alarm(&alarms[0], loop_clock_ns() + 3 * NS_PER_MS);
    run_alarms(1);
    assert_true(loop_clock_ns() - begin_ns < 4 * NS_PER_S);
}

static void moves_away(struct mail *mail)
{
    struct loop *loop = &the_world->rig.loop;

    (void)mail;
    set_alarm(&alarms[0], loop_clock_ns() + 40 * NS_PER_MS);
    loop_rearm(loop);
}

static void a_timer_that_was_moved_away_takes_no_turn_for_its_old_instant_after_a_rearm(void **state)
{
    struct loop *loop = &the_world->rig.loop;
    uint64_t before = loop->turn;

    set_alarm(&alarms[0], loop_clock_ns() + 20 * NS_PER_MS);
    mail_init(&turn.deferred, moves_away);
    loop_defer(loop, &turn.deferred);
    run_alarms(1);
    assert_int_equal(loop->turn - before, 2); /* that of the mail, and that of the alarm */
}

static unsigned rounds;

static void ring_again(struct timer *timer, int64_t now_ns)
{
    struct alarm *alarm = CONTAINER_OF(timer, struct alarm, timer);

    assert_true(now_ns >= alarm->due_ns);
    if (++rounds == 50) {
        stop();
        return;
    }
    alarm->due_ns = now_ns + 200 * NS_PER_US;
    timer_set(&the_world->rig.loop.timers, timer, alarm->due_ns);
}

static void a_timer_that_is_set_again_and_again_keeps_firing(void **state)
{
    struct timers *timers = &the_world->rig.loop.timers;

    rounds = 0;
    assert_int_equal(timer_init(timers, &alarms[0].timer, ring_again), ST_OK);
    alarms[0].due_ns = loop_clock_ns();
    timer_set(timers, &alarms[0].timer, alarms[0].due_ns);
    rig_run(&the_world->rig);
    assert_int_equal(rounds, 50);
    timer_fini(timers, &alarms[0].timer);
    alarms[0].timer.fn = NULL;
}

/* ---- mail ---------------------------------------------------------------------------------------------- */

static void a(struct mail *mail)
{
    note('a');
}

static void b(struct mail *mail)
{
    note('b');
}

static void z(struct mail *mail)
{
    note('z');
    stop();
}

static void deferred_mail_runs_in_order_unless_it_was_taken_back(void **state)
{
    struct loop *loop = &the_world->rig.loop;
    struct mail first, second, third, end;

    mail_init(&first, a);
    mail_init(&second, b);
    mail_init(&third, a);
    mail_init(&end, z);
    loop_defer(loop, &second);
    loop_defer(loop, &first);
    loop_defer(loop, &third);
    loop_defer(loop, &end);
    loop_undefer(&first);
    loop_undefer(&first);
    rig_run(&the_world->rig);
    assert_string_equal(the_world->happened, "baz");
}

static struct mail recalled;

static void recall(struct mail *mail)
{
    note('r');
    loop_undefer(&recalled);
}

static void deferred_mail_is_taken_back_by_the_one_before_it(void **state)
{
    struct loop *loop = &the_world->rig.loop;
    struct mail first, end;

    mail_init(&first, recall);
    mail_init(&recalled, b);
    mail_init(&end, z);
    loop_defer(loop, &first);
    loop_defer(loop, &recalled);
    loop_defer(loop, &end);
    rig_run(&the_world->rig);
    assert_string_equal(the_world->happened, "rz");
}

/* ---- many of them -------------------------------------------------------------------------------------- */

static struct mail crowd[100];
static int served, served_before_descriptor;

static void serve(struct mail *mail)
{
    assert_ptr_equal(mail, &crowd[served]);
    if (++served == (int)(sizeof(crowd) / sizeof(crowd[0])))
        stop();
}

static void interrupted(evutil_socket_t fd, short what, void *arg)
{
    served_before_descriptor = served;
}

static void write_a_byte(struct mail *mail)
{
    assert_int_equal(write(turn.pipe[1], "x", 1), 1);
    serve(mail);
}

static void many_that_are_deferred_run_in_order_and_leave_descriptors_their_turns(void **state)
{
    struct loop *loop = &the_world->rig.loop;
    struct event event;

    served = served_before_descriptor = 0;
    assert_int_equal(pipe(turn.pipe), 0);
    assert_int_equal(event_assign(&event, loop->base, turn.pipe[0], EV_READ | EV_ET, interrupted, NULL), 0);
    assert_int_equal(event_add(&event, NULL), 0);
    for (size_t i = 0; i < sizeof(crowd) / sizeof(crowd[0]); i++) {
        mail_init(&crowd[i], i == 0 ? write_a_byte : serve);
        loop_defer(loop, &crowd[i]);
    }
    rig_run(&the_world->rig);
    assert_int_equal(served, 100);
    assert_in_range(served_before_descriptor, 1, 50);
    event_del(&event);
    close(turn.pipe[0]);
    close(turn.pipe[1]);
}

static int ready[300];
static int seen, seen_before_mail;
static struct mail urgent;

static void served_one(evutil_socket_t fd, short what, void *arg)
{
    loop_count_event(&the_world->rig.loop);
    if (++seen == 100)
        mailbox_post(&the_world->rig.loop.mailbox, &urgent);
    if (seen == (int)(sizeof(ready) / sizeof(ready[0])))
        stop();
}

static void mail_overtakes(struct mail *mail)
{
    seen_before_mail = seen;
}

static void mail_waits_for_a_turn_of_all_that_is_ready(void **state)
{
    struct loop *loop = &the_world->rig.loop;
    static struct event events[sizeof(ready) / sizeof(ready[0])];

    for (size_t i = 0; i < sizeof(ready) / sizeof(ready[0]); i++) {
        ready[i] = eventfd(0, EFD_NONBLOCK);
        assert_true(ready[i] >= 0);
        assert_int_equal(
            event_assign(&events[i], loop->base, ready[i], EV_READ | EV_ET | EV_PERSIST, served_one, NULL),
            0);
        assert_int_equal(event_add(&events[i], NULL), 0);
    }
    mail_init(&urgent, mail_overtakes);
    /* Twice: in the first round libevent learns to take so many from the kernel at a time. */
    for (int round = 0; round < 2; round++) {
        seen = seen_before_mail = 0;
        for (size_t i = 0; i < sizeof(ready) / sizeof(ready[0]); i++)
            assert_int_equal(eventfd_write(ready[i], 1), 0);
        rig_run(&the_world->rig);
        assert_int_equal(seen, sizeof(ready) / sizeof(ready[0]));
    }
    assert_in_range(seen_before_mail, 100, 200);
    for (size_t i = 0; i < sizeof(ready) / sizeof(ready[0]); i++) {
        event_del(&events[i]);
        close(ready[i]);
    }
}

static void expected_mail_is_delivered_without_a_ring(void **state)
{
    struct loop *loop = &the_world->rig.loop;
    struct mail end;

    mail_init(&end, z);
    assert_true(mailbox_put(&loop->mailbox, &end));
    loop_expect_mail(loop);
    rig_run(&the_world->rig);
    assert_string_equal(the_world->happened, "z");
}

static void *post_from_elsewhere(void *arg)
{
    mailbox_post(&the_world->rig.loop.mailbox, arg);
    return NULL;
}

static void mail_from_another_thread_wakes_the_loop(void **state)
{
    struct mail end;
    pthread_t thread;

    mail_init(&end, z);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(pthread_create(&thread, NULL, post_from_elsewhere, &end), 0);
        rig_run(&the_world->rig);
        pthread_join(thread, NULL);
    }
    assert_string_equal(the_world->happened, "zzzzzzzzzzzzzzzzzzzz");
}

static void *stop_from_elsewhere(void *arg)
{
    loop_stop(arg);
    return NULL;
}

static void another_thread_stops_the_loop(void **state)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, stop_from_elsewhere, &the_world->rig.loop), 0);
    rig_run(&the_world->rig);
    pthread_join(thread, NULL);
}

/* ---- beginning and end --------------------------------------------------------------------------------- */

struct body {
    struct deferred_free deferred_free;
};

static void free_body(struct deferred_free *deferred_free)
{
    note('f');
    mem_free(CONTAINER_OF(deferred_free, struct body, deferred_free));
}

static void what_waits_to_be_freed_is_freed_with_the_worker(void **state)
{
    struct loop loop;

    assert_int_equal(loop_init(&loop, 7), ST_OK);
    assert_int_equal(loop.index, 7);
    for (int i = 0; i < 3; i++) {
        struct body *body = mem_zalloc(sizeof(*body));

        assert_non_null(body);
        loop_free_later(&loop, &body->deferred_free, free_body);
    }
    loop_fini(&loop);
    assert_string_equal(the_world->happened, "fff");
}

static void a_worker_leaves_no_descriptor_behind(void **state)
{
    struct loop loop;
    int before = open_descriptors();

    assert_int_equal(loop_init(&loop, 0), ST_OK);
    assert_true(open_descriptors() > before);
    loop_fini(&loop);
    assert_int_equal(open_descriptors(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_turn_is_descriptors_timers_mail_deferred_frees_at_one_time, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(timers_fire_in_order_and_never_early_by_the_real_clock, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_time_is_fresh_until_the_next_event_or_the_end_of_the_turn, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_timer_in_the_past_fires_in_the_next_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_timer_that_comes_nearer_rearms_the_descriptor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_timer_that_was_moved_away_takes_no_turn_for_its_old_instant_after_a_rearm, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_timer_that_is_set_again_and_again_keeps_firing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(deferred_mail_runs_in_order_unless_it_was_taken_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(deferred_mail_is_taken_back_by_the_one_before_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_that_are_deferred_run_in_order_and_leave_descriptors_their_turns,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(mail_waits_for_a_turn_of_all_that_is_ready, set_up, tear_down),
        cmocka_unit_test_setup_teardown(expected_mail_is_delivered_without_a_ring, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mail_from_another_thread_wakes_the_loop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_thread_stops_the_loop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_waits_to_be_freed_is_freed_with_the_worker, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_worker_leaves_no_descriptor_behind, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
