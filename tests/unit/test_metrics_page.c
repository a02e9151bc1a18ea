/* What two pages of /metrics say about the time between them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <stdio.h>
#include <math.h>

#include "base/mem.h"
#include "view/metrics_page.h"

static const char first[] = "curfew_build_info{version=\"1.2.3\"} 1\n"
                            "process_start_time_seconds 1000.5\n"
                            "curfew_calls_started_total{upstream=\"a\",route=\"default\"} 10\n"
                            "curfew_calls_started_total{upstream=\"a\",route=\"/x\"} 5\n"
                            "curfew_calls_started_total{upstream=\"b\",route=\"default\"} 1\n"
                            "curfew_calls_completed_total{upstream=\"a\",route=\"default\",class=\"2xx\"} 4\n"
                            "curfew_calls_stuck_total{upstream=\"a\",route=\"default\",phase=\"wait\"} 2\n"
                            "curfew_calls_stuck_total{upstream=\"a\",route=\"/x\",phase=\"wait\"} 3\n"
                            "curfew_calls_in_flight{upstream=\"a\",phase=\"queue\"} 7\n"
                            "curfew_calls_in_flight_by_age{upstream=\"a\",phase=\"queue\",age=\"0-1s\"} 7\n"
                            "curfew_deadline_overshoot_seconds_bucket{upstream=\"a\",le=\"0.1\"} 0\n"
                            "curfew_deadline_overshoot_seconds_bucket{upstream=\"a\",le=\"1\"} 10\n"
                            "curfew_deadline_overshoot_seconds_bucket{upstream=\"a\",le=\"+Inf\"} 10\n"
                            "curfew_pool_size{pool=\"a\"} 50\n"
                            "curfew_pool_held{pool=\"a\"} 20\n"
                            "curfew_pool_waiting{pool=\"a\"} 6\n"
                            "curfew_pool_held_peak{pool=\"a\"} 44\n";

static const char second[] =
    "curfew_build_info{version=\"1.2.3\"} 1\n"
    "curfew_calls_started_total{upstream=\"a\",route=\"default\"} 35\n"
    "curfew_calls_completed_total{upstream=\"a\",route=\"default\",class=\"2xx\"} 12\n"
    "curfew_calls_stuck_total{upstream=\"a\",route=\"default\",phase=\"wait\"} 9\n"
    "curfew_calls_stuck_total{upstream=\"a\",route=\"default\",phase=\"queue\"} 1\n"
    "curfew_deadline_overshoot_seconds_bucket{upstream=\"a\",le=\"0.1\"} 8\n"
    "curfew_deadline_overshoot_seconds_bucket{upstream=\"a\",le=\"1\"} 26\n"
    "curfew_deadline_overshoot_seconds_bucket{upstream=\"a\",le=\"+Inf\"} 26\n";

static void a_page_is_summed_by_upstream_and_pool(void **state)
{
    struct metrics_page board;

    assert_true(metrics_page_read(&board, span_of(first)));
    assert_string_equal(board.version, "1.2.3");
    assert_true(board.started_at == 1000.5);
    assert_int_equal(board.upstream_count, 2);
    assert_string_equal(board.upstreams[0].name, "a");
    assert_true(board.upstreams[0].started == 15);
    assert_true(board.upstreams[0].completed_fine == 4);
    assert_true(board.upstreams[0].stuck[PHASE_WAIT] == 5);
    assert_true(board.upstreams[0].in_flight[PHASE_QUEUE] == 7);
    assert_true(board.upstreams[1].started == 1);
    assert_int_equal(board.pool_count, 1);
    assert_true(board.pools[0].size == 50 && board.pools[0].held == 20 && board.pools[0].waiting == 6);
    assert_ptr_equal(metrics_page_find_upstream(&board, "b"), &board.upstreams[1]);
    assert_null(metrics_page_find_upstream(&board, "c"));
    assert_null(metrics_page_find_pool(&board, "b"));
    metrics_page_free(&board);
}

static void rates_are_of_the_time_in_between(void **state)
{
    struct metrics_page before, now;
    struct metrics_page_change change;

    assert_true(metrics_page_read(&before, span_of(first)));
    assert_true(metrics_page_read(&now, span_of(second)));
    metrics_page_compare(&now.upstreams[0], &before.upstreams[0], 4, &change);
    assert_true(change.started_rate == 5);
    assert_true(change.ok_rate == 2);
    assert_true(change.stuck[PHASE_WAIT] == 4 && change.stuck[PHASE_QUEUE] == 1);
    assert_true(change.stuck_rate == 1.25);
    /* 8 of the 16 in between were at most 0.1 s late, all of them 1 s. */
    assert_true(fabs(change.overshoot_p99 - (0.1 + 0.9 * (15.84 - 8) / 8)) < 1e-9);
    assert_true(change.overshoot_most == 1);
    metrics_page_free(&before);
    metrics_page_free(&now);
}

