#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/breaker.h"

#define MS INT64_C(1000000)
#define S  (1000 * MS)

static const struct breaker_terms terms = {
    .failures = 5,
    .ratio_percent = 50,
    .volume = 20,
    .window_ns = 10 * S,
    .open_ns = 1 * S,
    .open_max_ns = 2 * S,
    .probes = 1,
    .verdict_ns = 5 * S,
};

/* A breaker, its clock, and the good verdicts beside it. */
struct bench {
    struct breaker breaker;
    struct breaker_terms terms;
    struct breaker_window goods;
    int64_t now_ns;
};

static void start(struct bench *bench)
{
    *bench = (struct bench){.terms = terms, .now_ns = 100 * S};
    breaker_init(&bench->breaker, 42);
}

static enum breaker_answer ask(struct bench *bench, struct breaker_pass *pass)
{
    enum breaker_answer answer = breaker_ask(&bench->breaker, &bench->terms, 0, bench->now_ns, pass);

    assert_true(breaker_is_sound(&bench->breaker));
    return answer;
}

static void good(struct bench *bench, struct breaker_pass *pass)
{
    if (bench->breaker.state == BREAKER_CLOSED && pass->generation == bench->breaker.generation)
        breaker_window_count(&bench->goods, bench->terms.window_ns, pass->generation, bench->now_ns);
    breaker_good(&bench->breaker, pass);
    assert_true(breaker_is_sound(&bench->breaker));
}

static void bad(struct bench *bench, struct breaker_pass *pass)
{
    uint64_t goods =
        breaker_window_sum(&bench->goods, bench->terms.window_ns, bench->breaker.generation, bench->now_ns);

    breaker_bad(&bench->breaker, &bench->terms, goods, bench->now_ns, pass);
    assert_true(breaker_is_sound(&bench->breaker));
}

static void neutral(struct bench *bench, bool asks_for_less, struct breaker_pass *pass)
{
    breaker_neutral(&bench->breaker, &bench->terms, asks_for_less, bench->now_ns, pass);
    assert_true(breaker_is_sound(&bench->breaker));
}

/* Lets a call in and has it end in this way; the state after that. */
static enum breaker_state try_good(struct bench *bench)
{
    struct breaker_pass pass;

    assert_int_not_equal(ask(bench, &pass), BREAKER_REFUSES);
    good(bench, &pass);
    return bench->breaker.state;
}

static enum breaker_state try_bad(struct bench *bench)
{
    struct breaker_pass pass;

    assert_int_not_equal(ask(bench, &pass), BREAKER_REFUSES);
    bad(bench, &pass);
    return bench->breaker.state;
}

static void open_it(struct bench *bench)
{
    for (uint32_t i = 0; i < bench->terms.failures; i++)
        (void)try_bad(bench);
    assert_int_equal(bench->breaker.state, BREAKER_OPEN);
}

static void half_open_it(struct bench *bench, struct breaker_pass *probe)
{
    open_it(bench);
    bench->now_ns = bench->breaker.until_ns;
    assert_int_equal(ask(bench, probe), BREAKER_PROBES);
    assert_int_equal(bench->breaker.state, BREAKER_HALF);
}

/* ---- CLOSED ---------------------------------------------------------------------------------------------- */

static void it_is_closed_at_first_and_lets_everybody_in(void **state)
{
    struct bench bench;
    struct breaker_pass pass;

    (void)state;
    start(&bench);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(ask(&bench, &pass), BREAKER_LETS);
    assert_int_equal(pass.place, 0);
    assert_int_equal(pass.generation, 1);
    assert_int_equal(breaker_left_ns(&bench.breaker, bench.now_ns), 0);
}

static void it_opens_at_the_last_of_the_failures_in_a_row(void **state)
{
    struct bench bench;

    (void)state;
    start(&bench);
    for (int i = 0; i < 4; i++)
        assert_int_equal(try_bad(&bench), BREAKER_CLOSED);
    assert_int_equal(try_bad(&bench), BREAKER_OPEN);
    assert_int_equal(bench.breaker.reason, BREAKER_CONSECUTIVE);
    assert_int_equal(bench.breaker.generation, 2);
}

static void one_failure_may_be_enough(void **state)
{
    struct bench bench;

    (void)state;
    start(&bench);
    bench.terms.failures = 1;
    assert_int_equal(try_bad(&bench), BREAKER_OPEN);
}

