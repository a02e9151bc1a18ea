#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "stats/metric.h"

#define MS INT64_C(1000000)
#define S  INT64_C(1000000000)

/* ------------------------------------------------------------------------------------ observing */

static void expect_only_bucket(const struct metric_histogram *h, unsigned expected)
{
    for (unsigned i = 0; i < METRIC_BUCKETS; i++)
        assert_int_equal(h->bucket[i], i == expected);
}

typedef void (*observe_fn)(struct metric_histogram *histogram, int64_t ns);

static void expect_each_bound_in_its_own_bucket(const int64_t *bounds, observe_fn observe)
{
    for (unsigned i = 0; i < METRIC_BUCKETS - 1; i++) {
        struct metric_histogram at = {0}, above = {0};

        assert_true(bounds[i] > (i ? bounds[i - 1] : 0));
        observe(&at, bounds[i]);
        expect_only_bucket(&at, i);
        observe(&above, bounds[i] + 1);
        expect_only_bucket(&above, i + 1);
    }
}

static void a_bound_is_in_its_own_bucket_and_one_nanosecond_more_in_the_next(void **state)
{
    expect_each_bound_in_its_own_bucket(metric_bounds_SECONDS, metric_observe_seconds);
    expect_each_bound_in_its_own_bucket(metric_bounds_OVERSHOOT, metric_observe_overshoot);
    assert_int_equal(metric_bounds_SECONDS[0], 1 * MS);
    assert_int_equal(metric_bounds_SECONDS[14], 60 * S);
    assert_int_equal(metric_bounds_OVERSHOOT[0], 10000);
    assert_int_equal(metric_bounds_OVERSHOOT[14], 1 * S);
}

static void the_extremes_are_in_the_first_and_the_last_bucket(void **state)
{
    struct metric_histogram low = {0}, high = {0};

    metric_observe_seconds(&low, -5 * S);
    expect_only_bucket(&low, 0);
    assert_true(low.sum == 0);
    metric_observe_seconds(&high, INT64_MAX);
    expect_only_bucket(&high, METRIC_BUCKETS - 1);
}

static void the_sum_is_in_seconds(void **state)
{
    struct metric_histogram h = {0};

    metric_observe_seconds(&h, 1500 * MS);
    metric_observe_seconds(&h, 250 * MS);
    assert_true(h.sum > 1.7499999 && h.sum < 1.7500001);
}

static void ratio_goes_into(unsigned bucket, int64_t part_ns, int64_t whole_ns)
{
    struct metric_histogram h = {0};

    metric_observe_ratio(&h, part_ns, whole_ns);
    expect_only_bucket(&h, bucket);
}

static void a_ratio_is_told_from_its_neighbours(void **state)
{
    ratio_goes_into(0, 0, 2 * S);
    ratio_goes_into(0, 100 * MS, 2 * S);
    ratio_goes_into(1, 101 * MS, 2 * S);
    ratio_goes_into(13, 1980 * MS, 2 * S);
    ratio_goes_into(14, 1981 * MS, 2 * S);
    ratio_goes_into(14, 2 * S, 2 * S);
    ratio_goes_into(15, 2 * S + 1000, 2 * S);
}

static void a_ratio_of_nothing_or_of_everything_is_defined(void **state)
{
    ratio_goes_into(14, 5, 0);
    ratio_goes_into(14, 0, -1);
    ratio_goes_into(0, -1, 2 * S);
    ratio_goes_into(15, INT64_MAX, 1);
}

static void an_age_begins_at_its_bound(void **state)
{
    assert_int_equal(metric_age_cell(PHASE_UPLOAD, -1), AGE_UNDER_1S);
    assert_int_equal(metric_age_cell(PHASE_UPLOAD, 1 * S - 1), AGE_UNDER_1S);
    assert_int_equal(metric_age_cell(PHASE_UPLOAD, 1 * S), AGE_1S);
    assert_int_equal(metric_age_cell(PHASE_QUEUE, 5 * S - 1), AGE_COUNT + AGE_1S);
    assert_int_equal(metric_age_cell(PHASE_QUEUE, 5 * S), AGE_COUNT + AGE_5S);
    assert_int_equal(metric_age_cell(PHASE_RECEIVE, 30 * S), PHASE_RECEIVE * AGE_COUNT + AGE_30S);
}

