/* A pool on one thread, step by step; tests/model and tests/stress have what many threads make of it. */
#include "support.h"

#include <string.h>

#include "base/mem.h"
#include "runtime/pool.h"

#define TICKETS 6

struct desk {
    struct rig rig;
    struct loop *workers[1];
    struct pool pool;
    struct pool_ticket tickets[TICKETS];
    uint32_t calls_that_hold; /* what the audit is told */
    char heard[32];           /* the numbers of those that heard of their grant */
};

static struct desk *the_desk;

static void heard(struct mail *mail)
{
    const struct pool_ticket *ticket = CONTAINER_OF(mail, struct pool_ticket, news);
    size_t len = strlen(the_desk->heard);

    assert_int_equal(ticket->permit.state, PERMIT_HELD);
    the_desk->heard[len] = (char)('0' + (ticket - the_desk->tickets));
    the_desk->heard[len + 1] = '\0';
}

static int set_up(void **state)
{
    struct desk *desk = test_calloc(1, sizeof(*desk));

    rig_init(&desk->rig);
    desk->workers[0] = &desk->rig.loop;
    for (int i = 0; i < TICKETS; i++)
        pool_ticket_init(&desk->tickets[i], &desk->rig.loop, heard);
    *state = the_desk = desk;
    return 0;
}

static int tear_down(void **state)
{
    struct desk *desk = *state;

    pool_fini(&desk->pool);
    rig_fini(&desk->rig);
    test_free(desk);
    return 0;
}

static void open_pool(struct desk *desk, uint32_t size, uint32_t queue_size)
{
    assert_int_equal(pool_init(&desk->pool, size, queue_size, desk->workers, 1), ST_OK);
}

static enum permit_answer ask(struct desk *desk, int i)
{
    return pool_acquire(&desk->pool, &desk->tickets[i]);
}

static void give_back(struct desk *desk, int i)
{
    pool_give_back(&desk->pool, &desk->tickets[i]);
}

static void check_figures(struct desk *desk, uint32_t held, uint32_t waiting, uint64_t acquired,
                          uint64_t released)
{
    struct pool_figures figures = pool_figures(&desk->pool);

    assert_int_equal(figures.held, held);
    assert_int_equal(figures.waiting, waiting);
    assert_int_equal(figures.acquired, acquired);
    assert_int_equal(figures.released, released);
    assert_int_equal(desk->pool.held_by[0], held);
}

static void stop(struct mail *mail)
{
    loop_stop(&the_desk->rig.loop);
}

static void a_permit_that_is_passed_on_is_held_once_and_given_back_once(void **state)
{
    struct desk *desk = *state;

    open_pool(desk, 1, 1);
    assert_int_equal(ask(desk, 0), PERMIT_GRANTED);
    pool_pass_on(&desk->tickets[0], &desk->tickets[1]);
    check_figures(desk, 1, 0, 1, 0);
    give_back(desk, 0);
    check_figures(desk, 1, 0, 1, 0);
    assert_int_equal(ask(desk, 2), PERMIT_QUEUED);
    give_back(desk, 1);
    check_figures(desk, 1, 0, 2, 1);
    assert_int_equal(desk->tickets[2].permit.state, PERMIT_HELD);
    give_back(desk, 2);
    check_figures(desk, 0, 0, 2, 2);
}

static void a_waiter_hears_of_its_permit_by_mail(void **state)
{
    struct desk *desk = *state;
    struct mail end;

    open_pool(desk, 1, 2);
    assert_int_equal(ask(desk, 0), PERMIT_GRANTED);
    assert_int_equal(ask(desk, 1), PERMIT_QUEUED);
    assert_int_equal(ask(desk, 2), PERMIT_QUEUED);
    assert_int_equal(ask(desk, 3), PERMIT_QUEUE_FULL);
    check_figures(desk, 1, 2, 1, 0);
    give_back(desk, 0);
    /* The permit has changed hands at once; the news comes with the loop. */
    check_figures(desk, 1, 1, 2, 1);
    assert_string_equal(desk->heard, "");
    mail_init(&end, stop);
    loop_defer(&desk->rig.loop, &end);
    rig_run(&desk->rig);
    assert_string_equal(desk->heard, "1");
    give_back(desk, 1);
    loop_defer(&desk->rig.loop, &end);
    rig_run(&desk->rig);
    assert_string_equal(desk->heard, "12");
    give_back(desk, 2);
    check_figures(desk, 0, 0, 3, 3);
}

