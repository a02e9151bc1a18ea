#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/number.h"
#include "core/name_age.h"

#define S NS_PER_S

static const struct name_policy policy = {80, 3600 * S, 300 * S, S};

static struct name_age answered(int64_t ttl_ns)
{
    struct name_age age = {0};

    name_answered(&age, ttl_ns, false, 0);
    return age;
}

static void expect(const struct name_age *age, int64_t now_ns, enum name_use use, bool is_stale, bool look)
{
    struct name_verdict verdict = name_judge(age, &policy, now_ns);

    assert_int_equal(verdict.use, use);
    assert_int_equal(verdict.is_stale, is_stale);
    assert_int_equal(verdict.look, look);
}

static void an_answer_is_renewed_at_80_percent_of_its_ttl(void **state)
{
    struct name_age age = answered(300 * S);

    expect(&age, 0, NAME_USE, false, false);
    expect(&age, 240 * S - 1, NAME_USE, false, false);
    expect(&age, 240 * S, NAME_USE, false, true);
    expect(&age, 301 * S - 1, NAME_USE, false, true);
    expect(&age, 301 * S, NAME_WAIT, true, true);
    assert_int_equal(name_judge(&age, &policy, 301 * S).patience_ns, 100 * NS_PER_MS);
    assert_int_equal(name_refresh_at(&age, &policy), 240 * S);
}

/* 1 s after an answer that is new; then 2, 4, 5, 5 s. */
static void short_ttls_are_renewed_every_five_seconds_once_nothing_changes(void **state)
{
    static const int64_t pauses[] = {1, 2, 4, 5, 5};
    struct name_age age = answered(S);

    for (int i = 0; i < 5; i++) {
        assert_int_equal(name_refresh_at(&age, &policy) - age.answered_ns, pauses[i] * S);
        name_answered(&age, S, true, age.answered_ns + pauses[i] * S);
    }
    name_answered(&age, S, false, 0);
    assert_int_equal(name_refresh_at(&age, &policy), S);
}

static void a_ttl_of_0_counts_as_5_s_and_one_of_a_day_as_an_hour(void **state)
{
    struct name_age age = answered(0);

    assert_int_equal(name_refresh_at(&age, &policy), 4 * S);
    age = answered(86400 * S);
    assert_int_equal(name_refresh_at(&age, &policy), 2880 * S);
}

static void while_dns_fails_the_answer_is_used_for_an_hour_after_its_ttl(void **state)
{
    struct name_age age = answered(300 * S);

    name_failed(&age, false, 240 * S);
    expect(&age, 240 * S, NAME_USE, true, false);
    expect(&age, 245 * S - 1, NAME_USE, true, false);
    expect(&age, 245 * S, NAME_USE, true, true);
    expect(&age, 3900 * S - 1, NAME_USE, true, true);
    expect(&age, 3900 * S, NAME_WAIT, false, true);
    assert_int_equal(name_judge(&age, &policy, 3900 * S).patience_ns, NS_NEVER);
}

static void while_dns_denies_it_for_five_minutes(void **state)
{
    struct name_age age = answered(300 * S);

    name_failed(&age, true, 240 * S);
    expect(&age, 600 * S - 1, NAME_USE, true, true);
    expect(&age, 600 * S, NAME_WAIT, false, true);
    name_failed(&age, false, 601 * S);
    expect(&age, 602 * S, NAME_USE, true, false);
}

static void a_good_answer_ends_that(void **state)
{
    struct name_age age = answered(300 * S);

    name_failed(&age, false, 240 * S);
    name_answered(&age, 300 * S, true, 250 * S);
    expect(&age, 251 * S, NAME_USE, false, false);
}

static void without_stale_nothing_is_used_after_its_time(void **state)
{
    struct name_policy strict = {80, 0, 0, 0};
    struct name_age age = answered(300 * S);

    name_failed(&age, false, 300 * S);
    assert_int_equal(name_judge(&age, &strict, 301 * S - 1).use, NAME_USE);
    assert_int_equal(name_judge(&age, &strict, 301 * S).use, NAME_WAIT);
    name_failed(&age, false, 302 * S);
    assert_int_equal(name_judge(&age, &strict, 302 * S).use, NAME_WAIT); /* no error is kept */
}

static void an_error_is_kept_for_a_second_once_it_has_come_twice(void **state)
{
    struct name_age age = {0};

    expect(&age, 0, NAME_WAIT, false, true);
    name_failed(&age, true, 0);
    expect(&age, 1, NAME_WAIT, false, true);
    name_failed(&age, true, 1);
    expect(&age, 2, NAME_FAIL, false, false);
    expect(&age, S, NAME_FAIL, false, false);
    expect(&age, S + 1, NAME_WAIT, false, true);
}

static void an_outdated_answer_is_waited_for_and_errors_are_forgotten(void **state)
{
    struct name_age age = answered(300 * S);

    name_failed(&age, false, S);
    name_outdate(&age);
    expect(&age, S, NAME_WAIT, true, true);
    assert_int_equal(name_judge(&age, &policy, S).patience_ns, S);
    name_failed(&age, false, S);
    expect(&age, S, NAME_USE, true, false);
}

static void an_answer_with_a_ttl_of_0_just_after_a_failure_is_not_kept(void **state)
{
    struct name_age age = {0};

    assert_true(name_may_be_kept(&age, &policy, 0, 0));
    name_failed(&age, true, 0);
    assert_false(name_may_be_kept(&age, &policy, 0, S - 1));
    assert_true(name_may_be_kept(&age, &policy, 0, S));
    assert_true(name_may_be_kept(&age, &policy, 1, 0));
    age = answered(0);
    name_failed(&age, true, S);
    assert_true(name_may_be_kept(&age, &policy, 0, S));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_renewed_at_80_percent_of_its_ttl),
        cmocka_unit_test(short_ttls_are_renewed_every_five_seconds_once_nothing_changes),
        cmocka_unit_test(a_ttl_of_0_counts_as_5_s_and_one_of_a_day_as_an_hour),
        cmocka_unit_test(while_dns_fails_the_answer_is_used_for_an_hour_after_its_ttl),
        cmocka_unit_test(while_dns_denies_it_for_five_minutes),
        cmocka_unit_test(a_good_answer_ends_that),
        cmocka_unit_test(without_stale_nothing_is_used_after_its_time),
        cmocka_unit_test(an_error_is_kept_for_a_second_once_it_has_come_twice),
        cmocka_unit_test(an_outdated_answer_is_waited_for_and_errors_are_forgotten),
        cmocka_unit_test(an_answer_with_a_ttl_of_0_just_after_a_failure_is_not_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
