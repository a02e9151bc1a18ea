/* Who takes a connection, of several workers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/number.h"
#include "core/even_share.h"

static void one_worker_takes_all(void **state)
{
    struct even_share share = {0};

    for (uint32_t own = 0; own < 1000; own++)
        assert_true(even_share_takes(&share, own, own, 1, NS_PER_S));
}

static void whoever_has_the_fewest_takes(void **state)
{
    for (uint32_t workers = 1; workers <= 8; workers++) {
        for (uint32_t all = 0; all < 100; all++) {
            struct even_share share = {0};

            assert_true(even_share_takes(&share, all / workers, all, workers, NS_PER_S));
        }
    }
}

static void one_that_has_more_than_its_share_leaves_the_next(void **state)
{
    struct even_share share = {0};

    assert_true(even_share_takes(&share, 511, 1000, 2, NS_PER_S));
    assert_false(even_share_takes(&share, 512, 1000, 2, NS_PER_S));
}

static void a_few_may_be_one_workers(void **state)
{
    struct even_share share = {0};

    assert_true(even_share_takes(&share, EVEN_SHARE_SLACK, EVEN_SHARE_SLACK, 8, NS_PER_S));
}

/* It waits in front of us at the end of each pause: nobody else takes it. */
static void what_nobody_takes_is_ours_after_some_pauses(void **state)
{
    struct even_share share = {0};
    int64_t now_ns = NS_PER_S;

    for (int i = 0; i < EVEN_SHARE_PAUSES; i++) {
        assert_false(even_share_takes(&share, 10, 10, 2, now_ns));
        now_ns += EVEN_SHARE_PAUSE_NS;
        even_share_resume(&share, now_ns);
    }
    assert_true(even_share_takes(&share, 10, 10, 2, now_ns));
    assert_false(even_share_takes(&share, 11, 11, 2, now_ns)); /* that was one */
}

static void others_that_take_each_one_never_make_the_next_ours(void **state)
{
    struct even_share share = {0};
    int64_t now_ns = NS_PER_S;

    for (int i = 0; i < 10 * EVEN_SHARE_PAUSES; i++) {
        assert_false(even_share_takes(&share, 10, 10, 2, now_ns));
        even_share_resume(&share, now_ns + EVEN_SHARE_PAUSE_NS);
        now_ns += EVEN_SHARE_PAUSE_NS + EVEN_SHARE_AT_ONCE_NS + 1; /* the next one comes */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_worker_takes_all),
        cmocka_unit_test(whoever_has_the_fewest_takes),
        cmocka_unit_test(one_that_has_more_than_its_share_leaves_the_next),
        cmocka_unit_test(a_few_may_be_one_workers),
        cmocka_unit_test(what_nobody_takes_is_ours_after_some_pauses),
        cmocka_unit_test(others_that_take_each_one_never_make_the_next_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
