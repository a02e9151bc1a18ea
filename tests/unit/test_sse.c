/* Server-sent events, counted over any split of their bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/sse.h"

static const struct span pings[] = {{"ping", 4}, {"heartbeat", 9}};
static const struct sse_terms terms = {pings, 2};
static const struct sse_terms no_terms = {NULL, 0};

/* What blocks there are: "c" a comment, "o" fields that are no event, "e" an event. */
static void read_all(const struct sse_terms *by, struct span bytes, size_t split, char *blocks)
{
    struct sse sse;
    size_t count = 0;

    sse_begin(&sse, by);
    for (int part = 0; part < 2; part++) {
        struct span piece =
            part == 0 ? (struct span){bytes.ptr, split} : (struct span){bytes.ptr + split, bytes.len - split};
        /* A block of its own, so that a read behind its end is seen. */
        char *copy = malloc(piece.len + (piece.len == 0));
        enum sse_block block;

        assert_non_null(copy);
        memcpy(copy, piece.ptr, piece.len);
        piece.ptr = copy;
        while ((block = sse_next(&sse, by, &piece)) != SSE_NONE)
            blocks[count++] = "?coe"[block];
        assert_int_equal(piece.len, 0);
        free(copy);
    }
    blocks[count] = '\0';
}

static void check_by(const struct sse_terms *by, struct span bytes, const char *expected)
{
    char blocks[64];

    for (size_t split = 0; split <= bytes.len; split++) {
        read_all(by, bytes, split, blocks);
        if (strcmp(blocks, expected) != 0)
            print_error("split at %zu of \"%.*s\"\n", split, SPAN_FMT(bytes));
        assert_string_equal(blocks, expected);
    }
}

#define CHECK(text, expected) check_by(&terms, SPAN_LIT(text), (expected))

static void an_event_is_a_block_with_data(void **state)
{
    CHECK("data: hello\n\n", "e");
    CHECK("data: a\n\ndata: b\n\n", "ee");
    CHECK("data: a\ndata: b\n\n", "e");
    CHECK("id: 7\nevent: message_start\ndata: {\"a\": 1}\n\n", "e");
    CHECK("data:\n\n", "e");
    CHECK("data\n\n", "e");
    CHECK("data:x\n\n", "e");
    CHECK("data: [DONE]\n\n", "e");
}

static void what_keeps_a_connection_warm_is_no_event(void **state)
{
    CHECK(": ping\n\n", "c");
    CHECK(": ping\n\n: ping\n\n", "cc");
    CHECK(":\n\n", "c");
    CHECK("\n\n\n", "ccc");
    CHECK("retry: 3000\n\n", "o");
    CHECK("id: 1\n\n", "o");
    CHECK("event: done\n\n", "o");
    CHECK(": OPENROUTER PROCESSING\n\n", "c");
    CHECK("event: ping\ndata: {\"type\": \"ping\"}\n\n", "o");
    CHECK("data: {\"type\": \"ping\"}\nevent: ping\n\n", "o");
    CHECK("event:ping\ndata: 1\n\n", "o");
    CHECK("event: heartbeat\ndata: 1\n\n", "o");
}

static void only_the_whole_type_is_ignored(void **state)
{
    CHECK("event: pin\ndata: 1\n\n", "e");
    CHECK("event: pings\ndata: 1\n\n", "e");
    CHECK("event: ping \ndata: 1\n\n", "e");
    CHECK("event:  ping\ndata: 1\n\n", "e");
    CHECK("event: Ping\ndata: 1\n\n", "e");
    CHECK("event: pong\ndata: 1\n\n", "e");
    CHECK("event: \ndata: 1\n\n", "e");
    CHECK("event:\ndata: 1\n\n", "e");
    CHECK("event\ndata: 1\n\n", "e");
}

static void of_several_types_in_a_block_the_last_counts(void **state)
{
    CHECK("event: ping\nevent: token\ndata: 1\n\n", "e");
    CHECK("event: token\nevent: ping\ndata: 1\n\n", "o");
    CHECK("event: ping\nevent\ndata: 1\n\n", "e");
    CHECK("event: ping\ndata: 1\n\ndata: 1\n\n", "oe");
}

static void an_event_without_a_type_is_a_message(void **state)
{
    static const struct span messages[] = {{"message", 7}};
    static const struct sse_terms by = {messages, 1};

    check_by(&by, SPAN_LIT("data: 1\n\n"), "o");
    check_by(&by, SPAN_LIT("event:\ndata: 1\n\n"), "o");
    check_by(&by, SPAN_LIT("event: \ndata: 1\n\n"), "o");
    check_by(&by, SPAN_LIT("event\ndata: 1\n\n"), "o");
    check_by(&by, SPAN_LIT("event: message\ndata: 1\n\n"), "o");
    check_by(&by, SPAN_LIT("event: token\ndata: 1\n\n"), "e");
    check_by(&by, SPAN_LIT("event: token\nevent: \ndata: 1\n\n"), "o");
}

