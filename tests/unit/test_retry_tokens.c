/* What retries may cost: the bucket of tokens, and what it makes of an API that fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/backoff.h"
#include "core/retry_tokens.h"

static void a_bucket_begins_full(void **state)
{
    struct retry_tokens tokens;

    (void)state;
    retry_tokens_init(&tokens, 3, 20);
    for (int i = 0; i < 3; i++)
        assert_true(retry_tokens_take(&tokens));
    assert_false(retry_tokens_take(&tokens));
    assert_int_equal(retry_tokens_level(&tokens), 0);
}

static void fifty_good_tries_give_ten_back(void **state)
{
    struct retry_tokens tokens;
    int taken = 0;

    (void)state;
    retry_tokens_init(&tokens, 10, 20);
    while (retry_tokens_take(&tokens))
        ;
    for (int i = 0; i < 50; i++)
        retry_tokens_refill(&tokens);
    while (retry_tokens_take(&tokens))
        taken++;
    assert_int_equal(taken, 10);
}

static void one_that_is_put_back_can_be_taken_again(void **state)
{
    struct retry_tokens tokens;

    (void)state;
    retry_tokens_init(&tokens, 1, 20);
    assert_true(retry_tokens_take(&tokens));
    retry_tokens_put_back(&tokens);
    retry_tokens_put_back(&tokens);
    assert_int_equal(retry_tokens_level(&tokens), RETRY_TOKEN); /* and no more than there is room for */
    assert_true(retry_tokens_take(&tokens));
    assert_false(retry_tokens_take(&tokens));
}

static void a_part_of_a_token_is_none(void **state)
{
    struct retry_tokens tokens;

    (void)state;
    retry_tokens_init(&tokens, 1, 33);
    assert_true(retry_tokens_take(&tokens));
    for (int i = 0; i < 3; i++)
        retry_tokens_refill(&tokens);
    assert_false(retry_tokens_take(&tokens));
    retry_tokens_refill(&tokens);
    assert_true(retry_tokens_take(&tokens));
}

static void a_full_bucket_takes_no_more(void **state)
{
    struct retry_tokens tokens;

    (void)state;
    retry_tokens_init(&tokens, 2, 100);
    for (int i = 0; i < 1000; i++)
        retry_tokens_refill(&tokens);
    assert_int_equal(retry_tokens_level(&tokens), 2 * RETRY_TOKEN);
    assert_true(retry_tokens_take(&tokens));
    retry_tokens_set(&tokens, 2, 70);
    retry_tokens_refill(&tokens);
    retry_tokens_refill(&tokens);
    assert_int_equal(retry_tokens_level(&tokens), 2 * RETRY_TOKEN);
}

static void without_a_share_nothing_comes_back(void **state)
{
    struct retry_tokens tokens;

    (void)state;
    retry_tokens_init(&tokens, 1, 0);
    assert_true(retry_tokens_take(&tokens));
    retry_tokens_refill(&tokens);
    assert_int_equal(retry_tokens_level(&tokens), 0);
}

static void other_bounds_keep_what_there_is(void **state)
{
    struct retry_tokens tokens;

    (void)state;
    retry_tokens_init(&tokens, 10, 20);
    for (int i = 0; i < 4; i++)
        assert_true(retry_tokens_take(&tokens));
    retry_tokens_set(&tokens, 100, 50);
    assert_int_equal(retry_tokens_level(&tokens), 6 * RETRY_TOKEN);
    retry_tokens_refill(&tokens);
    assert_int_equal(retry_tokens_level(&tokens), 650);
    retry_tokens_set(&tokens, 3, 50);
    assert_int_equal(retry_tokens_level(&tokens), 3 * RETRY_TOKEN);
    retry_tokens_set(&tokens, 0, 50);
    assert_false(retry_tokens_take(&tokens));
}

/* ---- an API that fails --------------------------------------------------------------------------------- */