/* --------------------------------------------------------------------------------------- adding */

static void every_cell_is_added(void **state)
{
    struct metrics *sum = metrics_new(3, 5), *part = metrics_new(3, 5);
    uint64_t *process_cells, *sum_cells;

    assert_non_null(sum);
    assert_non_null(part);
    /* All counters are uint64_t, so that filling the blocks with ones reaches each. */
    process_cells = (uint64_t *)(void *)&part->process;
    for (size_t i = 0; i < sizeof(part->process) / sizeof(uint64_t); i++)
        process_cells[i] = i + 1;
    for (uint32_t i = 0; i < 5; i++)
        for (size_t k = 0; k < sizeof(part->routes[i]) / sizeof(uint64_t); k++)
            ((uint64_t *)(void *)&part->routes[i])[k] = i * 1000 + k + 1;
    for (uint32_t i = 0; i < 3; i++) {
        part->upstreams[i].in_flight[PHASE_RECEIVE] = i + 1;
        part->upstreams[i].overdue[0] = i + 2;
        part->upstreams[i].bytes[DIRECTION_DOWN] = i + 3;
        metric_observe_seconds(&part->upstreams[i].duration, 2 * MS);
        metric_observe_ratio(&part->upstreams[i].used, 1, 2);
        code_counts_count(&part->upstreams[i].responses, 200 + i);
    }
    metrics_add(sum, part);
    metrics_add(sum, part);
    sum_cells = (uint64_t *)(void *)&sum->process;
    for (size_t i = 0; i < sizeof(part->process) / sizeof(uint64_t); i++)
        assert_int_equal(sum_cells[i], 2 * (i + 1));
    for (uint32_t i = 0; i < 5; i++)
        for (size_t k = 0; k < sizeof(part->routes[i]) / sizeof(uint64_t); k++)
            assert_int_equal(((uint64_t *)(void *)&sum->routes[i])[k], 2 * (i * 1000 + k + 1));
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(sum->upstreams[i].in_flight[PHASE_RECEIVE], 2 * (i + 1));
        assert_int_equal(sum->upstreams[i].overdue[0], 2 * (i + 2));
        assert_int_equal(sum->upstreams[i].bytes[DIRECTION_DOWN], 2 * (i + 3));
        assert_int_equal(sum->upstreams[i].duration.bucket[1], 2);
        assert_true(sum->upstreams[i].used.sum == 1.0);
        assert_int_equal(code_counts_of(&sum->upstreams[i].responses, 200 + i), 2);
    }
    assert_false(sum->lacks_codes);
    metrics_free(sum);
    metrics_free(part);
}

static void gauges_are_cleared_and_counters_are_not(void **state)
{
    struct metrics *m = metrics_new(2, 1);

    assert_non_null(m);
    m->upstreams[1].in_flight[PHASE_RECEIVE] = m->upstreams[1].by_age[PHASE_COUNT * AGE_COUNT - 1] = 3;
    m->upstreams[0].overdue[0] = m->process.connections[SIDE_UPSTREAM_IDLE] = 4;
    m->upstreams[1].bytes[DIRECTION_UP] = m->process.log_dropped[0] = m->routes[0].started[0] = 5;
    metric_observe_seconds(&m->upstreams[1].duration, 1 * MS);
    metrics_clear_gauges(m);
    assert_int_equal(m->upstreams[1].in_flight[PHASE_RECEIVE], 0);
    assert_int_equal(m->upstreams[1].by_age[PHASE_COUNT * AGE_COUNT - 1], 0);
    assert_int_equal(m->upstreams[0].overdue[0], 0);
    assert_int_equal(m->process.connections[SIDE_UPSTREAM_IDLE], 0);
    assert_int_equal(m->upstreams[1].bytes[DIRECTION_UP], 5);
    assert_int_equal(m->upstreams[1].duration.bucket[0], 1);
    assert_int_equal(m->process.log_dropped[0], 5);
    assert_int_equal(m->routes[0].started[0], 5);
    metrics_free(m);
}

