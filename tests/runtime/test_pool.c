/*
 * A pool shared by real threads. The oracle knows nothing of the pool's books: it counts the holders that know of their
 * permit, and what each ticket was told.
 */
#include "support.h"

#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "runtime/pool.h"

/* ---- one thread, step by step -------------------------------------------------------------------------- */

#define TICKETS 6

struct desk {
    struct rig rig;
    struct worker *workers[1];
    struct pool pool;
    struct pool_ticket tickets[TICKETS];
    uint32_t calls_that_hold; /* what the audit is told */
    char heard[32];           /* the numbers of those that heard of their grant */
};

static struct desk *the_desk;

static void heard(struct mail *mail)
{
    const struct pool_ticket *ticket = CONTAINER_OF(mail, struct pool_ticket, granted);
    size_t len = strlen(the_desk->heard);

    assert_int_equal(ticket->permit.state, PERMIT_HELD);
    the_desk->heard[len] = (char)('0' + (ticket - the_desk->tickets));
    the_desk->heard[len + 1] = '\0';
}

static int set_up(void **state)
{
    struct desk *desk = test_calloc(1, sizeof(*desk));

    rig_init(&desk->rig);
    desk->workers[0] = &desk->rig.worker;
    for (int i = 0; i < TICKETS; i++)
        pool_ticket_init(&desk->tickets[i], &desk->rig.worker, heard);
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
    worker_stop(&the_desk->rig.worker);
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
    worker_defer(&desk->rig.worker, &end);
    rig_run(&desk->rig);
    assert_string_equal(desk->heard, "1");
    give_back(desk, 1);
    worker_defer(&desk->rig.worker, &end);
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
    pool_resize(&desk->pool, 3, 4);
    check_figures(desk, 3, 1, 3, 0);
    mail_init(&end, stop);
    worker_defer(&desk->rig.worker, &end);
    rig_run(&desk->rig);
    assert_string_equal(desk->heard, "12");
    pool_resize(&desk->pool, 1, 4);
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
    worker_defer(&desk->rig.worker, &end);
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
    mailbox_deliver(&desk->rig.worker.mailbox);
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
    pool_audit(&desk->pool, &desk->rig.worker, told, desk);
    assert_int_equal(ask(desk, 0), PERMIT_GRANTED);
    desk->calls_that_hold = 1;
    pool_audit(&desk->pool, &desk->rig.worker, told, desk);
    assert_int_equal(pool_figures(&desk->pool).audit_errors, 0);
    desk->calls_that_hold = 0; /* a leak: the call is over, its permit is not back */
    pool_audit(&desk->pool, &desk->rig.worker, told, desk);
    assert_int_equal(pool_figures(&desk->pool).audit_errors, 1);
    desk->calls_that_hold = 1;
    desk->pool.permits.released++;
    pool_audit(&desk->pool, &desk->rig.worker, told, desk);
    assert_int_equal(pool_figures(&desk->pool).audit_errors, 2);
    desk->pool.permits.released--;
    pool_audit(&desk->pool, &desk->rig.worker, told, desk);
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

/* ---- many threads -------------------------------------------------------------------------------------- */

#define THREADS         4
#define TICKETS_EACH    16
#define OPERATIONS      250000
#define OPERATIONS_TURN 50

enum stand { IDLE, WAITS, HOLDS };

struct clerk;

struct ticket {
    struct pool_ticket pool;
    struct clerk *clerk;
    enum stand stand; /* what the owner was told */
};

struct office {
    struct pool pool;
    struct worker *workers[THREADS];
    uint32_t size;
    atomic_uint holders, most_holders; /* that know of their permit */
    atomic_uint wrong;
    const char *_Atomic what; /* the first thing that went wrong */
};

struct clerk {
    struct worker worker;
    struct office *office;
    pthread_t thread;
    struct ticket tickets[TICKETS_EACH];
    struct mail turn;
    uint32_t seed, operations, waiting, holding;
    uint64_t granted_at_once, granted_by_mail, refused, left, slept;
    bool draining;
};

static void check(struct office *office, bool right, const char *what)
{
    if (!right && atomic_fetch_add(&office->wrong, 1) == 0)
        office->what = what;
}

static void hold(struct ticket *ticket)
{
    struct office *office = ticket->clerk->office;
    unsigned holders = atomic_fetch_add(&office->holders, 1) + 1;
    unsigned most = atomic_load(&office->most_holders);

    check(office, holders <= office->size, "more holders than permits");
    while (holders > most && !atomic_compare_exchange_weak(&office->most_holders, &most, holders))
        ;
    ticket->stand = HOLDS;
    ticket->clerk->holding++;
}

static void return_ticket(struct ticket *ticket)
{
    struct clerk *clerk = ticket->clerk;

    if (ticket->stand == HOLDS) {
        clerk->holding--;
        atomic_fetch_sub(&clerk->office->holders, 1);
    } else {
        clerk->waiting--;
        clerk->left++;
    }
    ticket->stand = IDLE;
    pool_give_back(&clerk->office->pool, &ticket->pool);
    check(clerk->office, list_is_empty(&ticket->pool.granted.node), "a grant on its way to one who left");
}

static void ask_for_permit(struct ticket *ticket)
{
    struct clerk *clerk = ticket->clerk;

    switch (pool_acquire(&clerk->office->pool, &ticket->pool)) {
    case PERMIT_GRANTED:
        clerk->granted_at_once++;
        hold(ticket);
        break;
    case PERMIT_QUEUED:
        ticket->stand = WAITS;
        clerk->waiting++;
        break;
    case PERMIT_QUEUE_FULL: clerk->refused++; break;
    }
}

static void stop_when_drained(struct clerk *clerk)
{
    if (clerk->draining && clerk->waiting == 0 && clerk->holding == 0)
        worker_stop(&clerk->worker);
}

static void resume(struct clerk *clerk)
{
    if (list_is_empty(&clerk->turn.node))
        worker_defer(&clerk->worker, &clerk->turn);
}

static void permit_came(struct mail *mail)
{
    struct pool_ticket *pool = CONTAINER_OF(mail, struct pool_ticket, granted);
    struct ticket *ticket = CONTAINER_OF(pool, struct ticket, pool);
    struct clerk *clerk = ticket->clerk;

    check(clerk->office, ticket->stand == WAITS, "a grant for one who does not wait");
    if (ticket->stand != WAITS)
        return;
    clerk->waiting--;
    clerk->granted_by_mail++;
    hold(ticket);
    if (clerk->draining)
        return_ticket(ticket);
    else
        resume(clerk);
    stop_when_drained(clerk);
}

static uint32_t random_below(struct clerk *clerk, uint32_t bound)
{
    clerk->seed = clerk->seed * 1664525 + 1013904223;
    return (clerk->seed >> 8) % bound;
}

/* A ticket at random does what it can: ask, give back what it has, or leave the queue, soon or after a while. */
static void operate(struct clerk *clerk)
{
    struct ticket *ticket = &clerk->tickets[random_below(clerk, TICKETS_EACH)];

    clerk->operations++;
    if (ticket->stand == IDLE)
        ask_for_permit(ticket);
    else if (ticket->stand == HOLDS || random_below(clerk, 3) == 0)
        return_ticket(ticket);
}

/* By the tickets' own stand; a grant that is in the mail is held too. Runs under the pool's lock. */
static uint32_t count_held(void *arg)
{
    const struct clerk *clerk = arg;
    uint32_t count = 0;

    for (int i = 0; i < TICKETS_EACH; i++) {
        const struct ticket *ticket = &clerk->tickets[i];

        count +=
            ticket->stand == HOLDS || (ticket->stand == WAITS && ticket->pool.permit.state == PERMIT_HELD);
    }
    return count;
}

static void return_all_held(struct clerk *clerk)
{
    for (int i = 0; i < TICKETS_EACH; i++)
        if (clerk->tickets[i].stand == HOLDS)
            return_ticket(&clerk->tickets[i]);
}

/*
 * Between its turns a clerk sleeps now and then until a grant wakes it: holding nothing, so that all may sleep at
 * once. At last it leaves no queue any more, and is done when every waiter has had its permit: one wake-up that got
 * lost, and it never is.
 */
static void take_turn(struct mail *mail)
{
    struct clerk *clerk = CONTAINER_OF(mail, struct clerk, turn);

    for (int i = 0; i < OPERATIONS_TURN; i++)
        operate(clerk);
    pool_audit(&clerk->office->pool, &clerk->worker, count_held, clerk);
    if (clerk->operations >= OPERATIONS) {
        clerk->draining = true;
        return_all_held(clerk);
        stop_when_drained(clerk);
    } else if (clerk->waiting != 0 && random_below(clerk, 8) == 0) {
        clerk->slept++;
        return_all_held(clerk);
    } else {
        resume(clerk);
    }
}

static void *work(void *arg)
{
    struct clerk *clerk = arg;

    worker_run(&clerk->worker);
    return NULL;
}

static void open_office(struct office *office, struct clerk *clerks, uint32_t size, uint32_t queue_size)
{
    *office = (struct office){.size = size};
    for (uint32_t i = 0; i < THREADS; i++) {
        struct clerk *clerk = &clerks[i];

        *clerk = (struct clerk){.office = office, .seed = i + 1};
        assert_int_equal(worker_init(&clerk->worker, i), ST_OK);
        office->workers[i] = &clerk->worker;
        mail_init(&clerk->turn, take_turn);
        for (int j = 0; j < TICKETS_EACH; j++) {
            clerk->tickets[j].clerk = clerk;
            pool_ticket_init(&clerk->tickets[j].pool, &clerk->worker, permit_came);
        }
        worker_defer(&clerk->worker, &clerk->turn);
    }
    assert_int_equal(pool_init(&office->pool, size, queue_size, office->workers, THREADS), ST_OK);
}

static void run_office(struct clerk *clerks)
{
    alarm(240);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&clerks[i].thread, NULL, work, &clerks[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(clerks[i].thread, NULL);
}

static void check_office(struct office *office, struct clerk *clerks)
{
    struct pool_figures figures = pool_figures(&office->pool);
    uint64_t at_once = 0, by_mail = 0, left = 0, refused = 0, slept = 0, called_back;

    if (office->wrong != 0)
        fail_msg("%u times something went wrong, first: %s", office->wrong, office->what);
    for (int i = 0; i < THREADS; i++) {
        assert_true(clerks[i].operations >= OPERATIONS);
        at_once += clerks[i].granted_at_once;
        by_mail += clerks[i].granted_by_mail;
        refused += clerks[i].refused;
        left += clerks[i].left;
        slept += clerks[i].slept;
        assert_int_equal(office->pool.held_by[i], 0);
    }
    assert_int_equal(office->holders, 0);
    assert_true(office->most_holders <= office->size);
    assert_int_equal(figures.held, 0);
    assert_int_equal(figures.waiting, 0);
    assert_int_equal(figures.acquired, figures.released);
    assert_int_equal(figures.audit_errors, 0);
    assert_int_equal(figures.held_peak, office->size);
    /* Each permit was known to one who asked, heard of by mail once, or called back from one who left. */
    assert_true(figures.acquired >= at_once + by_mail);
    called_back = figures.acquired - at_once - by_mail;
    assert_true(called_back <= left);
    print_message(
        "%u permits: %llu granted at once, %llu by mail, %llu called back, %llu left, %llu refused, "
        "%llu sleeps\n",
        office->size, (unsigned long long)at_once, (unsigned long long)by_mail,
        (unsigned long long)called_back, (unsigned long long)left, (unsigned long long)refused,
        (unsigned long long)slept);
}

static void close_office(struct office *office, struct clerk *clerks)
{
    pool_fini(&office->pool);
    for (int i = 0; i < THREADS; i++)
        worker_fini(&clerks[i].worker);
}

static void run_threads(uint32_t size, uint32_t queue_size)
{
    static struct clerk clerks[THREADS];
    static struct office office;

    open_office(&office, clerks, size, queue_size);
    run_office(clerks);
    check_office(&office, clerks);
    close_office(&office, clerks);
}

static void threads_that_share_a_pool_never_hold_more_than_its_size(void **state)
{
    run_threads(5, 40);
    run_threads(40, 10);
}

static void threads_that_share_one_permit_take_turns(void **state)
{
    run_threads(1, THREADS * TICKETS_EACH);
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
        cmocka_unit_test(threads_that_share_a_pool_never_hold_more_than_its_size),
        cmocka_unit_test(threads_that_share_one_permit_take_turns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
