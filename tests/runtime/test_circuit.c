/* A circuit on one thread, and as far as that shows it between two; tests/stress has what many threads make of it. */
#include "support.h"

#include <string.h>

#include "base/mem.h"
#include "core/verdict.h"
#include "runtime/circuit.h"

#define S INT64_C(1000000000)

static const struct breaker_terms terms = {
    .failures = 3,
    .ratio_percent = 50,
    .volume = 20,
    .window_ns = 10 * S,
    .open_ns = 1 * S,
    .open_max_ns = 2 * S,
    .probes = 1,
    .verdict_ns = 5 * S,
};

/* Two loops, of which the second does not run: its mails stay in its box. */
struct bench {
    struct rig rig;
    struct loop other;
    struct loop *loops[2];
    struct circuit circuit;
    struct breaker_pass pass;
    struct circuit_news news;
    int64_t now_ns;
    uint32_t told;
};

static struct bench *the_bench;

static void opened(struct circuit *circuit, struct loop *loop)
{
    assert_ptr_equal(circuit, &the_bench->circuit);
    assert_ptr_equal(loop, &the_bench->rig.loop);
    the_bench->told++;
}

static int set_up(void **state)
{
    struct bench *bench = test_calloc(1, sizeof(*bench));

    rig_init(&bench->rig);
    assert_int_equal(loop_init(&bench->other, 1), ST_OK);
    bench->loops[0] = &bench->rig.loop;
    bench->loops[1] = &bench->other;
    assert_int_equal(circuit_init(&bench->circuit, 1, bench->loops, 2, opened), ST_OK);
    circuit_set(&bench->circuit, &terms, false);
    bench->now_ns = 100 * S;
    *state = the_bench = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;

    circuit_recall(&bench->circuit);
    circuit_fini(&bench->circuit);
    loop_fini(&bench->other);
    rig_fini(&bench->rig);
    test_free(bench);
    return 0;
}

static uint32_t mails;

static void reported(struct mail *mail)
{
    assert_ptr_equal(mail, &the_bench->circuit.news);
    mails++;
}

static enum breaker_answer ask(struct bench *bench)
{
    return circuit_ask(&bench->circuit, &bench->rig.loop, bench->now_ns, &bench->pass, &bench->news);
}

static bool tell(struct bench *bench, enum verdict verdict)
{
    return circuit_tell(&bench->circuit, &bench->rig.loop, verdict, false, bench->now_ns, &bench->pass,
                        &bench->news);
}

static void open_it(struct bench *bench)
{
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask(bench), BREAKER_LETS);
        assert_int_equal(tell(bench, VERDICT_BAD), i == 2);
    }
}

static uint32_t none(void *arg)
{
    (void)arg;
    return 0;
}

static uint32_t live_probes(void *arg)
{
    struct bench *bench = arg;

    return circuit_is_live_probe_locked(&bench->circuit, &bench->pass);
}

static void closed_it_lets_in_and_counts_without_the_lock(void **state)
{
    struct bench *bench = *state;

    pthread_mutex_lock(&bench->circuit.lock); /* who needs it would wait for ever */
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(ask(bench), BREAKER_LETS);
        assert_false(tell(bench, VERDICT_GOOD));
        assert_false(tell(bench, VERDICT_NEUTRAL));
    }
    pthread_mutex_unlock(&bench->circuit.lock);
}

static void it_opens_says_so_and_refuses(void **state)
{
    struct bench *bench = *state;

    open_it(bench);
    assert_true(bench->news.opened);
    assert_int_equal(bench->news.state, BREAKER_OPEN);
    assert_int_equal(bench->news.reason, BREAKER_CONSECUTIVE);
    assert_int_equal(ask(bench), BREAKER_REFUSES);
    assert_false(bench->news.opened);
    assert_in_range(bench->news.left_ns, S / 10 * 9, S / 10 * 11);
    assert_int_equal(circuit_look(&bench->circuit, bench->now_ns).state, BREAKER_OPEN);
    assert_int_equal(circuit_generation(&bench->circuit), 2);
}

static void goods_of_all_loops_count_in_the_ratio(void **state)
{
    struct bench *bench = *state;
    struct breaker_terms other = terms;

    other.failures = 1000;
    circuit_set(&bench->circuit, &other, false);
    for (int i = 0; i < 15; i++) {
        struct breaker_pass pass = {.generation = 1};

        (void)circuit_tell(&bench->circuit, &bench->other, VERDICT_GOOD, false, bench->now_ns, &pass,
                           &bench->news);
        assert_int_equal(ask(bench), BREAKER_LETS);
        (void)tell(bench, VERDICT_GOOD);
    }
    for (int i = 0; i < 29; i++) {
        assert_int_equal(ask(bench), BREAKER_LETS);
        assert_false(tell(bench, VERDICT_BAD));
    }
    assert_int_equal(ask(bench), BREAKER_LETS);
    assert_true(tell(bench, VERDICT_BAD));
    assert_int_equal(bench->news.reason, BREAKER_RATIO);
}

static void a_good_verdict_after_a_bad_one_counts_and_calms(void **state)
{
    struct bench *bench = *state;

    for (int i = 0; i < 10; i++) {
        assert_int_equal(ask(bench), BREAKER_LETS);
        assert_false(tell(bench, VERDICT_BAD));
        assert_int_equal(bench->circuit.gate & CIRCUIT_CALM, 0);
        assert_int_equal(ask(bench), BREAKER_LETS);
        assert_false(tell(bench, VERDICT_GOOD));
        assert_int_equal(bench->circuit.gate & CIRCUIT_CALM, CIRCUIT_CALM);
        bench->now_ns += 11 * S;
    }
}