static void a_good_one_begins_the_row_anew(void **state)
{
    struct bench bench;

    (void)state;
    start(&bench);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 4; i++)
            assert_int_equal(try_bad(&bench), BREAKER_CLOSED);
        bench.now_ns += 30 * S; /* out of the window: the ratio has no say */
        assert_int_equal(try_good(&bench), BREAKER_CLOSED);
    }
}

static void neutral_ones_neither_add_to_the_row_nor_end_it(void **state)
{
    struct bench bench;
    struct breaker_pass pass;

    (void)state;
    start(&bench);
    for (int i = 0; i < 1000; i++) { /* B1 */
        assert_int_equal(ask(&bench, &pass), BREAKER_LETS);
        neutral(&bench, i % 2 != 0, &pass);
        assert_int_equal(bench.breaker.state, BREAKER_CLOSED);
    }
    for (int i = 0; i < 5; i++) {
        assert_int_equal(ask(&bench, &pass), BREAKER_LETS);
        neutral(&bench, false, &pass);
        (void)try_bad(&bench);
    }
    assert_int_equal(bench.breaker.state, BREAKER_OPEN);
}

/* B6: one call a minute is enough, however short the window. */
static void a_row_needs_no_window(void **state)
{
    struct bench bench;

    (void)state;
    start(&bench);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(try_bad(&bench), BREAKER_CLOSED);
        bench.now_ns += 60 * S;
    }
    assert_int_equal(try_bad(&bench), BREAKER_OPEN);
}

static void a_few_bad_among_many_good_open_nothing(void **state)
{
    struct bench bench;

    (void)state;
    start(&bench);
    for (int i = 0; i < 1000; i++) {
        enum breaker_state now = i % 250 == 249 ? try_bad(&bench) : try_good(&bench);

        assert_int_equal(now, BREAKER_CLOSED);
        bench.now_ns += 5 * MS;
    }
}

static void it_opens_when_the_ratio_is_reached_and_not_before(void **state)
{
    struct bench bench;

    (void)state;
    start(&bench);
    bench.terms.failures = 1000;
    for (int i = 0; i < 51; i++)
        assert_int_equal(try_good(&bench), BREAKER_CLOSED);
    for (int i = 0; i < 50; i++)
        assert_int_equal(try_bad(&bench), BREAKER_CLOSED);
    assert_int_equal(try_bad(&bench), BREAKER_OPEN);
    assert_int_equal(bench.breaker.reason, BREAKER_RATIO);
}

static void below_the_volume_the_ratio_says_nothing(void **state)
{
    struct bench bench;

    (void)state;
    start(&bench);
    bench.terms.failures = 1000;
    for (int i = 0; i < 19; i++)
        assert_int_equal(try_bad(&bench), BREAKER_CLOSED);
    assert_int_equal(try_bad(&bench), BREAKER_OPEN);
    assert_int_equal(bench.breaker.reason, BREAKER_RATIO);
}

static void the_ratio_is_that_of_the_window(void **state)
{
    struct bench bench;

    (void)state;
    start(&bench);
    bench.terms.failures = 1000;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(try_good(&bench), BREAKER_CLOSED);
    for (int i = 0; i < 19; i++)
        assert_int_equal(try_bad(&bench), BREAKER_CLOSED);
    bench.now_ns += 9 * S - 1; /* all of it is in the window still */
    assert_int_equal(try_bad(&bench), BREAKER_CLOSED);
    bench.now_ns += 1 * S + 1; /* and now only the last one is */
    for (int i = 0; i < 18; i++)
        assert_int_equal(try_bad(&bench), BREAKER_CLOSED);
    assert_int_equal(try_bad(&bench), BREAKER_OPEN);
}

static void a_ratio_of_all_needs_all(void **state)
{
    struct bench bench;

    (void)state;
    start(&bench);
    bench.terms.failures = UINT32_MAX;
    bench.terms.ratio_percent = 100;
    assert_int_equal(try_good(&bench), BREAKER_CLOSED);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(try_bad(&bench), BREAKER_CLOSED);
}

/* ---- the window ------------------------------------------------------------------------------------------ */