static void nothing_need_be_ignored(void **state)
{
    check_by(&no_terms, SPAN_LIT("event: ping\ndata: 1\n\n"), "e");
    check_by(&no_terms, SPAN_LIT("event: \ndata: 1\n\n: x\n\n"), "ec");
}

static void names_that_only_begin_like_data_are_others(void **state)
{
    CHECK("datas: 1\n\n", "o");
    CHECK("dat: 1\n\n", "o");
    CHECK("dat\n\n", "o");
    CHECK(" data: 1\n\n", "o");
    CHECK("Data: 1\n\n", "o");
    CHECK("data : 1\n\n", "o");
    CHECK("events: ping\ndata: 1\n\n", "e");
    CHECK("x: data: 1\n\n", "o");
    CHECK(": data: 1\n\n", "c");
}

static void lines_end_with_lf_cr_or_both(void **state)
{
    CHECK("data: a\r\n\r\n", "e");
    CHECK("data: a\r\r", "e");
    CHECK("data: a\r\n\n", "e");
    CHECK("data: a\n\r\n", "e");
    CHECK("data: a\r\n\r\ndata: b\r\n\r\n", "ee");
    CHECK("data: a\r\rdata: b\r\r", "ee");
    CHECK("data\r\rdata\n\n", "ee");
    CHECK("event: ping\rdata: a\r\r", "o");
    CHECK("\r\n\r\n", "cc");
    CHECK("\n\r\n\r", "ccc");
}

static void an_event_counts_once_its_empty_line_has_come(void **state)
{
    CHECK("data: a", "");
    CHECK("data: a\n", "");
    CHECK("data: a\r", "");
    CHECK("data: a\r\n", "");
    CHECK("data: a\n\ndata: b\n", "e");
}

static void a_byte_order_mark_may_begin_the_stream(void **state)
{
    CHECK("\xef\xbb\xbf"
          "data: a\n\n",
          "e");
    CHECK("\xef\xbb\xbf: a\n\n", "c");
    CHECK("\xef\xbb\xbf\n", "c");
    CHECK("\xef\xbb"
          "data: a\n\n",
          "o");
    CHECK("\xef\n\n", "o");
    CHECK("data: a\n\n\xef\xbb\xbf"
          "data: b\n\n",
          "eo");
}

static void any_byte_may_be_in_a_value(void **state)
{
    CHECK("data: \0\x01\xff\t\x7f : 1\n\n", "e");
    CHECK("data: 0123456789abcdef0123456789abcdef\n\ndata: 0123456789abcde\n\n", "ee");
    CHECK("\0data: 1\n\n", "o");
}

static void a_long_type_is_no_burden(void **state)
{
    char text[70000], blocks[8];
    struct span bytes = {text, sizeof(text)};

    memset(text, 'p', sizeof(text));
    memcpy(text, "event: ", 7);
    memcpy(text + sizeof(text) - 10, "\ndata: 1\n\n", 10);
    read_all(&terms, bytes, 40000, blocks);
    assert_string_equal(blocks, "e");
    read_all(&no_terms, bytes, 7, blocks);
    assert_string_equal(blocks, "e");
}

static void events_are_counted_over_a_read(void **state)
{
    struct sse sse;

    sse_begin(&sse, &terms);
    assert_int_equal(sse_count(&sse, &terms, SPAN_LIT("data: 1\n\n: x\n\ndata: 2\n\ndata")), 2);
    assert_int_equal(sse_count(&sse, &terms, SPAN_LIT("")), 0);
    assert_int_equal(sse_count(&sse, &terms, SPAN_LIT(": 3\n")), 0);
    assert_int_equal(sse_count(&sse, &terms, SPAN_LIT("\n")), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_a_block_with_data),
        cmocka_unit_test(what_keeps_a_connection_warm_is_no_event),
        cmocka_unit_test(only_the_whole_type_is_ignored),
        cmocka_unit_test(of_several_types_in_a_block_the_last_counts),
        cmocka_unit_test(an_event_without_a_type_is_a_message),
        cmocka_unit_test(nothing_need_be_ignored),
        cmocka_unit_test(names_that_only_begin_like_data_are_others),
        cmocka_unit_test(lines_end_with_lf_cr_or_both),
        cmocka_unit_test(an_event_counts_once_its_empty_line_has_come),
        cmocka_unit_test(a_byte_order_mark_may_begin_the_stream),
        cmocka_unit_test(any_byte_may_be_in_a_value),
        cmocka_unit_test(a_long_type_is_no_burden),
        cmocka_unit_test(events_are_counted_over_a_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
