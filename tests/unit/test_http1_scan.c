/* Finding the end of a head while it arrives, and refusing early what no head can hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "http/http1.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct result {
    enum http1_status status;
    size_t start, end;
};

/* Scans `bytes` as they arrive: `step` bytes more each time, from a block that ends where they end. */
static struct result scan_in_steps(struct span bytes, size_t first, size_t step, bool is_response)
{
    struct http1_scan scan = {.is_response = is_response};
    struct result result = {HTTP1_MORE, 0, 0};
    size_t have = first;

    for (;;) {
        char *block = malloc(have + 1);
        struct span head;

        assert_non_null(block);
        memcpy(block, bytes.ptr, have);
        result.status = http1_scan(&scan, (struct span){block, have}, &head, &result.end);
        if (result.status == HTTP1_DONE)
            result.start = (size_t)(head.ptr - block);
        free(block);
        if (result.status != HTTP1_MORE || have == bytes.len)
            return result;
        have = bytes.len - have < step ? bytes.len : have + step;
    }
}

static struct result scan_at_once(struct span bytes, bool is_response)
{
    return scan_in_steps(bytes, bytes.len, 1, is_response);
}

static const struct {
    struct span bytes;
    enum http1_status status;
    size_t start, end;
} heads[] = {
    {SPAN_LIT(""), HTTP1_MORE, 0, 0},
    {SPAN_LIT("GET"), HTTP1_MORE, 0, 0},
    {SPAN_LIT("GET / HTTP/1.1\r\n"), HTTP1_MORE, 0, 0},
    {SPAN_LIT("GET / HTTP/1.1\r\nHost: a\r\n\r"), HTTP1_MORE, 0, 0},
    {SPAN_LIT("GET / HTTP/1.1\r\n\r\n"), HTTP1_DONE, 0, 18},
    {SPAN_LIT("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP1_DONE, 0, 27},
    {SPAN_LIT("GET / HTTP/1.1\r\nHost: a\r\n\r\n\0\n\r"), HTTP1_DONE, 0, 27},
    {SPAN_LIT("\r\nGET / HTTP/1.1\r\n\r\n"), HTTP1_DONE, 2, 20},
    {SPAN_LIT("\r\n"), HTTP1_MORE, 0, 0},
    {SPAN_LIT("\r\n\r\nGET / HTTP/1.1\r\n\r\n"), HTTP1_BAD, 0, 0},
    {SPAN_LIT("\nGET / HTTP/1.1\r\n\r\n"), HTTP1_BAD, 0, 0},
    {SPAN_LIT("GET / HTTP/1.1\r\nA: \t b \xc3\xa9 long enough for a second block\t\r\n\r\n"), HTTP1_DONE, 0,
     61},
    {SPAN_LIT("GET / HTTP/1.1\n"), HTTP1_BAD, 0, 0},
    {SPAN_LIT("GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n"), HTTP1_BAD, 0, 0},
    {SPAN_LIT("GET / HTTP/1.1\r\n\n"), HTTP1_BAD, 0, 0},
    {SPAN_LIT("GET / HTTP/1.1\rX"), HTTP1_BAD, 0, 0},
    {SPAN_LIT("GET / HTTP/1.1\r\r\n"), HTTP1_BAD, 0, 0},
    {SPAN_LIT("GET /\0 HTTP/1.1"), HTTP1_BAD, 0, 0},
    {SPAN_LIT("GET / HTTP/1.1\r\nA: b\x0b"), HTTP1_BAD, 0, 0},
    {SPAN_LIT("GET / HTTP/1.1\r\nA: b\x7f"), HTTP1_BAD, 0, 0},
    {SPAN_LIT("\x16\x03\x01\x02"), HTTP1_BAD, 0, 0},
};

static void finds_the_end_of_a_head_and_refuses_what_no_head_holds(void **state)
{
    for (size_t i = 0; i < COUNT(heads); i++) {
        struct result got = scan_at_once(heads[i].bytes, false);

        print_message("case %zu\n", i);
        assert_int_equal(got.status, heads[i].status);
        if (got.status != HTTP1_DONE)
            continue;
        assert_int_equal(got.start, heads[i].start);
        assert_int_equal(got.end, heads[i].end);
    }
}

static void any_split_into_reads_gives_the_same_head(void **state)
{
    for (size_t i = 0; i < COUNT(heads); i++) {
        for (size_t first = 0; first <= heads[i].bytes.len; first++) {
            struct result two = scan_in_steps(heads[i].bytes, first, heads[i].bytes.len, false);
            struct result bytes = scan_in_steps(heads[i].bytes, first, 1, false);

            assert_int_equal(two.status, heads[i].status);
            assert_int_equal(bytes.status, heads[i].status);
            if (two.status != HTTP1_DONE)
                continue;
            assert_int_equal(two.start, heads[i].start);
            assert_int_equal(two.end, heads[i].end);
            assert_int_equal(bytes.start, heads[i].start);
            assert_int_equal(bytes.end, heads[i].end);
        }
    }
}

static void a_response_has_one_empty_line_before_it_at_most(void **state)
{
    assert_int_equal(scan_at_once(SPAN_LIT("HTTP/1.1 200 OK\r\n\r\n"), true).start, 0);
    assert_int_equal(scan_at_once(SPAN_LIT("\r\nHTTP/1.1 200 OK\r\n\r\n"), true).start, 2);
    assert_int_equal(scan_at_once(SPAN_LIT("\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), true).status, HTTP1_BAD);
}

static void a_response_may_end_its_lines_with_lf(void **state)
{
    static const struct {
        struct span bytes;
        enum http1_status status;
        size_t end;
    } responses[] = {
        {SPAN_LIT("HTTP/1.1 200 OK\nA: b\n\nbody"), HTTP1_DONE, 22},
        {SPAN_LIT("HTTP/1.1 200 OK\r\nA: b\n\r\nbody"), HTTP1_DONE, 24},
        {SPAN_LIT("HTTP/1.1 200 OK\nA: b\r\n\nbody"), HTTP1_DONE, 23},
        {SPAN_LIT("HTTP/1.1 200 OK\n\n"), HTTP1_DONE, 17},
        {SPAN_LIT("HTTP/1.1 200 OK\n\r"), HTTP1_MORE, 0},
        {SPAN_LIT("HTTP/1.1 200 OK\nA: b\n"), HTTP1_MORE, 0},
        {SPAN_LIT("\nHTTP/1.1 200 OK\n\n"), HTTP1_DONE, 18},
        {SPAN_LIT("\n\nHTTP/1.1 200 OK\n\n"), HTTP1_BAD, 0},
        {SPAN_LIT("HTTP/1.1 200 OK\n\rX"), HTTP1_BAD, 0},
        {SPAN_LIT("HTTP/1.1 200 OK\r\r\n"), HTTP1_BAD, 0},
        {SPAN_LIT("HTTP/1.1 200 OK\nA: b\0\n\n"), HTTP1_BAD, 0},
    };

    for (size_t i = 0; i < COUNT(responses); i++) {
        print_message("case %zu\n", i);
        for (size_t first = 0; first <= responses[i].bytes.len; first++) {
            struct result got = scan_in_steps(responses[i].bytes, first, 1, true);

            assert_int_equal(got.status, responses[i].status);
            if (got.status == HTTP1_DONE)
                assert_int_equal(got.end, responses[i].end);
        }
    }
}

static void every_control_byte_but_tab_is_refused_wherever_it_lies_in_a_line(void **state)
{
    char line[] = "GET / HTTP/1.1\r\nName: 0123456789abcdefghijklmnopqrstuvwxyz\r\n\r\n";
    const size_t first = sizeof("GET / HTTP/1.1\r\nName: ") - 1;

    for (size_t at = first; at < first + 36; at++) {
        char kept = line[at];

        for (int c = 0; c < 256; c++) {
            bool sound = (c >= 0x20 && c != 0x7f) || c == '\t';

            line[at] = (char)c;
            assert_int_equal(scan_at_once((struct span){line, sizeof(line) - 1}, false).status,
                             sound ? HTTP1_DONE : HTTP1_BAD);
        }
        line[at] = kept;
    }
}

static void the_first_line_is_known_before_the_head_is_whole(void **state)
{
    struct span bytes = SPAN_LIT("\r\nGET /x HTTP/1.1\r\nHost: a"), head, line;
    struct http1_scan scan = {0};
    size_t end;

    assert_int_equal(http1_scan(&scan, (struct span){bytes.ptr, 18}, &head, &end), HTTP1_MORE);
    assert_false(http1_first_line(&scan, (struct span){bytes.ptr, 18}, &line));
    assert_int_equal(http1_scan(&scan, (struct span){bytes.ptr, 19}, &head, &end), HTTP1_MORE);
    assert_true(http1_first_line(&scan, (struct span){bytes.ptr, 19}, &line));
    assert_true(span_eq(line, SPAN_LIT("GET /x HTTP/1.1")));
    assert_int_equal(http1_scan(&scan, bytes, &head, &end), HTTP1_MORE);
    assert_true(http1_first_line(&scan, bytes, &line));
    assert_true(span_eq(line, SPAN_LIT("GET /x HTTP/1.1")));
}

/* What becomes of bytes that may hold a head of `max` bytes, when they come `step` at a time. */
struct verdict {
    enum http1_status status;
    enum cause excess;
};

static struct verdict judge_in_steps(struct span bytes, size_t step, size_t max)
{
    struct http1_scan scan = {0};
    struct verdict verdict;
    size_t have = 0, end = 0;

    do {
        struct span head;

        have = bytes.len - have < step ? bytes.len : have + step;
        verdict.status = http1_scan(&scan, (struct span){bytes.ptr, have}, &head, &end);
        verdict.excess = http1_head_excess(&scan, (struct span){bytes.ptr, have}, end, max);
    } while (verdict.status == HTTP1_MORE && verdict.excess == CAUSE_NONE && have < bytes.len);
    return verdict;
}

static const struct {
    struct span bytes;
    size_t max;
    struct verdict verdict;
} lengths[] = {
    {SPAN_LIT("GET / HTTP/1.1\r\nA: b\r\n\r\n"), 24, {HTTP1_DONE, CAUSE_NONE}},
    {SPAN_LIT("GET / HTTP/1.1\r\nA: b\r\n\r\n"), 23, {HTTP1_DONE, CAUSE_HEAD_TOO_LARGE}},
    {SPAN_LIT("GET / HTTP/1.1\r\nA: b\r\n\r\n"), 14, {HTTP1_DONE, CAUSE_HEAD_TOO_LARGE}},
    {SPAN_LIT("GET / HTTP/1.1\r\nA: b\r\n\r\n"), 13, {HTTP1_DONE, CAUSE_TARGET_TOO_LONG}},
    /* An empty line before it is none of the head's. */
    {SPAN_LIT("\r\nGET / HTTP/1.1\r\nA: b\r\n\r\n"), 24, {HTTP1_DONE, CAUSE_NONE}},
    {SPAN_LIT("\r\nGET / HTTP/1.1\r\nA: b\r\n\r\n"), 23, {HTTP1_DONE, CAUSE_HEAD_TOO_LARGE}},
    /* What stands behind it is not, either. */
    {SPAN_LIT("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n"), 18, {HTTP1_DONE, CAUSE_NONE}},
    {SPAN_LIT("GET / HTTP/1.1\r\nA: bcde"), 24, {HTTP1_MORE, CAUSE_NONE}},
    {SPAN_LIT("GET / HTTP/1.1\r\nA: bcde"), 22, {HTTP1_MORE, CAUSE_HEAD_TOO_LARGE}},
    {SPAN_LIT("GET /aaaaaaaaaa"), 14, {HTTP1_MORE, CAUSE_TARGET_TOO_LONG}},
    /* Broken within the bound, and behind it. */
    {SPAN_LIT("GET / HTTP/1.1\nA: b\r\n\r\n"), 14, {HTTP1_BAD, CAUSE_NONE}},
    {SPAN_LIT("GET / HTTP/1.1\nA: b\r\n\r\n"), 13, {HTTP1_BAD, CAUSE_TARGET_TOO_LONG}},
    {SPAN_LIT("GET / HTTP/1.1\rA: b\r\n\r\n"), 14, {HTTP1_BAD, CAUSE_NONE}},
    {SPAN_LIT("GET / HTTP/1.1\r\nA: b\0\r\n\r\n"), 19, {HTTP1_BAD, CAUSE_HEAD_TOO_LARGE}},
};

static void too_long_a_head_is_named_so_however_it_comes(void **state)
{
    for (size_t i = 0; i < COUNT(lengths); i++) {
        print_message("case %zu\n", i);
        for (size_t step = lengths[i].bytes.len; step > 0; step--) {
            struct verdict verdict = judge_in_steps(lengths[i].bytes, step, lengths[i].max);

            assert_int_equal(verdict.excess, lengths[i].verdict.excess);
            if (verdict.excess == CAUSE_NONE)
                assert_int_equal(verdict.status, lengths[i].verdict.status);
        }
    }
}

static void check_odd_line(struct span bytes, size_t max, const char *want)
{
    struct http1_scan scan = {.is_response = true};
    struct span head, odd;
    size_t end;

    (void)http1_scan(&scan, bytes, &head, &end);
    odd = http1_odd_line(&scan, bytes, max);
    assert_true(odd.len >= strlen(want));
    assert_memory_equal(odd.ptr, want, strlen(want));
    assert_ptr_equal(odd.ptr + odd.len, bytes.ptr + bytes.len);
}

static void the_line_at_fault_can_be_shown(void **state)
{
    check_odd_line(SPAN_LIT("HTTP/1.1 200 OK\r\nA: b\r\nB: c\0\r\nC: d\r\n\r\n"), 1000, "B: c");
    check_odd_line(SPAN_LIT("\x15\x03\x01"), 1000, "\x15\x03\x01");
    check_odd_line(SPAN_LIT("HTTP/1.1 200 OK\r\nA: b\rc\r\n"), 1000, "A: b\rc");
    check_odd_line(SPAN_LIT(""), 1000, "");
    /* The one that passes the bound, whether the head is whole or not. */
    check_odd_line(SPAN_LIT("HTTP/1.1 200 OK\r\nA: b\r\nB: cccc\r\nC: d\r\n\r\n"), 25, "B: cccc");
    check_odd_line(SPAN_LIT("HTTP/1.1 200 OK\r\nA: b\r\nB: cccc"), 25, "B: cccc");
    check_odd_line(SPAN_LIT("HTTP/1.1 200 OK\r\nA: b\r\n\r\n"), 0, "HTTP/1.1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_line_at_fault_can_be_shown),
        cmocka_unit_test(finds_the_end_of_a_head_and_refuses_what_no_head_holds),
        cmocka_unit_test(any_split_into_reads_gives_the_same_head),
        cmocka_unit_test(a_response_has_one_empty_line_before_it_at_most),
        cmocka_unit_test(a_response_may_end_its_lines_with_lf),
        cmocka_unit_test(every_control_byte_but_tab_is_refused_wherever_it_lies_in_a_line),
        cmocka_unit_test(the_first_line_is_known_before_the_head_is_whole),
        cmocka_unit_test(too_long_a_head_is_named_so_however_it_comes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