static void a_window_forgets_by_tenths(void **state)
{
    struct breaker_window window = {0};

    (void)state;
    for (int i = 0; i < 10; i++)
        breaker_window_count(&window, 10 * S, 1, i * S);
    assert_int_equal(breaker_window_sum(&window, 10 * S, 1, 9 * S), 10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(breaker_window_sum(&window, 10 * S, 1, (10 + i) * S), 9 - i);
    breaker_window_count(&window, 10 * S, 1, 23 * S);
    assert_int_equal(breaker_window_sum(&window, 10 * S, 1, 23 * S), 1);
}

static void a_window_knows_generations_apart(void **state)
{
    struct breaker_window window = {0};

    (void)state;
    breaker_window_count(&window, 10 * S, 1, 5 * S);
    assert_int_equal(breaker_window_sum(&window, 10 * S, 2, 5 * S), 0);
    breaker_window_count(&window, 10 * S, 2, 5 * S);
    assert_int_equal(breaker_window_sum(&window, 10 * S, 2, 5 * S), 1);
    assert_int_equal(breaker_window_sum(&window, 10 * S, 1, 5 * S), 0);
}

static void what_comes_a_little_late_is_counted_in_the_latest_tenth(void **state)
{
    struct breaker_window window = {0};

    (void)state;
    breaker_window_count(&window, 10 * S, 1, 5 * S);
    breaker_window_count(&window, 10 * S, 1, 5 * S - 1);
    assert_int_equal(breaker_window_sum(&window, 10 * S, 1, 14 * S), 2);
    assert_int_equal(breaker_window_sum(&window, 10 * S, 1, 15 * S), 0);
}

static void a_bad_one_that_comes_a_little_late_opens_it_at_once(void **state)
{
    struct bench bench;

    (void)state;
    start(&bench);
    bench.terms.failures = 1000;
    assert_int_equal(try_bad(&bench), BREAKER_CLOSED);
    bench.now_ns--; /* of another worker, whose turn began before a tenth did */
    for (uint32_t i = 2; i < bench.terms.volume; i++)
        assert_int_equal(try_bad(&bench), BREAKER_CLOSED);
    assert_int_equal(try_bad(&bench), BREAKER_OPEN);
}

static void a_window_without_counts_is_empty_at_any_time(void **state)
{
    struct breaker_window window = {0};

    (void)state;
    assert_int_equal(breaker_window_sum(&window, 10 * S, 1, 0), 0);
    assert_int_equal(breaker_window_sum(&window, 10 * S, 1, INT64_MAX), 0);
    assert_int_equal(breaker_window_sum(&window, 1, 1, 7), 0);
    breaker_window_count(&window, 1, 1, 7); /* a nanosecond has no tenths */
    assert_int_equal(breaker_window_sum(&window, 1, 1, 7), 1);
    assert_int_equal(breaker_window_sum(&window, 1, 1, 17), 0);
}

/* ---- OPEN ------------------------------------------------------------------------------------------------ */

static void open_it_refuses_until_its_time_is_over(void **state)
{
    struct bench bench;
    struct breaker_pass pass = {7, 7};

    (void)state;
    start(&bench);
    open_it(&bench);
    assert_int_equal(breaker_left_ns(&bench.breaker, bench.now_ns), bench.breaker.until_ns - bench.now_ns);
    assert_int_equal(ask(&bench, &pass), BREAKER_REFUSES);
    assert_int_equal(pass.generation, 0);
    assert_int_equal(pass.place, 0);
    bench.now_ns = bench.breaker.until_ns - 1;
    assert_int_equal(ask(&bench, &pass), BREAKER_REFUSES);
    assert_int_equal(breaker_left_ns(&bench.breaker, bench.now_ns), 1);
    bench.now_ns++;
    assert_int_equal(ask(&bench, &pass), BREAKER_PROBES);
}

static void it_says_whether_it_would_let_a_call_in_and_changes_nothing(void **state)
{
    struct bench bench;
    struct breaker_pass pass;

    (void)state;
    start(&bench);
    assert_true(breaker_would_let(&bench.breaker, &bench.terms, bench.now_ns));
    open_it(&bench);
    bench.now_ns = bench.breaker.until_ns - 1;
    assert_false(breaker_would_let(&bench.breaker, &bench.terms, bench.now_ns));
    bench.now_ns++;
    assert_true(breaker_would_let(&bench.breaker, &bench.terms, bench.now_ns));
    assert_int_equal(bench.breaker.state, BREAKER_OPEN);
    assert_int_equal(ask(&bench, &pass), BREAKER_PROBES);
    assert_false(breaker_would_let(&bench.breaker, &bench.terms, bench.now_ns));
    neutral(&bench, false, &pass);
    assert_true(breaker_would_let(&bench.breaker, &bench.terms, bench.now_ns));
    assert_int_equal(breaker_places_of(&bench.breaker, 0), 0);
}

/* B4: results of before. */
static void verdicts_of_an_older_generation_change_nothing(void **state)
{
    struct bench bench;
    struct breaker_pass before[3], probe;
    struct breaker was;

    (void)state;
    start(&bench);
    for (int i = 0; i < 3; i++)
        (void)ask(&bench, &before[i]);
    half_open_it(&bench, &probe);
    was = bench.breaker;
    good(&bench, &before[0]);
    bad(&bench, &before[1]);
    neutral(&bench, true, &before[2]);
    assert_memory_equal(&was, &bench.breaker, sizeof(was));
    good(&bench, &probe);
    assert_int_equal(bench.breaker.state, BREAKER_CLOSED);
    for (int i = 0; i < 20; i++)
        bad(&bench, &before[1]);
    assert_int_equal(bench.breaker.state, BREAKER_CLOSED);
    assert_int_equal(bench.breaker.consecutive, 0);
}

static void verdicts_while_it_is_open_change_nothing(void **state)
{
    struct bench bench;
    struct breaker_pass before[4];
    struct breaker was;

    (void)state;
    start(&bench);
    for (int i = 0; i < 3; i++)
        (void)ask(&bench, &before[i]);
    open_it(&bench);
    was = bench.breaker;
    good(&bench, &before[0]);
    bad(&bench, &before[1]);
    neutral(&bench, true, &before[2]);
    before[3] = (struct breaker_pass){0}; /* of one who was let by, though it is open */
    good(&bench, &before[3]);
    bad(&bench, &before[3]);
    assert_memory_equal(&was, &bench.breaker, sizeof(was));
}

/* B10 */
static void the_open_time_varies_by_a_tenth_with_the_seed(void **state)
{
    int64_t least = INT64_MAX, most = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        struct bench bench;
        int64_t open_ns;

        start(&bench);
        breaker_init(&bench.breaker, seed * UINT64_C(0x9e3779b97f4a7c15));
        open_it(&bench);
        open_ns = bench.breaker.until_ns - bench.now_ns;
        assert_in_range(open_ns, 900 * MS, 1100 * MS);
        least = open_ns < least ? open_ns : least;
        most = open_ns > most ? open_ns : most;
    }
    assert_true(least < 905 * MS && most > 1095 * MS);
}

