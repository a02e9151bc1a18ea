/* What a response head must be, and how its content is delimited. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/text.h"
#include "http/http1.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct http1_field room[HTTP1_FIELDS_IN(65536)];
static struct http1_head head = HTTP1_HEAD_OVER(room);
static const char *detail;

static enum cause parse_with(const char *line, const char *fields, enum http1_method method)
{
    static char block[65536];
    struct text text = text_over(block, sizeof(block));

    text_put(&text, span_of(line));
    TEXT_LIT(&text, "\r\n");
    text_put(&text, span_of(fields));
    TEXT_LIT(&text, "\r\n");
    assert_false(text.overflow);
    return http1_parse_response(text_span(&text), method, &head, &detail);
}

static enum cause parse(const char *line, const char *fields)
{
    return parse_with(line, fields, HTTP1_GET);
}

static void the_status_line_has_a_version_three_digits_and_a_reason(void **state)
{
    static const struct {
        const char *line;
        uint16_t code; /* 0: refused */
        const char *reason;
    } lines[] = {
        {"HTTP/1.1 200 OK", 200, "OK"},
        {"HTTP/1.0 404 Not  Found\t\xc3\xa9", 404, "Not  Found\t\xc3\xa9"},
        {"HTTP/1.1 200 ", 200, ""},
        {"HTTP/1.1 200", 200, ""},
        {"HTTP/1.7 599 x", 599, "x"},
        {"HTTP/1.1 100 Continue", 100, "Continue"},
        {"HTTP/1.1 099 x", 0, ""},
        {"HTTP/1.1 600 x", 600, "x"},
        {"HTTP/1.1 999", 999, ""},
        {"HTTP/1.1 000 x", 0, ""},
        {"HTTP/1.1 1000 x", 0, ""},
        {"HTTP/1.1 20 OK", 0, ""},
        {"HTTP/1.1 2000 OK", 0, ""},
        {"HTTP/1.1 2a0 OK", 0, ""},
        {"HTTP/1.1 +20 OK", 0, ""},
        {"HTTP/1.1  200 OK", 200, "OK"},
        {"HTTP/1.1 \t 404", 404, ""},
        {"HTTP/1.1\t200 OK", 200, "OK"},
        {"HTTP/1.1 200\tOK", 200, "OK"},
        {"HTTP/1.1200 OK", 0, ""},
        {"HTTP/1.1 200OK", 0, ""},
        {"HTTP/1.1 20", 0, ""},
        {"HTTP/1.1          ", 0, ""},
        {"HTTP/1.1  20", 0, ""},
        {" HTTP/1.1 200 OK", 0, ""},
        {"HTTP/2.0 200 OK", 0, ""},
        {"HTTP/0.9 200 OK", 0, ""},
        {"http/1.1 200 OK", 0, ""},
        {"HTTP/1.1", 0, ""},
        {"HTTP/1.1 101 Switching Protocols", 0, ""},
        {"SSH-2.0-OpenSSH_9.2p1 Debian", 0, ""},
        {"", 0, ""},
    };

    for (size_t i = 0; i < COUNT(lines); i++) {
        enum cause want = lines[i].code != 0 ? CAUSE_NONE : CAUSE_HTTP_PROTOCOL;

        print_message("line: %s\n", lines[i].line);
        assert_int_equal(parse(lines[i].line, ""), want);
        assert_true((want == CAUSE_NONE) == (detail[0] == '\0'));
        if (want != CAUSE_NONE)
            continue;
        assert_int_equal(head.code, lines[i].code);
        assert_true(span_eq(head.reason, span_of(lines[i].reason)));
    }
}

