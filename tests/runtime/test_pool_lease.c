/* A pool whose permits are lent to it: what it grants, until when, and when its lender is asked. */
#include "support.h"

#include <string.h>

#include "base/mem.h"
#include "runtime/pool_lease.h"
#include "runtime/pool_locked.h"

#define TICKETS 6

struct desk {
    struct rig rig;
    struct loop *workers[1];
    struct pool pool;
    struct pool_ticket tickets[TICKETS];
    struct mail asks;
    uint32_t asked, told;
    struct pool_lease lease; /* what is lent next */
    struct pool_news news;   /* what the lender saw */
};

static struct desk *the_desk;

static void heard(struct mail *mail)
{
    (void)mail;
    the_desk->told++;
}

static void is_asked(struct mail *mail)
{
    (void)mail;
    the_desk->asked++;
}

static void lend(void *arg, const struct pool_news *news, struct pool_lease *lease)
{
    struct desk *desk = arg;

    desk->news = *news;
    *lease = desk->lease;
}

static void has_lent(void *arg, const struct pool_news *news)
{
    (void)arg;
    assert_non_null(news->permits);
}

static void lends(struct desk *desk, struct pool_lease lease)
{
    desk->lease = lease;
    pool_lend(&desk->pool, lend, has_lent, desk);
}

static void lends_for_good(struct desk *desk, uint32_t size)
{
    lends(desk, (struct pool_lease){.size = size, .until_ns = NS_NEVER});
}

static int set_up(void **state)
{
    struct desk *desk = test_calloc(1, sizeof(*desk));
    struct pool_terms terms = {.size = 5, .queue_size = 5, .rate_burst = 1, .is_leased = true};

    rig_init(&desk->rig);
    desk->workers[0] = &desk->rig.loop;
    assert_int_equal(pool_init(&desk->pool, 1, 0, desk->workers, 1), ST_OK);
    pool_restart(&desk->pool, &terms);
    mail_init(&desk->asks, is_asked);
    pool_set_lender(&desk->pool, &desk->rig.loop.mailbox, &desk->asks);
    for (int i = 0; i < TICKETS; i++)
        pool_ticket_init(&desk->tickets[i], &desk->rig.loop, heard);
    *state = the_desk = desk;
    return 0;
}

static int tear_down(void **state)
{
    struct desk *desk = *state;

    for (int i = 0; i < TICKETS; i++)
        pool_give_back(&desk->pool, &desk->tickets[i]);
    pool_drop_lender(&desk->pool);
    pool_fini(&desk->pool);
    rig_fini(&desk->rig);
    test_free(desk);
    return 0;
}

static enum permit_answer ask(struct desk *desk, int i)
{
    if (pool_acquire_at_once(&desk->pool, &desk->rig.loop, &desk->tickets[i]))
        return PERMIT_GRANTED;
    return pool_acquire(&desk->pool, &desk->tickets[i]);
}

static void nothing_is_granted_that_was_not_lent(void **state)
{
    struct desk *desk = *state;

    assert_int_equal(ask(desk, 0), PERMIT_QUEUED);
    lends_for_good(desk, 2);
    assert_int_equal(desk->tickets[0].permit.state, PERMIT_HELD);
    assert_int_equal(ask(desk, 1), PERMIT_GRANTED);
    assert_int_equal(ask(desk, 2), PERMIT_QUEUED);
}

static void who_lends_is_told_of_calls_that_were_cut_a_moment_ago(void **state)
{
    struct desk *desk = *state;
    int64_t noted_ns = pool_lease_clock_ns();

    lends_for_good(desk, 2);
    assert_int_equal(desk->news.cuts, 0);
    assert_int_equal(desk->news.cuts_next_ns, INT64_MAX);
    assert_int_equal(ask(desk, 0), PERMIT_GRANTED);
    pool_note_cut(&desk->pool, NS_PER_S / 2);
    pool_give_back(&desk->pool, &desk->tickets[0]);
    lends_for_good(desk, 2);
    assert_int_equal(desk->news.held, 0);
    assert_int_equal(desk->news.cuts, 1);
    assert_in_range(desk->news.cuts_next_ns, noted_ns + NS_PER_S, pool_lease_clock_ns() + NS_PER_S);
}