/* ---- HALF ------------------------------------------------------------------------------------------------ */

/* B3 */
static void half_open_there_are_as_many_probes_as_places(void **state)
{
    struct bench bench;
    struct breaker_pass pass;
    uint32_t let = 0;

    (void)state;
    for (uint32_t probes = 1; probes <= BREAKER_PROBES_MAX; probes++) {
        start(&bench);
        bench.terms.probes = probes;
        open_it(&bench);
        bench.now_ns = bench.breaker.until_ns;
        let = 0;
        for (int i = 0; i < 500; i++)
            let += ask(&bench, &pass) == BREAKER_PROBES;
        assert_int_equal(let, probes);
        assert_int_equal(breaker_places_of(&bench.breaker, 0), probes);
        assert_int_equal(breaker_left_ns(&bench.breaker, bench.now_ns), 0);
    }
}

static void a_good_probe_closes_it(void **state)
{
    struct bench bench;
    struct breaker_pass probe;

    (void)state;
    start(&bench);
    half_open_it(&bench, &probe);
    assert_true(breaker_is_live_probe(&bench.breaker, &probe));
    good(&bench, &probe);
    assert_int_equal(bench.breaker.state, BREAKER_CLOSED);
    assert_int_equal(bench.breaker.places, 0);
    assert_int_equal(bench.breaker.doublings, 0);
    assert_false(breaker_is_live_probe(&bench.breaker, &probe));
    for (int i = 0; i < 4; i++) /* counters are at zero */
        assert_int_equal(try_bad(&bench), BREAKER_CLOSED);
    assert_int_equal(try_bad(&bench), BREAKER_OPEN);
    assert_in_range(bench.breaker.until_ns - bench.now_ns, 900 * MS, 1100 * MS);
}