static void a_status_can_be_read_when_its_line_has_ended(void **state)
{
    static const struct {
        const char *bytes;
        int code; /* -1: none to be had */
    } begun[] = {
        {"HTTP/1.1 500 x\r\nA: b\r\n\r\n", 500},
        {"HTTP/1.1 500 x\r", 500},
        {"HTTP/1.0 429\n", 429},
        {"HTTP/1.1 099 x\r\n", 99},
        {"HTTP/1.1 000 x\r\n", 0},
        {"HTTP/1.1 999\r\n: no field", 999},
        {"HTTP/1.1 500 x", -1},
        {"HTTP/1.1 50", -1},
        {"HTTP/1.1 5000 x\r\n", -1},
        {"HTTP/2.0 500 x\r\n", -1},
        {"\r\nHTTP/1.1 500 x\r\n", -1},
        {"\n", -1},
        {"", -1},
    };

    for (size_t i = 0; i < COUNT(begun); i++) {
        uint16_t code = 1;

        print_message("begun: %s\n", begun[i].bytes);
        assert_true(http1_read_status(span_of(begun[i].bytes), &code) == (begun[i].code >= 0));
        assert_int_equal(code, begun[i].code >= 0 ? begun[i].code : 1);
    }
}

static void what_can_be_no_response_is_known_by_its_first_bytes(void **state)
{
    static const struct {
        const char *bytes;
        bool may_be;
    } begun[] = {
        {"H", true},
        {"HTTP/1.", true},
        {"HTTP/1.1 200", true},
        {"HTTP/1.1 200\r", true},
        {"HTTP/1.1  204\n", true},
        {"HTTP/1.1 200 OK\r\nno field", true}, /* that is for the whole head to say */
        {"\r", true},
        {"\r\n", true},
        {"\n", true},
        {"\r\nHT", true},
        {"\r\nHTTP/1.0 200\r\nA", true},
        {"S", false},
        {"SSH-2.0-OpenSSH_9.2\r\n", false},
        {"220 mail.example ESMTP\r\n", false},
        {"{\"error\": 1}", false},
        {"HTTP/2", false},
        {"HTTP/1.1 20 x\r\n", false},
        {"HTTP/1.1 099 x\r\n", false},
        {"HTTP/1.x 200\n", false},
        {"\r\nSSH", false},
        {" HTTP/1.1", false},
    };

    for (size_t i = 0; i < COUNT(begun); i++) {
        struct span bytes = span_of(begun[i].bytes), unused;
        struct http1_scan scan = {.is_response = true};
        size_t end;

        print_message("begun: %s\n", begun[i].bytes);
        assert_int_equal(http1_scan(&scan, bytes, &unused, &end), HTTP1_MORE);
        assert_true(http1_may_be_response(&scan, bytes) == begun[i].may_be);
    }
}

static void framing_follows_method_code_and_fields(void **state)
{
    static const struct {
        const char *line, *fields;
        enum http1_method method;
        enum http1_framing framing;
        uint64_t length;
    } heads[] = {
        {"HTTP/1.1 200 OK", "Content-Length: 5\r\n", HTTP1_GET, HTTP1_LENGTH, 5},
        {"HTTP/1.1 200 OK", "Content-Length: 0\r\n", HTTP1_GET, HTTP1_LENGTH, 0},
        {"HTTP/1.1 200 OK", "Transfer-Encoding: Chunked\r\n", HTTP1_POST, HTTP1_CHUNKED, 0},
        {"HTTP/1.1 200 OK", "", HTTP1_GET, HTTP1_UNTIL_CLOSE, 0},
        {"HTTP/1.1 500 x", "", HTTP1_METHOD_OTHER, HTTP1_UNTIL_CLOSE, 0},
        {"HTTP/1.1 200 OK", "Content-Length: 5\r\n", HTTP1_HEAD, HTTP1_NO_CONTENT, 5},
        {"HTTP/1.1 200 OK", "Transfer-Encoding: chunked\r\n", HTTP1_HEAD, HTTP1_NO_CONTENT, 0},
        {"HTTP/1.1 200 OK", "", HTTP1_HEAD, HTTP1_NO_CONTENT, 0},
        {"HTTP/1.1 304 Not Modified", "Content-Length: 5\r\n", HTTP1_GET, HTTP1_NO_CONTENT, 5},
        {"HTTP/1.1 304 Not Modified", "Transfer-Encoding: chunked\r\n", HTTP1_GET, HTTP1_NO_CONTENT, 0},
        {"HTTP/1.1 204 No Content", "", HTTP1_GET, HTTP1_NO_CONTENT, 0},
        {"HTTP/1.1 204 No Content", "Content-Length: 0\r\n", HTTP1_GET, HTTP1_NO_CONTENT, 0},
        {"HTTP/1.1 100 Continue", "", HTTP1_POST, HTTP1_NO_CONTENT, 0},
        {"HTTP/1.1 103 Early Hints", "Link: x\r\n", HTTP1_GET, HTTP1_NO_CONTENT, 0},
        {"HTTP/1.0 200 OK", "Connection: keep-alive\r\n", HTTP1_GET, HTTP1_UNTIL_CLOSE, 0},
    };

    for (size_t i = 0; i < COUNT(heads); i++) {
        print_message("%s: %s\n", heads[i].line, heads[i].fields);
        assert_int_equal(parse_with(heads[i].line, heads[i].fields, heads[i].method), CAUSE_NONE);
        assert_int_equal(head.framing, heads[i].framing);
        assert_int_equal(head.content_length, heads[i].length);
    }
}

