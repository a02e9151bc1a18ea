/* What GET /calls says, as a table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "view/call_list.h"

static const char answer[] =
    "{\"calls\": [{\"id\": \"c0ffee\", \"upstream\": \"payments\", \"route\": \"default\", \"method\": \"GET\","
    " \"phase\": \"wait\", \"age_ms\": 61000, \"left_ms\": -5, \"phase_ms\": 950, \"bytes_up\": 0, \"bytes_down\": 12345,"
    " \"sent\": \"complete\", \"try\": 2,"
    " \"hedged\": true, \"breaker\": \"probe\", \"caller_protocol\": \"h2\"}, {\"id\": \"2\", \"upstream\": null}], \"matching\": 7, \"in_flight\": 9,"
    " \"longest_stop_ms\": 0.1}";

static void expect_line(const struct text *line, const char *expected)
{
    char block[512] = {0};

    assert_true(line->len < sizeof(block));
    memcpy(block, line->ptr, line->len);
    assert_string_equal(block, expected);
}

static void a_list_is_read_and_printed(void **state)
{
    struct call_list list;
    char block[512];
    struct text line = text_over(block, sizeof(block));
    struct call_columns columns;

    assert_true(call_list_read(&list, span_of(answer)));
    assert_int_equal(list.count, 2);
    assert_int_equal(list.matching, 7);
    assert_int_equal(list.in_flight, 9);
    columns = call_list_columns(&list);
    call_list_put_head(&line, columns);
    expect_line(&line,
                "   LEFT     AGE PHASE       FOR UPSTREAM METHOD  ROUTE   ID               SENT         UP"
                "   DOWN");
    line = text_over(block, sizeof(block));
    call_list_put_row(&line, columns, &list.rows[0]);
    expect_line(&line,
                "   -5ms   1m01s wait      950ms payments GET     default c0ffee           complete      0"
                "    12k  try 2, two at once  probe  h2 from caller");
    call_list_free(&list);
}

static void what_is_not_known_is_a_question_mark(void **state)
{
    struct call_list list;

    assert_true(call_list_read(&list, span_of(answer)));
    assert_string_equal(list.rows[1].id, "2");
    assert_string_equal(list.rows[1].upstream, "?");
    assert_string_equal(list.rows[1].phase, "?");
    assert_int_equal(list.rows[1].age_ms, 0);
    call_list_free(&list);
}

static void a_long_name_is_shortened_in_its_middle(void **state)
{
    static const char long_answer[] =
        "{\"calls\": [{\"upstream\": \"a-name-that-is-longer-than-any-column\", \"route\": \"r\"}]}";
    struct call_list list;
    char block[512];
    struct text line = text_over(block, sizeof(block));

    assert_true(call_list_read(&list, span_of(long_answer)));
    assert_int_equal(call_list_columns(&list).upstream, 24);
    call_list_put_row(&line, call_list_columns(&list), &list.rows[0]);
    block[line.len] = '\0';
    assert_non_null(strstr(block, " a-name-that-~-any-column ?"));
    call_list_free(&list);
}

/* An id of 16 digits is whole at each width that has room for one beside the times; names give way. */
static void the_id_is_whole_on_a_narrow_screen(void **state)
{
    static const char wide_answer[] =
        "{\"calls\": [{\"id\": \"0123456789abcdef\", \"upstream\": \"an-upstream-with-a-long-name\","
        " \"method\": \"OPTIONS\", \"route\": \"POST /v1/reports/of/the/year\"}]}";
    struct call_list list;
    char block[512], head[512];

    assert_true(call_list_read(&list, span_of(wide_answer)));
    for (int width = 48; width <= 200; width++) {
        struct call_columns columns = call_list_fit(call_list_columns(&list), width);
        struct text line = text_over(block, sizeof(block)), title = text_over(head, sizeof(head));
        const char *id;

        call_list_put_row(&line, columns, &list.rows[0]);
        call_list_put_head(&title, columns);
        block[line.len] = head[title.len] = '\0';
        id = strstr(block, "0123456789abcdef ");
        assert_non_null(id);
        assert_true(id + 16 - block <= width);
        assert_int_equal(strstr(head, "ID ") - head, id - block);
        assert_true(width < 57 || columns.upstream >= 8);
        assert_true(width < 74 || (columns.route >= 8 && columns.method == 7));
        assert_true(width < 106 || (columns.route == 24 && columns.upstream == 24));
    }
    call_list_free(&list);
}

static void other_answers_are_no_list(void **state)
{
    static const char *const others[] = {"", "{}", "[]", "{\"calls\": 3}", "{\"calls\": [", "nonsense"};
    struct call_list list;

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_false(call_list_read(&list, span_of(others[i])));
        assert_int_equal(list.count, 0);
        call_list_free(&list);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_read_and_printed),
        cmocka_unit_test(what_is_not_known_is_a_question_mark),
        cmocka_unit_test(a_long_name_is_shortened_in_its_middle),
        cmocka_unit_test(the_id_is_whole_on_a_narrow_screen),
        cmocka_unit_test(other_answers_are_no_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