static void what_was_counted_before_it_opened_is_forgotten_when_it_closes(void **state)
{
    struct bench bench;

    (void)state;
    start(&bench);
    bench.terms.failures = 1000;
    for (int i = 0; i < 20; i++)
        (void)try_bad(&bench);
    assert_int_equal(bench.breaker.state, BREAKER_OPEN);
    bench.now_ns = bench.breaker.until_ns;
    assert_int_equal(try_good(&bench), BREAKER_CLOSED);
    for (int i = 0; i < 19; i++)
        assert_int_equal(try_bad(&bench), BREAKER_CLOSED);
}

static void each_opening_by_a_probe_is_twice_as_long_up_to_the_most(void **state)
{
    static const int64_t want[] = {1 * S, 2 * S, 4 * S, 8 * S, 10 * S, 10 * S};
    struct bench bench;

    (void)state;
    start(&bench);
    bench.terms.open_max_ns = 10 * S;
    open_it(&bench);
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        int64_t open_ns = bench.breaker.until_ns - bench.now_ns;

        assert_in_range(open_ns, want[i] / 10 * 9, want[i] / 10 * 11);
        assert_int_equal(bench.breaker.generation, 2 + i);
        bench.now_ns = bench.breaker.until_ns;
        assert_int_equal(try_bad(&bench), BREAKER_OPEN);
        assert_int_equal(bench.breaker.reason, BREAKER_CONSECUTIVE);
    }
}

static void a_hundred_openings_do_not_overflow(void **state)
{
    struct bench bench;

    (void)state;
    start(&bench);
    bench.terms.open_max_ns = 24 * 3600 * S;
    open_it(&bench);
    for (int i = 0; i < 100; i++) {
        bench.now_ns = bench.breaker.until_ns;
        assert_int_equal(try_bad(&bench), BREAKER_OPEN);
    }
    assert_in_range(bench.breaker.until_ns - bench.now_ns, 24 * 3600 * S / 10 * 9, 24 * 3600 * S / 10 * 11);
}

static void a_probe_that_is_asked_for_less_opens_it_again(void **state)
{
    struct bench bench;
    struct breaker_pass probe;

    (void)state;
    start(&bench);
    half_open_it(&bench, &probe);
    neutral(&bench, true, &probe);
    assert_int_equal(bench.breaker.state, BREAKER_OPEN);
    assert_int_equal(bench.breaker.doublings, 1);
}

/* B2: in whatever way a probe ends, its place is free again. */
static void a_neutral_probe_leaves_its_place_to_the_next_call(void **state)
{
    struct bench bench;
    struct breaker_pass probe, other;

    (void)state;
    start(&bench);
    half_open_it(&bench, &probe);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(ask(&bench, &other), BREAKER_REFUSES);
        neutral(&bench, false, &probe);
        assert_int_equal(bench.breaker.state, BREAKER_HALF);
        assert_int_equal(bench.breaker.places, 0);
        assert_int_equal(ask(&bench, &probe), BREAKER_PROBES);
    }
    good(&bench, &probe);
    assert_int_equal(bench.breaker.state, BREAKER_CLOSED);
}

static void a_verdict_is_given_once(void **state)
{
    struct bench bench;
    struct breaker_pass probe, next;

    (void)state;
    start(&bench);
    half_open_it(&bench, &probe);
    neutral(&bench, false, &probe);
    assert_int_equal(ask(&bench, &next), BREAKER_PROBES);
    neutral(&bench, false, &probe); /* again, by mistake: the place is another one's now */
    assert_int_equal(bench.breaker.places, 1);
    bad(&bench, &probe);
    assert_int_equal(bench.breaker.state, BREAKER_HALF);
    assert_true(breaker_is_live_probe(&bench.breaker, &next));
}