static void a_pool_made_larger_tells_its_waiters_and_one_made_smaller_comes_down_by_and_by(void **state)
{
    struct desk *desk = *state;
    struct mail end;

    open_pool(desk, 1, 4);
    for (int i = 0; i < 4; i++)
        (void)ask(desk, i);
    pool_set(&desk->pool, &(struct pool_terms){.size = 3, .queue_size = 4, .rate_burst = 1});
    check_figures(desk, 3, 1, 3, 0);
    mail_init(&end, stop);
    loop_defer(&desk->rig.loop, &end);
    rig_run(&desk->rig);
    assert_string_equal(desk->heard, "12");
    pool_set(&desk->pool, &(struct pool_terms){.size = 1, .queue_size = 4, .rate_burst = 1});
    assert_int_equal(pool_figures(&desk->pool).size, 3);
    give_back(desk, 0);
    give_back(desk, 1);
    check_figures(desk, 1, 1, 3, 2);
    assert_int_equal(pool_figures(&desk->pool).size, 1);
    give_back(desk, 2);
    give_back(desk, 3);
    check_figures(desk, 0, 0, 4, 4);
}

static void a_grant_whose_waiter_leaves_is_called_back_and_goes_to_the_next(void **state)
{
    struct desk *desk = *state;
    struct mail end;

    open_pool(desk, 1, 4);
    for (int i = 0; i < 4; i++)
        (void)ask(desk, i);
    give_back(desk, 0); /* to 1, who has not heard */
    give_back(desk, 1); /* and leaves: to 2 */
    check_figures(desk, 1, 1, 3, 2);
    give_back(desk, 3); /* a waiter like any other */
    check_figures(desk, 1, 0, 3, 2);
    mail_init(&end, stop);
    loop_defer(&desk->rig.loop, &end);
    rig_run(&desk->rig);
    assert_string_equal(desk->heard, "2");
    give_back(desk, 2);
    give_back(desk, 2);
    check_figures(desk, 0, 0, 3, 3);
}

static void a_ticket_serves_again_and_again(void **state)
{
    struct desk *desk = *state;

    open_pool(desk, 1, 1);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(ask(desk, 0), PERMIT_GRANTED);
        assert_int_equal(ask(desk, 1), PERMIT_QUEUED);
        give_back(desk, 0); /* the grant is on its way to 1, and is called back */
        give_back(desk, 1);
    }
    check_figures(desk, 0, 0, 20, 20);
    mailbox_deliver(&desk->rig.loop.mailbox);
    assert_string_equal(desk->heard, "");
}