static bool fail_always(void *arg, size_t size)
{
    return true;
}

static void a_sum_without_memory_for_its_codes_says_so_until_it_is_cleared(void **state)
{
    struct metrics *sum = metrics_new(2, 1), *part = metrics_new(2, 1);

    assert_non_null(sum);
    assert_non_null(part);
    code_counts_count(&part->upstreams[1].responses, 500);
    mem_set_fault(fail_always, NULL);
    metrics_add(sum, part);
    mem_set_fault(NULL, NULL);
    assert_true(sum->lacks_codes);
    metrics_clear(sum);
    assert_false(sum->lacks_codes);
    metrics_add(sum, part);
    assert_false(sum->lacks_codes);
    assert_int_equal(code_counts_of(&sum->upstreams[1].responses, 500), 1);
    metrics_free(sum);
    metrics_free(part);
}

static void a_block_is_taken_over_without_memory(void **state)
{
    struct metrics *to = metrics_new(3, 2), *part = metrics_new(2, 1);

    assert_non_null(to);
    assert_non_null(part);
    code_counts_count(&part->upstreams[0].responses, 200);
    code_counts_count(&part->upstreams[1].responses, 500);
    part->upstreams[1].bytes[DIRECTION_UP] = 7;
    part->routes[0].started[0] = 8;
    mem_set_fault(fail_always, NULL);
    metrics_take(to, part);
    metrics_clear_upstream(to, 0); /* another one has its number */
    mem_set_fault(NULL, NULL);
    assert_false(to->lacks_codes);
    assert_int_equal(code_counts_of(&to->upstreams[0].responses, 200), 0);
    assert_int_equal(code_counts_of(&to->upstreams[1].responses, 500), 1);
    assert_int_equal(to->upstreams[1].bytes[DIRECTION_UP], 7);
    assert_int_equal(to->routes[0].started[0], 8);
    metrics_free(part);
    metrics_free(to);
}

static void without_memory_there_are_no_metrics(void **state)
{
    mem_set_fault(fail_always, NULL);
    assert_null(metrics_new(3, 5));
    mem_set_fault(NULL, NULL);
    metrics_free(NULL);
}

/* ------------------------------------------------------------------------------------ rendering */

struct page {
    char *bytes;
    size_t len;
};

static void collect(void *arg, struct span piece)
{
    struct page *page = arg;

    page->bytes = realloc(page->bytes, page->len + piece.len + 1);
    assert_non_null(page->bytes);
    memcpy(page->bytes + page->len, piece.ptr, piece.len);
    page->len += piece.len;
    page->bytes[page->len] = '\0';
}

static const char *upstream_names[] = {"payments", "a \"b\"\\c\nd"};
static char long_route[9000];

static const char *name_upstream(const void *arg, uint32_t upstream)
{
    return upstream_names[upstream];
}

static const char *name_route(const void *arg, uint32_t route)
{
    return route == 2 ? long_route : "default";
}

static uint32_t upstream_of(const void *arg, uint32_t route)
{
    return route == 1;
}

/* Two upstreams with default routes, and a route with a very long name at the first. */
static struct page render(const struct metrics *metrics)
{
    static const struct metric_names names = {name_upstream, name_route, upstream_of, NULL, NULL};
    struct page page = {NULL, 0};
    struct exposition out;

    memset(long_route, 'r', sizeof(long_route) - 1);
    exposition_init(&out, collect, &page);
    metrics_render(metrics, &names, &out);
    exposition_end(&out);
    return page;
}

static struct metrics *fresh(void)
{
    struct metrics *metrics = metrics_new(2, 3);

    assert_non_null(metrics);
    return metrics;
}

/* Renders, expects each of these texts exactly once, and frees the metrics. */
static void expect_page_with(struct metrics *metrics, const char *const *texts, size_t count)
{
    struct page page = render(metrics);

    for (size_t i = 0; i < count; i++) {
        const char *found = strstr(page.bytes, texts[i]);

        if (!found || strstr(found + 1, texts[i]))
            fail_msg("not there exactly once: %s", texts[i]);
    }
    free(page.bytes);
    metrics_free(metrics);
}