static void its_size_is_the_most_whatever_is_lent(void **state)
{
    struct desk *desk = *state;

    lends_for_good(desk, 100);
    for (int i = 0; i < 5; i++)
        assert_int_equal(ask(desk, i), PERMIT_GRANTED);
    assert_int_equal(ask(desk, 5), PERMIT_QUEUED);
}

static void a_lease_that_is_over_grants_nothing_more_though_nobody_has_said_so(void **state)
{
    struct desk *desk = *state;

    lends(desk, (struct pool_lease){.size = 3, .until_ns = pool_lease_clock_ns() - 1, .after = 1});
    assert_int_equal(ask(desk, 0), PERMIT_GRANTED);
    assert_int_equal(ask(desk, 1), PERMIT_QUEUED);
    pool_give_back(&desk->pool, &desk->tickets[0]);
    assert_int_equal(desk->tickets[1].permit.state, PERMIT_HELD);
}

static void a_permit_that_comes_back_after_the_lease_goes_to_no_waiter(void **state)
{
    struct desk *desk = *state;

    lends_for_good(desk, 1);
    assert_int_equal(ask(desk, 0), PERMIT_GRANTED);
    assert_int_equal(ask(desk, 1), PERMIT_QUEUED);
    lends(desk, (struct pool_lease){.size = 1, .until_ns = pool_lease_clock_ns() - 1});
    pool_give_back(&desk->pool, &desk->tickets[0]);
    assert_int_equal(desk->tickets[1].permit.state, PERMIT_WAITING);
    assert_int_equal(pool_figures(&desk->pool).held, 0);
}

static void a_lease_that_shrinks_takes_nobodys_permit(void **state)
{
    struct desk *desk = *state;

    lends_for_good(desk, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask(desk, i), PERMIT_GRANTED);
    assert_int_equal(ask(desk, 3), PERMIT_QUEUED);
    lends_for_good(desk, 1);
    pool_give_back(&desk->pool, &desk->tickets[0]);
    pool_give_back(&desk->pool, &desk->tickets[1]);
    assert_int_equal(desk->tickets[3].permit.state, PERMIT_WAITING);
    assert_int_equal(pool_figures(&desk->pool).held, 1);
    pool_give_back(&desk->pool, &desk->tickets[2]);
    assert_int_equal(desk->tickets[3].permit.state, PERMIT_HELD);
}

static void the_lender_is_asked_once_when_somebody_finds_no_permit_free(void **state)
{
    struct desk *desk = *state;

    lends_for_good(desk, 1);
    assert_int_equal(ask(desk, 0), PERMIT_GRANTED);
    mailbox_deliver(&desk->rig.loop.mailbox);
    assert_int_equal(desk->asked, 0);
    assert_int_equal(ask(desk, 1), PERMIT_QUEUED);
    assert_int_equal(ask(desk, 2), PERMIT_QUEUED);
    mailbox_deliver(&desk->rig.loop.mailbox);
    assert_int_equal(desk->asked, 1);
    lends_for_good(desk, 1);
    assert_int_equal(desk->news.waiting, 2);
    assert_int_equal(ask(desk, 3), PERMIT_QUEUED);
    mailbox_deliver(&desk->rig.loop.mailbox);
    assert_int_equal(desk->asked, 2);
}