/* B5 */
static void a_hung_probe_holds_nobody_off_beyond_its_time(void **state)
{
    struct bench bench;
    struct breaker_pass probe, other;
    int64_t asked_ns;

    (void)state;
    start(&bench);
    half_open_it(&bench, &probe);
    asked_ns = bench.now_ns;
    bench.now_ns = asked_ns + 5 * S - 1;
    assert_int_equal(ask(&bench, &other), BREAKER_REFUSES);
    assert_int_equal(bench.breaker.state, BREAKER_HALF);
    bench.now_ns++;
    assert_int_equal(ask(&bench, &other), BREAKER_REFUSES);
    assert_int_equal(bench.breaker.state, BREAKER_OPEN);
    assert_int_equal(bench.breaker.doublings, 1);
    assert_in_range(bench.breaker.until_ns, asked_ns + 5 * S + 1800 * MS, asked_ns + 5 * S + 2200 * MS);
    bench.now_ns = bench.breaker.until_ns;
    assert_int_equal(ask(&bench, &other), BREAKER_PROBES);
    good(&bench, &probe); /* at last; it is of before */
    assert_int_equal(bench.breaker.state, BREAKER_HALF);
    good(&bench, &other);
    assert_int_equal(bench.breaker.state, BREAKER_CLOSED);
}

static void with_calls_that_are_rare_the_next_one_is_the_next_probe(void **state)
{
    struct bench bench;
    struct breaker_pass probe, other;

    (void)state;
    start(&bench);
    half_open_it(&bench, &probe);
    bench.now_ns += 60 * S; /* it has opened and its time has passed, with nobody there to see it */
    assert_int_equal(ask(&bench, &other), BREAKER_PROBES);
    assert_int_equal(bench.breaker.generation, 3);
    assert_false(breaker_is_live_probe(&bench.breaker, &probe));
    assert_int_equal(bench.breaker.places, 1);
}

static void of_several_probes_the_oldest_counts_for_the_time(void **state)
{
    struct bench bench;
    struct breaker_pass first, second, other;

    (void)state;
    start(&bench);
    bench.terms.probes = 2;
    half_open_it(&bench, &first);
    bench.now_ns += 3 * S;
    assert_int_equal(ask(&bench, &second), BREAKER_PROBES);
    neutral(&bench, false, &first);
    bench.now_ns += 3 * S; /* the first one's time would be up */
    assert_int_equal(ask(&bench, &other), BREAKER_PROBES);
    assert_int_equal(bench.breaker.state, BREAKER_HALF);
    bench.now_ns += 2 * S; /* and now the second one's is */
    assert_int_equal(ask(&bench, &first), BREAKER_REFUSES);
    assert_int_equal(bench.breaker.state, BREAKER_OPEN);
}

static void the_verdict_of_a_second_probe_counts_as_any_when_the_first_has_closed_it(void **state)
{
    struct bench bench;
    struct breaker_pass first, second;

    (void)state;
    start(&bench);
    bench.terms.probes = 2;
    half_open_it(&bench, &first);
    assert_int_equal(ask(&bench, &second), BREAKER_PROBES);
    good(&bench, &first);
    bad(&bench, &second);
    assert_int_equal(bench.breaker.state, BREAKER_CLOSED);
    assert_int_equal(bench.breaker.consecutive, 1);
    bad(&bench, &first); /* a cut after its good head is bad in its own right */
    assert_int_equal(bench.breaker.consecutive, 2);
}

/* ---- at large -------------------------------------------------------------------------------------------- */

static void begun_anew_it_is_closed_and_knows_nobody(void **state)
{
    struct bench bench;
    struct breaker_pass probe;

    (void)state;
    start(&bench);
    half_open_it(&bench, &probe);
    breaker_restart(&bench.breaker);
    assert_true(breaker_is_sound(&bench.breaker));
    assert_int_equal(bench.breaker.state, BREAKER_CLOSED);
    assert_int_equal(bench.breaker.generation, 3);
    for (int i = 0; i < 10; i++)
        bad(&bench, &probe);
    assert_int_equal(bench.breaker.state, BREAKER_CLOSED);
    assert_int_equal(bench.breaker.consecutive, 0);
}

static void fewer_places_after_a_reload_are_fewer_probes(void **state)
{
    struct bench bench;
    struct breaker_pass probe, others[3];

    (void)state;
    start(&bench);
    bench.terms.probes = 3;
    half_open_it(&bench, &probe);
    assert_int_equal(ask(&bench, &others[0]), BREAKER_PROBES);
    assert_int_equal(ask(&bench, &others[1]), BREAKER_PROBES);
    bench.terms.probes = 1;
    neutral(&bench, false, &probe);
    assert_int_equal(ask(&bench, &others[2]), BREAKER_REFUSES);
    neutral(&bench, false, &others[0]);
    assert_int_equal(ask(&bench, &others[2]), BREAKER_REFUSES);
    neutral(&bench, false, &others[1]);
    assert_int_equal(ask(&bench, &others[2]), BREAKER_PROBES);
}