static void every_loop_is_told_by_mail_once_for_each_opening(void **state)
{
    struct bench *bench = *state;

    open_it(bench);
    assert_int_equal(bench->told, 0);
    bench->now_ns += 2 * S;
    assert_int_equal(ask(bench), BREAKER_PROBES);
    assert_true(tell(bench, VERDICT_BAD)); /* again, before the mails of the first time were read */
    mailbox_deliver(&bench->rig.loop.mailbox);
    assert_int_equal(bench->told, 1);
    bench->now_ns += 3 * S;
    assert_int_equal(ask(bench), BREAKER_PROBES);
    assert_true(tell(bench, VERDICT_BAD));
    mailbox_deliver(&bench->rig.loop.mailbox);
    assert_int_equal(bench->told, 2);
    assert_false(list_is_empty(&bench->other.mailbox.mails));
    circuit_recall(&bench->circuit);
    assert_true(list_is_empty(&bench->other.mailbox.mails));
}

static void a_probe_whose_time_is_up_opens_it_when_somebody_asks(void **state)
{
    struct bench *bench = *state;
    struct breaker_pass probe;

    open_it(bench);
    bench->now_ns += 2 * S;
    assert_int_equal(ask(bench), BREAKER_PROBES);
    probe = bench->pass;
    bench->now_ns += 5 * S;
    assert_int_equal(ask(bench), BREAKER_REFUSES);
    assert_true(bench->news.opened);
    assert_int_equal(circuit_generation(&bench->circuit), 3);
    bench->pass = probe;
    assert_false(tell(bench, VERDICT_GOOD));
    assert_int_equal(circuit_look(&bench->circuit, bench->now_ns).state, BREAKER_OPEN);
}

static void its_home_hears_once_that_it_opened_and_once_that_it_closed(void **state)
{
    struct bench *bench = *state;
    struct circuit_report report;

    mails = 0;
    circuit_report_to(&bench->circuit, &bench->rig.loop.mailbox, reported);
    open_it(bench);
    for (int i = 0; i < 3; i++) { /* a bad probe opens it anew */
        bench->now_ns += 3 * S;
        assert_int_equal(ask(bench), BREAKER_PROBES);
        assert_true(tell(bench, VERDICT_BAD));
    }
    mailbox_deliver(&bench->rig.loop.mailbox);
    assert_int_equal(mails, 1);
    report = circuit_take_report(&bench->circuit);
    assert_int_equal(report.openings, 1);
    assert_int_equal(report.closings, 0);
    bench->now_ns += 3 * S;
    assert_int_equal(ask(bench), BREAKER_PROBES);
    assert_false(tell(bench, VERDICT_GOOD));
    mailbox_deliver(&bench->rig.loop.mailbox);
    assert_int_equal(mails, 2);
    report = circuit_take_report(&bench->circuit);
    assert_int_equal(report.openings, 0);
    assert_int_equal(report.closings, 1);
    open_it(bench); /* and nobody reads it: the mail is taken back */
}

static void the_audit_compares_places_with_live_probes(void **state)
{
    struct bench *bench = *state;

    assert_true(circuit_audit(&bench->circuit, &bench->rig.loop, none, NULL));
    open_it(bench);
    bench->now_ns += 2 * S;
    assert_int_equal(ask(bench), BREAKER_PROBES);
    assert_false(circuit_audit(&bench->circuit, &bench->rig.loop, none, NULL));
    assert_true(circuit_audit(&bench->circuit, &bench->rig.loop, live_probes, bench));
    assert_false(tell(bench, VERDICT_NEUTRAL));
    assert_true(circuit_audit(&bench->circuit, &bench->rig.loop, live_probes, bench));
    assert_int_equal(ask(bench), BREAKER_PROBES);
    assert_false(tell(bench, VERDICT_GOOD));
    assert_true(circuit_audit(&bench->circuit, &bench->rig.loop, live_probes, bench));
    assert_int_equal(ask(bench), BREAKER_LETS);
}

static void new_terms_are_in_force_at_once_and_another_api_begins_anew(void **state)
{
    struct bench *bench = *state;
    struct breaker_terms strict = terms;

    strict.failures = 1;
    circuit_set(&bench->circuit, &strict, false);
    assert_int_equal(ask(bench), BREAKER_LETS);
    assert_true(tell(bench, VERDICT_BAD));
    circuit_set(&bench->circuit, &terms, false);
    assert_int_equal(ask(bench), BREAKER_REFUSES);
    circuit_set(&bench->circuit, &terms, true);
    assert_int_equal(ask(bench), BREAKER_LETS);
    assert_int_equal(circuit_generation(&bench->circuit), 3);
}

static bool always(void *arg, size_t size)
{
    (void)arg, (void)size;
    return true;
}

static void without_memory_there_is_none(void **state)
{
    struct circuit circuit;
    struct bench *bench = *state;

    mem_set_fault(always, NULL);
    assert_int_equal(circuit_init(&circuit, 1, bench->loops, 2, opened), ST_NOMEM);
    mem_set_fault(NULL, NULL);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(closed_it_lets_in_and_counts_without_the_lock),
        test(it_opens_says_so_and_refuses),
        test(goods_of_all_loops_count_in_the_ratio),
        test(a_good_verdict_after_a_bad_one_counts_and_calms),
        test(its_home_hears_once_that_it_opened_and_once_that_it_closed),
        test(every_loop_is_told_by_mail_once_for_each_opening),
        test(a_probe_whose_time_is_up_opens_it_when_somebody_asks),
        test(the_audit_compares_places_with_live_probes),
        test(new_terms_are_in_force_at_once_and_another_api_begins_anew),
        test(without_memory_there_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
