/* Reading of Prometheus text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <math.h>

#include "view/prometheus.h"

static struct prometheus_sample only(const char *text)
{
    struct span page = span_of(text);
    struct prometheus_sample sample, another;

    assert_true(prometheus_next(&page, &sample));
    assert_false(prometheus_next(&page, &another));
    return sample;
}

static void expect_label(const struct prometheus_sample *sample, const char *name, const char *value)
{
    struct span found;

    assert_true(prometheus_label(sample, name, &found));
    assert_true(span_eq(found, span_of(value)));
}

static void a_sample_has_name_labels_and_value(void **state)
{
    struct prometheus_sample sample =
        only("calls_total{upstream=\"a\",route=\"POST /x\",phase=\"wait\"} 12\n");

    assert_true(span_eq(sample.name, SPAN_LIT("calls_total")));
    assert_true(sample.value == 12);
    expect_label(&sample, "upstream", "a");
    expect_label(&sample, "route", "POST /x");
    expect_label(&sample, "phase", "wait");
}

static void quotes_and_braces_inside_a_value_end_nothing(void **state)
{
    struct prometheus_sample sample = only("x{route=\"a \\\"} b\\\\\",phase=\"wait\"} 3\n");

    expect_label(&sample, "route", "a \\\"} b\\\\");
    expect_label(&sample, "phase", "wait");
    assert_true(sample.value == 3);
}

static void a_label_that_is_not_there_is_not_found(void **state)
{
    struct prometheus_sample sample = only("x{upstream=\"phase\"} 3\n"), plain = only("x 3\n");
    struct span value;

    assert_false(prometheus_label(&sample, "phase", &value));
    assert_false(prometheus_label(&sample, "up", &value));
    assert_false(prometheus_label(&plain, "upstream", &value));
}

static void values_are_numbers_of_any_kind(void **state)
{
    assert_true(only("x 1.5e3").value == 1500);
    assert_true(only("x -2\n").value == -2);
    assert_true(isinf(only("x +Inf\n").value));
    assert_true(isnan(only("x NaN\n").value));
}

static void other_lines_are_passed_over(void **state)
{
    struct prometheus_sample sample =
        only("# HELP x A text.\n# TYPE x counter\n\nno-value\nx{a=\"1\" 2\ny{} \nz{a=\"b\"} one\nx 7\n# end");

    assert_true(sample.value == 7);
}

static void pieces_of_a_page_do_no_harm(void **state)
{
    static const char page[] = "x{route=\"a \\\"} b\\\\\",phase=\"wait\",le=\"0.5\"} 3\ny 4\n";

    for (size_t from = 0; from < sizeof(page); from++) {
        for (size_t to = from; to < sizeof(page); to++) {
            /* Its own memory, so that a sanitizer sees each byte beyond it. */
            char *copy = malloc(to - from + 1);
            struct span rest = {copy, to - from};
            struct prometheus_sample sample;
            struct span value;

            assert_non_null(copy);
            memcpy(copy, page + from, to - from);
            while (prometheus_next(&rest, &sample))
                (void)prometheus_label(&sample, "none", &value);
            assert_int_equal(rest.len, 0);
            free(copy);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sample_has_name_labels_and_value),
        cmocka_unit_test(quotes_and_braces_inside_a_value_end_nothing),
        cmocka_unit_test(a_label_that_is_not_there_is_not_found),
        cmocka_unit_test(values_are_numbers_of_any_kind),
        cmocka_unit_test(other_lines_are_passed_over),
        cmocka_unit_test(pieces_of_a_page_do_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