static void the_figures_tell_the_peak_and_the_size(void **state)
{
    struct desk *desk = *state;
    struct pool_figures figures;

    open_pool(desk, 3, 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(ask(desk, i), PERMIT_GRANTED);
    for (int i = 0; i < 2; i++)
        give_back(desk, i);
    figures = pool_figures(&desk->pool);
    assert_int_equal(figures.size, 3);
    assert_int_equal(figures.held_peak, 2);
    assert_int_equal(figures.audit_errors, 0);
}

static uint32_t told(void *arg)
{
    const struct desk *desk = arg;

    return desk->calls_that_hold;
}

static void the_audit_counts_each_difference_and_each_unsound_pool(void **state)
{
    struct desk *desk = *state;

    open_pool(desk, 2, 0);
    assert_true(pool_audit(&desk->pool, &desk->rig.loop, told, desk));
    assert_int_equal(ask(desk, 0), PERMIT_GRANTED);
    desk->calls_that_hold = 1;
    assert_true(pool_audit(&desk->pool, &desk->rig.loop, told, desk));
    assert_int_equal(pool_figures(&desk->pool).audit_errors, 0);
    desk->calls_that_hold = 0; /* a leak: the call is over, its permit is not back */
    assert_false(pool_audit(&desk->pool, &desk->rig.loop, told, desk));
    assert_int_equal(pool_figures(&desk->pool).audit_errors, 1);
    desk->calls_that_hold = 1;
    desk->pool.permits.released++;
    assert_false(pool_audit(&desk->pool, &desk->rig.loop, told, desk));
    assert_int_equal(pool_figures(&desk->pool).audit_errors, 2);
    desk->pool.permits.released--;
    assert_true(pool_audit(&desk->pool, &desk->rig.loop, told, desk));
    assert_int_equal(pool_figures(&desk->pool).audit_errors, 2);
    give_back(desk, 0);
}

static bool refuse(void *arg, size_t size)
{
    return true;
}

static void without_memory_there_is_no_pool(void **state)
{
    struct desk *desk = *state;
    enum status status;

    mem_set_fault(refuse, NULL);
    status = pool_init(&desk->pool, 1, 1, desk->workers, 1);
    mem_set_fault(NULL, NULL);
    assert_int_equal(status, ST_NOMEM);
    open_pool(desk, 1, 1);
}

static void a_ghost_holds_the_permit_that_its_call_had(void **state)
{
    struct desk *desk = *state;

    open_pool(desk, 1, 2);
    assert_int_equal(ask(desk, 0), PERMIT_GRANTED);
    assert_int_equal(ask(desk, 1), PERMIT_QUEUED);
    pool_pass_on_to_ghost(&desk->pool, &desk->tickets[0], &desk->tickets[2]);
    check_figures(desk, 1, 1, 1, 0);
    assert_int_equal(pool_figures(&desk->pool).ghosts, 1);
    give_back(desk, 0); /* it has none */
    check_figures(desk, 1, 1, 1, 0);
    pool_give_back_ghost(&desk->pool, &desk->tickets[2]);
    assert_int_equal(pool_figures(&desk->pool).ghosts, 0);
    check_figures(desk, 1, 0, 2, 1);
    give_back(desk, 1);
}

static struct pool_figures figures_of(struct desk *desk)
{
    return pool_figures(&desk->pool);
}

static void what_the_api_refuses_lowers_the_limit_and_what_it_takes_raises_it(void **state)
{
    struct desk *desk = *state;
    const struct pool_terms terms = {.size = 4, .queue_size = 2, .adapt_min = 1, .rate_burst = 1};

    open_pool(desk, 4, 2);
    pool_set(&desk->pool, &terms);
    for (int i = 0; i < 4; i++)
        assert_int_equal(ask(desk, i), PERMIT_GRANTED);
    pool_note_good(&desk->pool, &desk->rig.loop); /* it is at its most */
    assert_int_equal(figures_of(desk).limit, 4);
    pool_note_refused(&desk->pool, &desk->rig.loop);
    pool_note_refused(&desk->pool, &desk->rig.loop); /* within a second */
    assert_int_equal(figures_of(desk).limit, 2);
    assert_int_equal(figures_of(desk).size, 4);
    assert_int_equal(ask(desk, 4), PERMIT_QUEUED);
    give_back(desk, 0);
    give_back(desk, 1);
    assert_int_equal(figures_of(desk).held, 2);
    assert_int_equal(figures_of(desk).waiting, 1); /* the limit is reached */
    pool_note_good(&desk->pool, &desk->rig.loop);
    assert_int_equal(figures_of(desk).limit, 2);
    pool_note_good(&desk->pool, &desk->rig.loop);
    assert_int_equal(figures_of(desk).limit, 3);
    assert_int_equal(figures_of(desk).held, 3); /* the waiter has it */
    for (int i = 2; i < 5; i++)
        give_back(desk, i);
}

static void a_pool_that_does_not_adapt_any_more_has_its_size_again(void **state)
{
    struct desk *desk = *state;
    struct pool_terms terms = {.size = 4, .queue_size = 2, .adapt_min = 3, .rate_burst = 1};

    open_pool(desk, 4, 2);
    pool_note_refused(&desk->pool, &desk->rig.loop);
    assert_int_equal(figures_of(desk).limit, 4); /* it does not yet */
    pool_set(&desk->pool, &terms);
    pool_note_refused(&desk->pool, &desk->rig.loop);
    assert_int_equal(figures_of(desk).limit, 3);
    terms.size = 9;
    pool_set(&desk->pool, &terms);
    assert_int_equal(figures_of(desk).limit, 3);
    assert_int_equal(figures_of(desk).size, 9);
    terms.adapt_min = 0;
    pool_set(&desk->pool, &terms);
    assert_int_equal(figures_of(desk).limit, 9);
    pool_restart(&desk->pool, &(struct pool_terms){.size = 2, .adapt_min = 1, .rate_burst = 1});
    assert_int_equal(figures_of(desk).limit, 2);
    assert_int_equal(figures_of(desk).size, 2);
}

static bool finds_one(struct desk *desk, int i)
{
    return pool_acquire_at_once(&desk->pool, &desk->rig.loop, &desk->tickets[i]);
}

static void one_start_goes_by_the_time_of_its_event_and_the_next_by_the_clock(void **state)
{
    struct desk *desk = *state;
    struct loop *loop = &desk->rig.loop;

    open_pool(desk, 3, 4);
    pool_set(&desk->pool,
             &(struct pool_terms){
                 .size = 3, .queue_size = 4, .timed = true, .rate_per_hour = 3600, .rate_burst = 1});
    loop->now_ns = loop_clock_ns() - 2 * NS_PER_S;
    loop->is_fresh = true;
    assert_true(finds_one(desk, 0)); /* whose slot was two seconds ago, so that */
    assert_true(finds_one(desk, 1)); /* the next one, a second later, is there by the clock, */
    loop->is_fresh = true;
    assert_false(finds_one(desk, 2)); /* and none by now. */
    assert_false(loop->is_fresh);
    give_back(desk, 0);
    give_back(desk, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_waiter_hears_of_its_permit_by_mail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_pool_made_larger_tells_its_waiters_and_one_made_smaller_comes_down_by_and_by, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(a_grant_whose_waiter_leaves_is_called_back_and_goes_to_the_next,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_ticket_serves_again_and_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_figures_tell_the_peak_and_the_size, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_audit_counts_each_difference_and_each_unsound_pool, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(without_memory_there_is_no_pool, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_permit_that_is_passed_on_is_held_once_and_given_back_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_ghost_holds_the_permit_that_its_call_had, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_api_refuses_lowers_the_limit_and_what_it_takes_raises_it,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_start_goes_by_the_time_of_its_event_and_the_next_by_the_clock,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_pool_that_does_not_adapt_any_more_has_its_size_again, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
