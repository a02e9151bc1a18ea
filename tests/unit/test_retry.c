#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/retry.h"

static const struct retry_facts first = {.repeatable = true, .tries = 1};
static const struct try_result stale = {.closed = true, .reused = true};

static void a_request_that_met_a_stale_connection_is_sent_again(void **state)
{
    (void)state;
    assert_int_equal(retry_decide(&first, &stale), RETRY_AT_ONCE);
}

static void it_is_sent_again_once(void **state)
{
    struct retry_facts second = first;

    (void)state;
    second.tries = 2;
    assert_int_equal(retry_decide(&second, &stale), RETRY_GIVE_UP);
    second.tries = UINT8_MAX;
    assert_int_equal(retry_decide(&second, &stale), RETRY_GIVE_UP);
}

static void what_may_not_be_sent_twice_is_not(void **state)
{
    struct retry_facts once = first;

    (void)state;
    once.repeatable = false;
    assert_int_equal(retry_decide(&once, &stale), RETRY_GIVE_UP);
}

/* Each of the three alone is no sign of a stale connection: all eight combinations. */
static void only_a_stale_connection_is_a_reason(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 8; bits++) {
        struct try_result result = {
            .closed = (bits & 1) != 0, .reused = (bits & 2) != 0, .answered = (bits & 4) != 0};

        assert_int_equal(retry_decide(&first, &result), bits == 3 ? RETRY_AT_ONCE : RETRY_GIVE_UP);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_that_met_a_stale_connection_is_sent_again),
        cmocka_unit_test(it_is_sent_again_once),
        cmocka_unit_test(what_may_not_be_sent_twice_is_not),
        cmocka_unit_test(only_a_stale_connection_is_a_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
