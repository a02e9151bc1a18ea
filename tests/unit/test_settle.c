/* When to act on what changes several times in a row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/number.h"
#include "core/settle.h"

static void what_has_not_changed_is_not_acted_on(void **state)
{
    struct settle settle = {0};

    assert_false(settle_take(&settle, 0));
    assert_false(settle_take(&settle, 3600 * NS_PER_S));
}

static void a_change_is_acted_on_once_it_has_been_still(void **state)
{
    struct settle settle = {0};

    settle_changed(&settle, NS_PER_S);
    assert_false(settle_take(&settle, NS_PER_S + SETTLE_STILL_NS - 1));
    assert_true(settle_take(&settle, NS_PER_S + SETTLE_STILL_NS));
    assert_false(settle_take(&settle, 2 * NS_PER_S));
    settle_changed(&settle, 3 * NS_PER_S);
    assert_true(settle_take(&settle, 3 * NS_PER_S + SETTLE_STILL_NS));
}

static void the_last_change_of_several_counts(void **state)
{
    struct settle settle = {0};

    settle_changed(&settle, 0);
    settle_changed(&settle, SETTLE_STILL_NS - 1);
    assert_false(settle_take(&settle, SETTLE_STILL_NS));
    assert_true(settle_take(&settle, 2 * SETTLE_STILL_NS - 1));
}

static void what_is_never_still_is_acted_on_every_now_and_then(void **state)
{
    struct settle settle = {0};
    int taken = 0;

    for (int64_t now_ns = 0; now_ns <= 2 * SETTLE_MOST_NS; now_ns += SETTLE_STILL_NS / 2) {
        taken += settle_take(&settle, now_ns);
        settle_changed(&settle, now_ns);
    }
    assert_int_equal(taken, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_not_changed_is_not_acted_on),
        cmocka_unit_test(a_change_is_acted_on_once_it_has_been_still),
        cmocka_unit_test(the_last_change_of_several_counts),
        cmocka_unit_test(what_is_never_still_is_acted_on_every_now_and_then),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