static const char answers[] =
    "curfew_build_info{version=\"1\"} 1\n"
    "curfew_calls_completed_total{upstream=\"a\",route=\"default\",class=\"2xx\"} 10\n"
    "curfew_calls_completed_total{upstream=\"a\",route=\"/x\",class=\"3xx\"} 5\n"
    "curfew_calls_completed_total{upstream=\"a\",route=\"default\",class=\"4xx\"} 8\n"
    "curfew_calls_completed_total{upstream=\"a\",route=\"default\",class=\"5xx\"} 20\n"
    "curfew_responses_total{upstream=\"a\",code=\"103\"} 100\n"
    "curfew_responses_total{upstream=\"a\",code=\"200\"} 10\n"
    "curfew_responses_total{upstream=\"a\",code=\"404\"} 2\n"
    "curfew_responses_total{upstream=\"a\",code=\"429\"} 6\n"
    "curfew_responses_total{upstream=\"a\",code=\"500\"} 17\n"
    "curfew_responses_total{upstream=\"a\",code=\"529\"} 3\n"
    "curfew_responses_total{upstream=\"a\",code=\"other\"} 1\n";

static void what_is_ok_is_neither_5xx_nor_429(void **state)
{
    struct metrics_page now;
    struct metrics_page_change change;

    assert_true(metrics_page_read(&now, span_of(answers)));
    metrics_page_compare(&now.upstreams[0], NULL, 1, &change);
    assert_true(change.ok_rate == 10 + 5 + 2);
    assert_true(change.server_error_rate == 21);
    assert_true(change.too_many_rate == 6);
    /* All of them were cut in the middle of their content. */
    now.upstreams[0].completed_4xx = 0;
    metrics_page_compare(&now.upstreams[0], NULL, 1, &change);
    assert_true(change.ok_rate == 10 + 5);
    metrics_page_free(&now);
}

static void without_an_earlier_page_it_is_everything(void **state)
{
    struct metrics_page now;
    struct metrics_page_change change;

    assert_true(metrics_page_read(&now, span_of(first)));
    metrics_page_compare(&now.upstreams[0], NULL, 5, &change);
    assert_true(change.started_rate == 3);
    assert_true(change.stuck[PHASE_WAIT] == 5);
    assert_true(change.in_flight == 7);
    metrics_page_free(&now);
}

static void a_quantile_beyond_the_last_bound_is_infinite(void **state)
{
    static const struct metrics_page_histogram slow = {{1, INFINITY}, {1, 10}, 2},
                                               none = {{1, INFINITY}, {0, 0}, 2}, empty = {{0}, {0}, 0};

    assert_true(isinf(metrics_page_quantile(&slow, NULL, 0.5)));
    assert_true(metrics_page_quantile(&slow, NULL, 0.05) == 0.5);
    assert_true(isnan(metrics_page_quantile(&none, NULL, 0.5)));
    assert_true(isnan(metrics_page_quantile(&empty, NULL, 0.5)));
    assert_true(isnan(metrics_page_quantile(&slow, &slow, 0.5)));
}

static void many_upstreams_are_all_kept(void **state)
{
    static char page[8192] = "curfew_build_info{version=\"1\"} 1\n";
    struct metrics_page board;

    for (int i = 0; i < 100; i++) {
        size_t len = strlen(page);

        snprintf(page + len, sizeof(page) - len, "curfew_calls_overdue{upstream=\"u%d\"} %d\n", i, i);
    }
    assert_true(metrics_page_read(&board, span_of(page)));
    assert_int_equal(board.upstream_count, 100);
    for (int i = 0; i < 100; i++)
        assert_true(board.upstreams[i].overdue == i);
    metrics_page_free(&board);
}

static void other_pages_are_no_board(void **state)
{
    static const char *const others[] = {"", "<html>", "x 1\n", "curfew_build_info 1\n"};
    struct metrics_page board;

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_false(metrics_page_read(&board, span_of(others[i])));
        metrics_page_free(&board);
    }
}

static bool fail_always(void *arg, size_t size)
{
    return true;
}

static void without_memory_there_is_no_page(void **state)
{
    struct metrics_page board;

    mem_set_fault(fail_always, NULL);
    assert_false(metrics_page_read(&board, span_of(first)));
    mem_set_fault(NULL, NULL);
    metrics_page_free(&board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_summed_by_upstream_and_pool),
        cmocka_unit_test(rates_are_of_the_time_in_between),
        cmocka_unit_test(what_is_ok_is_neither_5xx_nor_429),
        cmocka_unit_test(without_an_earlier_page_it_is_everything),
        cmocka_unit_test(a_quantile_beyond_the_last_bound_is_infinite),
        cmocka_unit_test(many_upstreams_are_all_kept),
        cmocka_unit_test(other_pages_are_no_board),
        cmocka_unit_test(without_memory_there_is_no_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