/* splitmix64 */
static uint64_t next(uint64_t *seed)
{
    uint64_t x = *seed += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

struct world {
    uint64_t seed;
    struct retry_tokens tokens;
    double failing; /* share of tries */
    uint64_t calls, good, retries;
};

static bool try_once(struct world *w)
{
    bool is_good = (double)(next(&w->seed) >> 11) * 0x1p-53 >= w->failing;

    if (is_good)
        retry_tokens_refill(&w->tokens);
    return is_good;
}

static void call(struct world *w)
{
    bool is_good = try_once(w);

    w->calls++;
    if (!is_good && retry_tokens_take(&w->tokens)) {
        w->retries++;
        is_good = try_once(w);
    }
    w->good += is_good;
    /* What comes back comes of good tries, of which each call has one at most. */
    assert_true(w->retries * RETRY_TOKEN <= 10 * RETRY_TOKEN + 20 * w->good);
}

/* Independent failures, two attempts, share 20 %, burst 10: 10 worlds of 100,000 calls each, within half a point. */
static void success_and_load_are_on_the_reference_curves(void **state)
{
    static const struct {
        double failing, success, load;
    } curve[] = {{0.01, 100.0, 1.01}, {0.05, 99.8, 1.05}, {0.10, 99.0, 1.10}, {0.15, 97.7, 1.15},
                 {0.20, 94.6, 1.18},  {0.30, 81.3, 1.16}, {0.50, 55.5, 1.11}, {1.00, 0.0, 1.00}};

    (void)state;
    for (size_t i = 0; i < sizeof(curve) / sizeof(curve[0]); i++) {
        struct world sum = {0};
        double success, load;

        for (uint64_t seed = 1; seed <= 10; seed++) {
            struct world w = {.seed = seed * 7919, .failing = curve[i].failing};

            retry_tokens_init(&w.tokens, 10, 20);
            while (w.calls < 100000)
                call(&w);
            sum.calls += w.calls;
            sum.good += w.good;
            sum.retries += w.retries;
        }
        success = 100.0 * (double)sum.good / (double)sum.calls;
        load = 1.0 + (double)sum.retries / (double)sum.calls;
        if (success < curve[i].success - 0.5 || success > curve[i].success + 0.5 ||
            load < curve[i].load - 0.01 || load > curve[i].load + 0.01)
            fail_msg("failing %.2f: success %.2f, load %.3f", curve[i].failing, success, load);
    }
}

/* All is well, then everything fails: the load is never more than a burst above what came. */
static void an_outage_adds_the_burst_and_no_more(void **state)
{
    struct world w = {.seed = 1, .failing = 0.02};
    uint64_t before;

    (void)state;
    retry_tokens_init(&w.tokens, 10, 20);
    while (w.calls < 100000)
        call(&w);
    before = w.retries;
    w.failing = 1.0;
    while (w.calls < 101000)
        call(&w);
    assert_in_range(w.retries - before, 1, 10);
}

/* ---- the back-off -------------------------------------------------------------------------------------- */

static void a_draw_is_even_and_keeps_to_its_bound(void **state)
{
    unsigned tenths[11] = {0};
    uint64_t seed = 3;

    (void)state;
    for (int i = 0; i < 110000; i++) {
        int64_t drawn = backoff_within(10, next(&seed));

        assert_in_range(drawn, 0, 10);
        tenths[drawn]++;
    }
    for (int i = 0; i <= 10; i++)
        assert_in_range(tenths[i], 9600, 10400);
    assert_int_equal(backoff_within(0, UINT64_MAX), 0);
    assert_true(backoff_within(INT64_MAX, UINT64_MAX) == INT64_MAX);
}

static void a_spread_is_a_tenth_before_and_after(void **state)
{
    unsigned seen[7] = {0};
    uint64_t seed = 5;

    (void)state;
    for (int i = 0; i < 70000; i++) {
        int64_t drawn = backoff_around(30, next(&seed));

        assert_in_range(drawn, 27, 33);
        seen[drawn - 27]++;
    }
    for (int i = 0; i < 7; i++)
        assert_in_range(seen[i], 9600, 10400);
    for (int64_t value = 0; value < 5; value++)
        assert_int_equal(backoff_around(value, UINT64_MAX), value);
    assert_int_equal(backoff_around(5, 0), 4);
    assert_int_equal(backoff_around(5, UINT64_MAX), 6);
    assert_int_equal(backoff_around(95, UINT64_MAX), 105);
}

static void the_bound_doubles_until_its_most(void **state)
{
    (void)state;
    assert_int_equal(backoff_bound(25, 1000, 1), 25);
    assert_int_equal(backoff_bound(25, 1000, 2), 75);
    assert_int_equal(backoff_bound(25, 1000, 3), 175);
    assert_int_equal(backoff_bound(25, 100, 3), 100);
    assert_int_equal(backoff_bound(25, 100, 61), 100);
    assert_int_equal(backoff_bound(25, 100, 62), 100);
    assert_int_equal(backoff_bound(25, 100, 4000000000), 100);
    assert_int_equal(backoff_bound(0, 100, 4), 0);
    assert_int_equal(backoff_bound(INT64_MAX, 100, 2), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bucket_begins_full),
        cmocka_unit_test(fifty_good_tries_give_ten_back),
        cmocka_unit_test(one_that_is_put_back_can_be_taken_again),
        cmocka_unit_test(a_part_of_a_token_is_none),
        cmocka_unit_test(a_full_bucket_takes_no_more),
        cmocka_unit_test(without_a_share_nothing_comes_back),
        cmocka_unit_test(other_bounds_keep_what_there_is),
        cmocka_unit_test(success_and_load_are_on_the_reference_curves),
        cmocka_unit_test(an_outage_adds_the_burst_and_no_more),
        cmocka_unit_test(a_draw_is_even_and_keeps_to_its_bound),
        cmocka_unit_test(a_spread_is_a_tenth_before_and_after),
        cmocka_unit_test(the_bound_doubles_until_its_most),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
