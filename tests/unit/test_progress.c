/* How a response gets on: which limit is the nearest, and what its clock does while the caller takes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/number.h"
#include "core/progress.h"

static const struct progress_terms terms = {.first_event_ns = 20 * NS_PER_S,
                                            .idle_ns = 30 * NS_PER_S,
                                            .rate = {.bytes = 100, .per_ns = 16 * NS_PER_S}};
static const struct progress_terms only_events = {.first_event_ns = 20 * NS_PER_S, .idle_ns = 30 * NS_PER_S};
static const struct progress_terms no_terms = {.first_event_ns = NS_NEVER, .idle_ns = NS_NEVER};

static struct progress progress;

static void begin(bool is_stream)
{
    progress_begin(&progress, is_stream, 5 * NS_PER_S);
}

static void note(const struct progress_terms *by, uint64_t bytes, uint32_t events, int64_t at_s)
{
    progress_note(&progress, by, bytes, events, at_s * NS_PER_S);
}

static void stand(bool stands, int64_t at_s)
{
    progress_stand(&progress, stands, at_s * NS_PER_S);
}

static void check(const struct progress_terms *by, enum cause expected, int64_t at_s)
{
    enum cause cause = CAUSE_BROKEN;
    int64_t limit_ns = progress_limit(&progress, by, &cause);

    assert_int_equal(limit_ns, at_s < 0 ? NS_NEVER : at_s * NS_PER_S);
    if (at_s >= 0)
        assert_int_equal(cause, expected);
}

static void a_head_is_no_event(void **state)
{
    begin(true);
    check(&only_events, CAUSE_FIRST_EVENT_LIMIT, 25);
    note(&only_events, 1000, 0, 7); /* comments */
    check(&only_events, CAUSE_FIRST_EVENT_LIMIT, 25);
}

static void bytes_without_an_event_are_no_progress_of_a_stream(void **state)
{
    begin(true);
    note(&only_events, 10, 1, 6);
    check(&only_events, CAUSE_IDLE_LIMIT, 36);
    for (int64_t s = 7; s < 30; s++)
        note(&only_events, 8, 0, s);
    check(&only_events, CAUSE_IDLE_LIMIT, 36);
    note(&only_events, 8, 1, 30);
    check(&only_events, CAUSE_IDLE_LIMIT, 60);
}

static void the_first_event_is_waited_for_whether_the_caller_takes_or_not(void **state)
{
    begin(true);
    stand(true, 6);
    check(&only_events, CAUSE_FIRST_EVENT_LIMIT, 25);
}

static void the_clock_stands_while_the_caller_takes_nothing(void **state)
{
    begin(true);
    note(&only_events, 10, 1, 6);
    stand(true, 16);
    check(&only_events, CAUSE_NONE, -1);
    stand(true, 20); /* again the same */
    stand(false, 116);
    check(&only_events, CAUSE_IDLE_LIMIT, 136);
    stand(false, 120);
    stand(true, 126);
    stand(false, 127);
    check(&only_events, CAUSE_IDLE_LIMIT, 137);
    note(&only_events, 10, 1, 130);
    check(&only_events, CAUSE_IDLE_LIMIT, 160);
    assert_int_equal(progress_longest_gap_ns(&progress, 130 * NS_PER_S), 23 * NS_PER_S);
}

static void the_least_rate_begins_with_the_first_content(void **state)
{
    begin(false);
    check(&terms, CAUSE_NONE, -1);
    note(&terms, 1, 0, 50);
    check(&terms, CAUSE_RATE_LIMIT, 66);
    note(&terms, 100, 0, 60);
    check(&terms, CAUSE_RATE_LIMIT, 76);
}

static void the_least_rate_stands_while_the_caller_takes_nothing(void **state)
{
    begin(false);
    note(&terms, 100, 0, 50);
    stand(true, 60);
    check(&terms, CAUSE_NONE, -1);
    stand(false, 1060);
    check(&terms, CAUSE_RATE_LIMIT, 1066);
    note(&terms, 100, 0, 1061);
    check(&terms, CAUSE_RATE_LIMIT, 1077);
}

static void the_nearest_of_two_limits_counts(void **state)
{
    begin(true);
    note(&terms, 10, 1, 6);
    check(&terms, CAUSE_RATE_LIMIT, 22);
    note(&terms, 1000, 0, 21);
    check(&terms, CAUSE_IDLE_LIMIT, 36);
}

static void without_limits_there_is_none(void **state)
{
    begin(true);
    check(&no_terms, CAUSE_NONE, -1);
    note(&no_terms, 10, 1, 6);
    check(&no_terms, CAUSE_NONE, -1);
    begin(false);
    note(&no_terms, 10, 0, 6);
    check(&no_terms, CAUSE_NONE, -1);
}

static void events_are_counted_and_gaps_measured(void **state)
{
    begin(true);
    assert_int_equal(progress_longest_gap_ns(&progress, 7 * NS_PER_S),
                     0); /* before the first, there is no gap */
    note(&no_terms, 10, 2, 7);
    assert_int_equal(progress_first_event_ns(&progress), 2 * NS_PER_S);
    assert_int_equal(progress_longest_gap_ns(&progress, 8 * NS_PER_S), NS_PER_S);
    note(&no_terms, 10, 1, 10);
    note(&no_terms, 10, 0, 15);
    note(&no_terms, 10, 5, 12);
    assert_int_equal(progress.events, 8);
    assert_int_equal(progress_longest_gap_ns(&progress, 13 * NS_PER_S), 3 * NS_PER_S);
    assert_int_equal(progress_longest_gap_ns(&progress, 22 * NS_PER_S), 10 * NS_PER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_no_event),
        cmocka_unit_test(bytes_without_an_event_are_no_progress_of_a_stream),
        cmocka_unit_test(the_first_event_is_waited_for_whether_the_caller_takes_or_not),
        cmocka_unit_test(the_clock_stands_while_the_caller_takes_nothing),
        cmocka_unit_test(the_least_rate_begins_with_the_first_content),
        cmocka_unit_test(the_least_rate_stands_while_the_caller_takes_nothing),
        cmocka_unit_test(the_nearest_of_two_limits_counts),
        cmocka_unit_test(without_limits_there_is_none),
        cmocka_unit_test(events_are_counted_and_gaps_measured),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