#define EXPECT_PAGE_WITH(metrics, ...)                                                                       \
    expect_page_with(metrics, (const char *const[]){__VA_ARGS__},                                            \
                     sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void counters_carry_their_labels(void **state)
{
    struct metrics *m = fresh();

    m->routes[0].started[0] = 7;
    m->routes[0].completed[2 - 1] = 3;
    m->routes[0].stuck[PHASE_QUEUE] = 2;
    m->routes[0].failed[CAUSE_REFUSED] = 1;
    m->routes[0].rejected[CAUSE_QUEUE_FULL] = 9;
    m->upstreams[0].in_flight[PHASE_WAIT] = UINT64_MAX;
    m->upstreams[0].by_age[metric_age_cell(PHASE_TLS, 5 * S)] = 21;
    m->upstreams[0].bytes[DIRECTION_UP] = 11;
    m->process.refused[CAUSE_NO_ROUTE] = 12;
    m->process.connections[SIDE_UPSTREAM_IDLE] = 13;
    m->process.reloads[RESULT_FAILURE] = 14;
    EXPECT_PAGE_WITH(
        m, "\ncurfew_calls_started_total{upstream=\"payments\",route=\"default\"} 7\n",
        "\ncurfew_calls_completed_total{upstream=\"payments\",route=\"default\",class=\"2xx\"} 3\n",
        "\ncurfew_calls_stuck_total{upstream=\"payments\",route=\"default\",phase=\"queue\"} 2\n",
        "\ncurfew_calls_failed_total{upstream=\"payments\",route=\"default\",reason=\"connection_refused\"} 1\n",
        "\ncurfew_calls_rejected_total{upstream=\"payments\",route=\"default\",reason=\"queue_full\"} 9\n",
        "\ncurfew_calls_in_flight{upstream=\"payments\",phase=\"wait\"} 18446744073709551615\n",
        "\ncurfew_calls_in_flight_by_age{upstream=\"payments\",phase=\"tls\",age=\"5-30s\"} 21\n",
        "\ncurfew_calls_overdue{upstream=\"payments\"} 0\n",
        "\ncurfew_bytes_total{upstream=\"payments\",direction=\"up\"} 11\n",
        "\ncurfew_requests_refused_total{reason=\"no_route\"} 12\n",
        "\ncurfew_connections{side=\"upstream_idle\"} 13\n", "\ncurfew_broken_invariants_total 0\n",
        "\ncurfew_config_reloads_total{result=\"failure\"} 14\n");
}

static void label_values_are_escaped(void **state)
{
    EXPECT_PAGE_WITH(fresh(), "\ncurfew_calls_overdue{upstream=\"a \\\"b\\\"\\\\c\\nd\"} 0\n");
}

static void a_label_longer_than_the_block_is_written_whole(void **state)
{
    static char line[sizeof(long_route) + 200];

    memset(long_route, 'r', sizeof(long_route) - 1);
    snprintf(line, sizeof(line), "\ncurfew_calls_started_total{upstream=\"payments\",route=\"%s\"} 0\n",
             long_route);
    EXPECT_PAGE_WITH(fresh(), line);
}

/* The samples of one owner repeat its labels, which begin anew with each block. */
static void samples_fit_together_across_blocks(void **state)
{
    struct metrics *m = metrics_new(2, 3);
    struct page page;
    size_t samples = 0;

    assert_non_null(m);
    page = render(m);
    for (char *line = strtok(page.bytes, "\n"); line; line = strtok(NULL, "\n")) {
        const char *labels = strchr(line, '{');

        if (line[0] == '#')
            continue;
        samples++;
        assert_true(strncmp(line, "curfew_", 7) == 0);
        assert_null(labels ? strchr(labels + 1, '{') : NULL);
        assert_int_equal(labels ? strcmp(line + strlen(line) - 3, "} 0") : 0, 0);
    }
    /* More than fits into a block, so that many began in the middle of one. */
    assert_true(samples > 200);
    free(page.bytes);
    metrics_free(m);
}

static void histograms_are_cumulative(void **state)
{
    struct metrics *m = fresh();

    metric_observe_seconds(&m->upstreams[0].duration, 1 * MS);
    metric_observe_seconds(&m->upstreams[0].duration, 2 * MS);
    metric_observe_seconds(&m->upstreams[0].duration, 61 * S);
    EXPECT_PAGE_WITH(m, "\ncurfew_call_duration_seconds_bucket{upstream=\"payments\",le=\"0.001\"} 1\n",
                     "\ncurfew_call_duration_seconds_bucket{upstream=\"payments\",le=\"0.0025\"} 2\n",
                     "\ncurfew_call_duration_seconds_bucket{upstream=\"payments\",le=\"60\"} 2\n",
                     "\ncurfew_call_duration_seconds_bucket{upstream=\"payments\",le=\"+Inf\"} 3\n",
                     "\ncurfew_call_duration_seconds_sum{upstream=\"payments\"} 61.003\n",
                     "\ncurfew_call_duration_seconds_count{upstream=\"payments\"} 3\n",
                     "\ncurfew_deadline_overshoot_seconds_bucket{upstream=\"payments\",le=\"0.00001\"} 0\n",
                     "\ncurfew_deadline_used_ratio_bucket{upstream=\"payments\",le=\"0.95\"} 0\n");
}

static void a_state_is_there_for_the_routes_that_have_one(void **state)
{
    struct metrics *m = fresh();

    m->routes[0].breaker[BREAKER_HALF] = 1;
    EXPECT_PAGE_WITH(m, "# TYPE curfew_breaker_state gauge\ncurfew_breaker_state{upstream=",
                     "state=\"closed\"} 0\n", "state=\"open\"} 0\n", "state=\"half_open\"} 1\n");
    m = fresh();
    m->routes[0].breaker[BREAKER_OPEN] = 1;
    metrics_clear_gauges(m);
    EXPECT_PAGE_WITH(m, "# TYPE curfew_breaker_state gauge\n# HELP ");
}

static void each_family_is_introduced_once(void **state)
{
    static const char *const families[] = {
#define ROUTE_COUNTER(field, name, label, cells, help) "# HELP " name " " help "\n# TYPE " name " counter\n",
#define ROUTE_SEEN(field, name, label, cells, help)    "\n# HELP " name " " help "\n# TYPE " name " counter\n",
#define ROUTE_STATE(field, name, label, cells, help)   "\n# HELP " name " " help "\n# TYPE " name " gauge\n",
#define UPSTREAM_COUNTER(field, name, label, cells, help)                                                    \
    "\n# HELP " name " " help "\n# TYPE " name " counter\n",
#define UPSTREAM_GAUGE(field, name, label, cells, help) "\n# HELP " name " " help "\n# TYPE " name " gauge\n",
#define UPSTREAM_STATE(field, name, label, cells, help) "\n# HELP " name " " help "\n# TYPE " name " gauge\n",
#define UPSTREAM_SELDOM(field, name, label, cells, help)                                                     \
    "\n# HELP " name " " help "\n# TYPE " name " counter\n",
#define FORWARD_COUNTER(field, name, label, cells, help)                                                     \
    "\n# HELP " name " " help "\n# TYPE " name " counter\n",
#define TUNNEL_GAUGE(field, name, label, cells, help) "\n# HELP " name " " help "\n# TYPE " name " gauge\n",
#define TUNNEL_COUNTER(field, name, label, cells, help)                                                      \
    "\n# HELP " name " " help "\n# TYPE " name " counter\n",
#define REPORT_COUNTER(field, name, label, cells, help)                                                      \
    "\n# HELP " name " " help "\n# TYPE " name " counter\n",
#define UPSTREAM_CODES(field, name, help) "\n# HELP " name " " help "\n# TYPE " name " counter\n",
#define UPSTREAM_HISTOGRAM(field, name, bounds, help)                                                        \
    "\n# HELP " name " " help "\n# TYPE " name " histogram\n",
#define STREAM_HISTOGRAM(field, name, bounds, help) "\n# HELP " name " " help "\n# TYPE " name " histogram\n",
#define PROCESS_COUNTER(field, name, label, cells, help)                                                     \
    "\n# HELP " name " " help "\n# TYPE " name " counter\n",
#define PROCESS_GAUGE(field, name, label, cells, help) "\n# HELP " name " " help "\n# TYPE " name " gauge\n",
#include "stats/metrics.def"
    };

    expect_page_with(fresh(), families, sizeof(families) / sizeof(families[0]));
}

static void codes_that_were_seen_are_there_and_no_others(void **state)
{
    static const uint32_t codes[] = {599, 100, 200, 429, 200, 600};
    struct metrics *m = fresh();
    struct page page;

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        code_counts_count(&m->upstreams[0].responses, codes[i]);
    page = render(m);
    assert_non_null(strstr(page.bytes, " counter\n"
                                       "curfew_responses_total{upstream=\"payments\",code=\"100\"} 1\n"
                                       "curfew_responses_total{upstream=\"payments\",code=\"200\"} 2\n"
                                       "curfew_responses_total{upstream=\"payments\",code=\"429\"} 1\n"
                                       "curfew_responses_total{upstream=\"payments\",code=\"599\"} 1\n"
                                       "curfew_responses_total{upstream=\"payments\",code=\"other\"} 1\n"
                                       "# HELP "));
    free(page.bytes);
    metrics_free(m);
}

static void only_cells_that_can_count_are_there(void **state)
{
    struct metrics *m = fresh();
    struct page page = render(m);

    assert_null(
        strstr(page.bytes, "curfew_calls_late_total{upstream=\"payments\",route=\"default\",class=\"1xx\"}"));
    assert_null(
        strstr(page.bytes,
               "curfew_calls_failed_total{upstream=\"payments\",route=\"default\",reason=\"queue_full\"}"));
    assert_null(strstr(page.bytes, "reason=\"none\""));
    assert_null(strstr(page.bytes, "reason=\"deadline\""));
    assert_null(strstr(page.bytes, "reason=\"caller_gone\""));
    for (unsigned cause = 0; cause < CAUSE_COUNT; cause++) {
        enum outcome outcome = cause_outcome((enum cause)cause);
        char label[100];

        snprintf(label, sizeof(label), "reason=\"%s\"", cause_reason((enum cause)cause));
        if (outcome == OUTCOME_FAILED || outcome == OUTCOME_REJECTED || outcome == OUTCOME_NOT_A_CALL)
            assert_non_null(strstr(page.bytes, label));
    }
    free(page.bytes);
    metrics_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bound_is_in_its_own_bucket_and_one_nanosecond_more_in_the_next),
        cmocka_unit_test(the_extremes_are_in_the_first_and_the_last_bucket),
        cmocka_unit_test(the_sum_is_in_seconds),
        cmocka_unit_test(a_ratio_is_told_from_its_neighbours),
        cmocka_unit_test(a_ratio_of_nothing_or_of_everything_is_defined),
        cmocka_unit_test(an_age_begins_at_its_bound),
        cmocka_unit_test(every_cell_is_added),
        cmocka_unit_test(gauges_are_cleared_and_counters_are_not),
        cmocka_unit_test(without_memory_there_are_no_metrics),
        cmocka_unit_test(a_sum_without_memory_for_its_codes_says_so_until_it_is_cleared),
        cmocka_unit_test(a_block_is_taken_over_without_memory),
        cmocka_unit_test(counters_carry_their_labels),
        cmocka_unit_test(label_values_are_escaped),
        cmocka_unit_test(a_label_longer_than_the_block_is_written_whole),
        cmocka_unit_test(samples_fit_together_across_blocks),
        cmocka_unit_test(histograms_are_cumulative),
        cmocka_unit_test(a_state_is_there_for_the_routes_that_have_one),
        cmocka_unit_test(each_family_is_introduced_once),
        cmocka_unit_test(codes_that_were_seen_are_there_and_no_others),
        cmocka_unit_test(only_cells_that_can_count_are_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