static void places_are_counted_by_worker(void **state)
{
    struct bench bench;
    struct breaker_pass probe, other;

    (void)state;
    start(&bench);
    bench.terms.probes = 2;
    half_open_it(&bench, &probe);
    assert_int_equal(breaker_ask(&bench.breaker, &bench.terms, 3, bench.now_ns, &other), BREAKER_PROBES);
    assert_int_equal(breaker_places_of(&bench.breaker, 0), 1);
    assert_int_equal(breaker_places_of(&bench.breaker, 3), 1);
    assert_int_equal(breaker_places_of(&bench.breaker, 1), 0);
    bench.breaker.places = 1;
    assert_false(breaker_is_sound(&bench.breaker));
}

static void states_and_reasons_have_names(void **state)
{
    (void)state;
    assert_string_equal(breaker_state_name(BREAKER_CLOSED), "closed");
    assert_string_equal(breaker_state_name(BREAKER_OPEN), "open");
    assert_string_equal(breaker_state_name(BREAKER_HALF), "half_open");
    assert_string_equal(breaker_reason_name(BREAKER_CONSECUTIVE), "consecutive");
    assert_string_equal(breaker_reason_name(BREAKER_RATIO), "ratio");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_closed_at_first_and_lets_everybody_in),
        cmocka_unit_test(it_opens_at_the_last_of_the_failures_in_a_row),
        cmocka_unit_test(one_failure_may_be_enough),
        cmocka_unit_test(a_good_one_begins_the_row_anew),
        cmocka_unit_test(neutral_ones_neither_add_to_the_row_nor_end_it),
        cmocka_unit_test(a_row_needs_no_window),
        cmocka_unit_test(a_few_bad_among_many_good_open_nothing),
        cmocka_unit_test(it_opens_when_the_ratio_is_reached_and_not_before),
        cmocka_unit_test(below_the_volume_the_ratio_says_nothing),
        cmocka_unit_test(the_ratio_is_that_of_the_window),
        cmocka_unit_test(a_ratio_of_all_needs_all),
        cmocka_unit_test(a_window_forgets_by_tenths),
        cmocka_unit_test(a_window_knows_generations_apart),
        cmocka_unit_test(what_comes_a_little_late_is_counted_in_the_latest_tenth),
        cmocka_unit_test(a_bad_one_that_comes_a_little_late_opens_it_at_once),
        cmocka_unit_test(a_window_without_counts_is_empty_at_any_time),
        cmocka_unit_test(open_it_refuses_until_its_time_is_over),
        cmocka_unit_test(verdicts_of_an_older_generation_change_nothing),
        cmocka_unit_test(verdicts_while_it_is_open_change_nothing),
        cmocka_unit_test(the_open_time_varies_by_a_tenth_with_the_seed),
        cmocka_unit_test(it_says_whether_it_would_let_a_call_in_and_changes_nothing),
        cmocka_unit_test(half_open_there_are_as_many_probes_as_places),
        cmocka_unit_test(a_good_probe_closes_it),
        cmocka_unit_test(what_was_counted_before_it_opened_is_forgotten_when_it_closes),
        cmocka_unit_test(each_opening_by_a_probe_is_twice_as_long_up_to_the_most),
        cmocka_unit_test(a_hundred_openings_do_not_overflow),
        cmocka_unit_test(a_probe_that_is_asked_for_less_opens_it_again),
        cmocka_unit_test(a_neutral_probe_leaves_its_place_to_the_next_call),
        cmocka_unit_test(a_verdict_is_given_once),
        cmocka_unit_test(a_hung_probe_holds_nobody_off_beyond_its_time),
        cmocka_unit_test(with_calls_that_are_rare_the_next_one_is_the_next_probe),
        cmocka_unit_test(of_several_probes_the_oldest_counts_for_the_time),
        cmocka_unit_test(the_verdict_of_a_second_probe_counts_as_any_when_the_first_has_closed_it),
        cmocka_unit_test(begun_anew_it_is_closed_and_knows_nobody),
        cmocka_unit_test(fewer_places_after_a_reload_are_fewer_probes),
        cmocka_unit_test(places_are_counted_by_worker),
        cmocka_unit_test(states_and_reasons_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