static void ambiguous_framing_is_a_protocol_error(void **state)
{
    static const struct {
        const char *line, *fields;
    } heads[] = {
        {"HTTP/1.1 200 OK", "Content-Length: 5\r\nContent-Length: 6\r\n"},
        {"HTTP/1.1 200 OK", "Content-Length: 5, 5\r\nContent-Length: 5, 6\r\n"},
        {"HTTP/1.1 200 OK", "Content-Length: 5,\r\n"},
        {"HTTP/1.1 200 OK", "Content-Length: ,5\r\n"},
        {"HTTP/1.1 200 OK", "Content-Length: 5\r\nContent-Length:\r\n"},
        {"HTTP/1.1 200 OK", "Content-Length: 5 5\r\n"},
        {"HTTP/1.1 200 OK", "Content-Length: 5\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n"},
        {"HTTP/1.1 200 OK", "Content-Length: x\r\n"},
        {"HTTP/1.1 200 OK", "Content-Length: 9223372036854775808\r\n"},
        {"HTTP/1.1 200 OK", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"},
        {"HTTP/1.1 200 OK", "Transfer-Encoding: gzip\r\n"},
        {"HTTP/1.1 200 OK", "Transfer-Encoding: gzip, chunked\r\n"},
        {"HTTP/1.1 200 OK", "Transfer-Encoding: chunked, chunked\r\n"},
        {"HTTP/1.1 200 OK", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"},
        {"HTTP/1.0 200 OK", "Transfer-Encoding: chunked\r\n"},
        {"HTTP/1.1 200 OK", "Content-Length : 5\r\n"},
        {"HTTP/1.1 200 OK", "A: b\r\n c\r\n"},
        {"HTTP/1.1 200 OK", "A: b\rc\r\n"},
        {"HTTP/1.1 200 OK", "no colon\r\n"},
    };

    for (size_t i = 0; i < COUNT(heads); i++) {
        print_message("%s: %s\n", heads[i].line, heads[i].fields);
        assert_int_equal(parse(heads[i].line, heads[i].fields), CAUSE_HTTP_PROTOCOL);
        assert_true(detail[0] != '\0');
    }
}

static void a_refused_head_says_which_line_is_at_fault(void **state)
{
    static const struct {
        const char *line, *fields, *odd;
    } heads[] = {
        {"HTTP/1.1 2000 OK", "A: b\r\n", "HTTP/1.1 2000 OK\r\nA"},
        {"HTTP/1.1 200 OK", "A: b\r\n c\r\nD: e\r\n", " c\r\nD"},
        {"HTTP/1.1 200 OK", "A: b\r\nno colon\r\n", "no colon\r\n"},
        {"HTTP/1.1 200 OK", "A: b\r\nContent-Length: x\r\nC: d\r\n", "Content-Length: x\r\n"},
        {"HTTP/1.1 200 OK", "A: b\r\nTransfer-Encoding: gzip\r\nC: d\r\n", "Transfer-Encoding: gzip\r\n"},
    };

    for (size_t i = 0; i < COUNT(heads); i++) {
        assert_int_equal(parse(heads[i].line, heads[i].fields), CAUSE_HTTP_PROTOCOL);
        assert_true(head.odd.len >= strlen(heads[i].odd));
        assert_memory_equal(head.odd.ptr, heads[i].odd, strlen(heads[i].odd));
    }
}

static void a_response_with_one_reading_is_taken_and_its_connection_not_kept(void **state)
{
    static const struct {
        const char *line, *fields;
        enum http1_framing framing;
        uint64_t length;
    } heads[] = {
        {"HTTP/1.1 200 OK", "Content-Length: 5\r\nContent-Length: 5\r\n", HTTP1_LENGTH, 5},
        {"HTTP/1.1 200 OK", "Content-Length: 5 ,\t5,05\r\nA: b\r\nContent-Length: 5\r\n", HTTP1_LENGTH, 5},
        {"HTTP/1.1 200 OK", "Connection: content-length\r\nContent-Length: 5\r\n", HTTP1_LENGTH, 5},
        {"HTTP/1.1 200 OK", "Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n", HTTP1_CHUNKED,
         0},
        {"HTTP/1.1 200 OK", "Connection: close x\r\nContent-Length: 5\r\n", HTTP1_LENGTH, 5},
        {"HTTP/1.1 200 OK", "Content-Length: 5\r\nA: b\n", HTTP1_LENGTH, 5},
        {"HTTP/1.1 200 OK\nA: b", "Content-Length: 5\r\n", HTTP1_LENGTH, 5},
    };

    for (size_t i = 0; i < COUNT(heads); i++) {
        print_message("%s: %s\n", heads[i].line, heads[i].fields);
        assert_int_equal(parse(heads[i].line, heads[i].fields), CAUSE_NONE);
        assert_string_equal(detail, "");
        assert_int_equal(head.framing, heads[i].framing);
        assert_int_equal(head.content_length, heads[i].length);
        assert_false(head.keep_alive);
    }
}

/* What method or code decide, no field takes back; what fields tell of content that is not sent is kept if it can be read. */
static void framing_fields_never_condemn_a_response_without_content(void **state)
{
    static const struct {
        const char *fields;
        enum http1_framing described;
        uint64_t length;
        bool odd;
    } heads[] = {
        {"", HTTP1_NO_CONTENT, 0, false},
        {"Content-Length: 0\r\n", HTTP1_LENGTH, 0, false},
        {"Content-Length: 5\r\n", HTTP1_LENGTH, 5, false},
        {"Transfer-Encoding: chunked\r\n", HTTP1_CHUNKED, 0, false},
        {"Content-Length: 5\r\nContent-Length: 5\r\n", HTTP1_LENGTH, 5, true},
        {"Content-Length: 5\r\nContent-Length: 6\r\n", HTTP1_NO_CONTENT, 0, true},
        {"Content-Length: x\r\n", HTTP1_NO_CONTENT, 0, true},
        {"Content-Length:\r\n", HTTP1_NO_CONTENT, 0, true},
        {"Content-Length: 99999999999999999999\r\n", HTTP1_NO_CONTENT, 0, true},
        {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", HTTP1_NO_CONTENT, 0, true},
        {"Transfer-Encoding: cow\r\n", HTTP1_NO_CONTENT, 0, true},
        {"Transfer-Encoding: chunked, chunked\r\n", HTTP1_NO_CONTENT, 0, true},
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding: \r\n", HTTP1_NO_CONTENT, 0, true},
    };
    static const struct {
        const char *line;
        enum http1_method method;
        bool tells;
    } empty[] = {
        {"HTTP/1.1 200 OK", HTTP1_HEAD, true},          {"HTTP/1.1 304 Not Modified", HTTP1_GET, true},
        {"HTTP/1.1 204 No Content", HTTP1_GET, false},  {"HTTP/1.1 204 No Content", HTTP1_HEAD, false},
        {"HTTP/1.1 103 Early Hints", HTTP1_GET, false},
    };

    for (size_t e = 0; e < COUNT(empty); e++) {
        for (size_t i = 0; i < COUNT(heads); i++) {
            bool is_empty = heads[i].described == HTTP1_NO_CONTENT || heads[i].length == 0;
            bool odd =
                heads[i].odd || (!empty[e].tells && (!is_empty || heads[i].described == HTTP1_CHUNKED));

            print_message("%s: %s\n", empty[e].line, heads[i].fields);
            assert_int_equal(parse_with(empty[e].line, heads[i].fields, empty[e].method), CAUSE_NONE);
            assert_string_equal(detail, "");
            assert_int_equal(head.framing, HTTP1_NO_CONTENT);
            assert_int_equal(head.described, empty[e].tells ? heads[i].described : HTTP1_NO_CONTENT);
            if (head.described == HTTP1_LENGTH)
                assert_int_equal(head.content_length, heads[i].length);
            assert_int_equal(head.keep_alive, !odd);
        }
    }
}

static void version_connection_and_framing_say_whether_the_connection_is_kept(void **state)
{
    static const struct {
        const char *line, *fields;
        bool keep_alive;
    } heads[] = {
        {"HTTP/1.1 200 OK", "Content-Length: 5\r\n", true},
        {"HTTP/1.1 200 OK", "Content-Length: 5\r\nConnection: close\r\n", false},
        {"HTTP/1.1 200 OK", "", false},
        {"HTTP/1.1 204 x", "", true},
        {"HTTP/1.0 200 OK", "Content-Length: 5\r\n", false},
        {"HTTP/1.0 200 OK", "Content-Length: 5\r\nConnection: Keep-Alive\r\n", true},
        {"HTTP/1.0 200 OK", "Connection: Keep-Alive\r\n", false},
    };

    for (size_t i = 0; i < COUNT(heads); i++) {
        assert_int_equal(parse(heads[i].line, heads[i].fields), CAUSE_NONE);
        assert_int_equal(head.keep_alive, heads[i].keep_alive);
    }
}

/* Its room for fields is all that bounds them: a head cannot have more than HTTP1_FIELDS_IN says. */
static void more_fields_than_there_is_room_for_are_too_large_a_head(void **state)
{
    static char lines[32768];
    struct text text = text_over(lines, sizeof(lines) - 1);

    for (int i = 0; i < 10000; i++)
        TEXT_LIT(&text, "A:\n");
    assert_int_equal(parse("HTTP/1.1 200 OK", lines), CAUSE_NONE);
    assert_int_equal(head.field_count, 10000);
    assert_true(HTTP1_FIELDS_IN(text.len) >= 10000);
    head.field_cap = 9999;
    assert_int_equal(parse("HTTP/1.1 200 OK", lines), CAUSE_RESPONSE_HEAD_SIZE);
    head.field_cap = COUNT(room);
}

static void every_code_has_a_reason(void **state)
{
    assert_string_equal(http1_reason(100), "Continue");
    assert_string_equal(http1_reason(200), "OK");
    assert_string_equal(http1_reason(308), "Permanent Redirect");
    assert_string_equal(http1_reason(413), "Content Too Large");
    assert_string_equal(http1_reason(417), "Expectation Failed");
    assert_string_equal(http1_reason(429), "Too Many Requests");
    assert_string_equal(http1_reason(431), "Request Header Fields Too Large");
    assert_string_equal(http1_reason(451), "Unavailable For Legal Reasons");
    assert_string_equal(http1_reason(504), "Gateway Timeout");
    assert_string_equal(http1_reason(505), "HTTP Version Not Supported");
    assert_string_equal(http1_reason(418), "Unknown");
    assert_string_equal(http1_reason(499), "Unknown");
    assert_string_equal(http1_reason(99), "Unknown");
    assert_string_equal(http1_reason(600), "Unknown");
    assert_string_equal(http1_reason(0), "Unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_status_line_has_a_version_three_digits_and_a_reason),
        cmocka_unit_test(a_status_can_be_read_when_its_line_has_ended),
        cmocka_unit_test(what_can_be_no_response_is_known_by_its_first_bytes),
        cmocka_unit_test(framing_follows_method_code_and_fields),
        cmocka_unit_test(ambiguous_framing_is_a_protocol_error),
        cmocka_unit_test(a_refused_head_says_which_line_is_at_fault),
        cmocka_unit_test(a_response_with_one_reading_is_taken_and_its_connection_not_kept),
        cmocka_unit_test(framing_fields_never_condemn_a_response_without_content),
        cmocka_unit_test(version_connection_and_framing_say_whether_the_connection_is_kept),
        cmocka_unit_test(more_fields_than_there_is_room_for_are_too_large_a_head),
        cmocka_unit_test(every_code_has_a_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