static void the_lender_hears_of_permits_that_come_back_while_it_listens_or_wants_some(void **state)
{
    struct desk *desk = *state;

    lends_for_good(desk, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask(desk, i), PERMIT_GRANTED);
    pool_give_back(&desk->pool, &desk->tickets[0]);
    mailbox_deliver(&desk->rig.loop.mailbox);
    assert_int_equal(desk->asked, 0);
    lends_for_good(desk, 1); /* two are held */
    pool_give_back(&desk->pool, &desk->tickets[1]);
    mailbox_deliver(&desk->rig.loop.mailbox);
    assert_int_equal(desk->asked, 1);
    lends(desk, (struct pool_lease){.size = 1, .until_ns = NS_NEVER, .listens = true});
    pool_give_back(&desk->pool, &desk->tickets[2]);
    mailbox_deliver(&desk->rig.loop.mailbox);
    assert_int_equal(desk->asked, 2);
}

static void the_lender_sees_the_peak_since_it_last_looked(void **state)
{
    struct desk *desk = *state;

    lends_for_good(desk, 5);
    for (int i = 0; i < 4; i++)
        assert_int_equal(ask(desk, i), PERMIT_GRANTED);
    for (int i = 0; i < 3; i++)
        pool_give_back(&desk->pool, &desk->tickets[i]);
    lends_for_good(desk, 5);
    assert_int_equal(desk->news.peak, 4);
    assert_int_equal(desk->news.held, 1);
    assert_true(desk->news.started);
    lends_for_good(desk, 5);
    assert_int_equal(desk->news.peak, 1);
    assert_false(desk->news.started);
    assert_int_equal(pool_figures(&desk->pool).held_peak, 4);
}

static void a_pool_that_is_leased_no_more_has_its_size_again(void **state)
{
    struct desk *desk = *state;
    struct pool_terms terms = {.size = 2, .queue_size = 5, .rate_burst = 1};

    assert_int_equal(ask(desk, 0), PERMIT_QUEUED);
    assert_int_equal(ask(desk, 1), PERMIT_QUEUED);
    pool_set(&desk->pool, &terms);
    assert_int_equal(desk->tickets[1].permit.state, PERMIT_HELD);
    terms.is_leased = true;
    pool_set(&desk->pool, &terms);
    pool_give_back(&desk->pool, &desk->tickets[0]);
    assert_int_equal(ask(desk, 2), PERMIT_QUEUED);
}

static void a_pool_that_begins_anew_has_not_heard_that_nothing_is_lent(void **state)
{
    struct desk *desk = *state;
    struct pool_terms terms = {.size = 5, .queue_size = 5, .rate_burst = 1, .is_leased = true};

    lends(desk, (struct pool_lease){.until_ns = NS_NEVER, .is_void = true});
    pool_set(&desk->pool, &terms);
    assert_true(pool_is_void(&desk->pool));
    pool_restart(&desk->pool, &terms);
    assert_false(pool_is_void(&desk->pool));
}

static void a_lender_that_has_gone_is_not_asked(void **state)
{
    struct desk *desk = *state;

    assert_int_equal(ask(desk, 0), PERMIT_QUEUED);
    pool_drop_lender(&desk->pool);
    assert_int_equal(ask(desk, 1), PERMIT_QUEUED);
    mailbox_deliver(&desk->rig.loop.mailbox);
    assert_int_equal(desk->asked, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_granted_that_was_not_lent),
        TEST(who_lends_is_told_of_calls_that_were_cut_a_moment_ago),
        TEST(its_size_is_the_most_whatever_is_lent),
        TEST(a_lease_that_is_over_grants_nothing_more_though_nobody_has_said_so),
        TEST(a_permit_that_comes_back_after_the_lease_goes_to_no_waiter),
        TEST(a_lease_that_shrinks_takes_nobodys_permit),
        TEST(the_lender_is_asked_once_when_somebody_finds_no_permit_free),
        TEST(the_lender_hears_of_permits_that_come_back_while_it_listens_or_wants_some),
        TEST(the_lender_sees_the_peak_since_it_last_looked),
        TEST(a_pool_that_is_leased_no_more_has_its_size_again),
        TEST(a_pool_that_begins_anew_has_not_heard_that_nothing_is_lent),
        TEST(a_lender_that_has_gone_is_not_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
