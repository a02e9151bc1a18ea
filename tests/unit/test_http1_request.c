/* What a request head must be, and what it is refused with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/text.h"
#include "http/http1.h"
#include "http/octet.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LINE         "GET / HTTP/1.1\r\n"
#define HOST         "Host: a\r\n"

static struct http1_field room[HTTP1_FIELDS_IN(65536)];
static struct http1_head head = HTTP1_HEAD_OVER(room);
static const char *detail;

static enum cause parse(struct span bytes)
{
    return http1_parse_request(bytes, &head, &detail);
}

/* `lines` behind a request line and Host. */
static enum cause parse_fields(const char *lines)
{
    static char block[65536];
    struct text text = text_over(block, sizeof(block));

    TEXT_LIT(&text, LINE HOST);
    text_put(&text, span_of(lines));
    TEXT_LIT(&text, "\r\n");
    assert_false(text.overflow);
    return parse(text_span(&text));
}

static void assert_span(struct span got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.ptr, want, got.len);
}

struct fault {
    const char *text;
    enum cause cause;
};

static void check_lines(const struct fault *faults, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        static char block[65536];
        struct text text = text_over(block, sizeof(block));

        print_message("line: %.60s\n", faults[i].text);
        assert_int_equal(http1_parse_request_line(span_of(faults[i].text), &head), faults[i].cause);
        text_put(&text, span_of(faults[i].text));
        TEXT_LIT(&text, "\r\nHost: a.example\r\n\r\n");
        assert_int_equal(parse(text_span(&text)), faults[i].cause);
        assert_true((faults[i].cause == CAUSE_NONE) == (detail[0] == '\0'));
    }
}

static void check_fields(const struct fault *faults, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        print_message("fields: %.60s\n", faults[i].text);
        assert_int_equal(parse_fields(faults[i].text), faults[i].cause);
        assert_true((faults[i].cause == CAUSE_NONE) == (detail[0] == '\0'));
    }
}

static void the_request_line_has_single_spaces_and_three_sound_parts(void **state)
{
    static const struct fault faults[] = {
        {"GET / HTTP/1.1", CAUSE_NONE},
        {"GET / HTTP/1.0", CAUSE_NONE},
        {"M-SEARCH / HTTP/1.1", CAUSE_NONE},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345 / HTTP/1.1", CAUSE_NONE},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456 / HTTP/1.1", CAUSE_BAD_REQUEST},
        {" GET / HTTP/1.1", CAUSE_BAD_REQUEST},
        {"GET  / HTTP/1.1", CAUSE_BAD_REQUEST},
        {"GET /  HTTP/1.1", CAUSE_BAD_REQUEST},
        {"GET / HTTP/1.1 ", CAUSE_BAD_REQUEST},
        {"GET\t/ HTTP/1.1", CAUSE_BAD_REQUEST},
        {"GET /\tHTTP/1.1", CAUSE_BAD_REQUEST},
        {"GE(T / HTTP/1.1", CAUSE_BAD_REQUEST},
        {"G\xc3\x89T / HTTP/1.1", CAUSE_BAD_REQUEST},
        {"GET", CAUSE_BAD_REQUEST},
        {"GET ", CAUSE_BAD_REQUEST},
        {"GET /", CAUSE_BAD_REQUEST},
        {"GET / ", CAUSE_BAD_REQUEST},
        {"/ HTTP/1.1", CAUSE_BAD_REQUEST},
        {"GET /a b HTTP/1.1", CAUSE_BAD_REQUEST},
    };

    check_lines(faults, COUNT(faults));
}

static void http_1_is_served_and_other_versions_are_not(void **state)
{
    static const struct fault faults[] = {
        {"GET / HTTP/1.2", CAUSE_NONE},         {"GET / HTTP/1.9", CAUSE_NONE},
        {"GET / HTTP/2.0", CAUSE_VERSION},      {"PRI * HTTP/2.0", CAUSE_VERSION},
        {"GET / HTTP/3.0", CAUSE_VERSION},      {"GET / HTTP/0.9", CAUSE_BAD_REQUEST},
        {"GET / http/1.1", CAUSE_BAD_REQUEST},  {"GET / HTTP/1", CAUSE_BAD_REQUEST},
        {"GET / HTTP/1.", CAUSE_BAD_REQUEST},   {"GET / HTTP/11", CAUSE_BAD_REQUEST},
        {"GET / HTTP/1.10", CAUSE_BAD_REQUEST}, {"GET / HTTP/01.1", CAUSE_BAD_REQUEST},
        {"GET / HTTP/1,1", CAUSE_BAD_REQUEST},  {"GET / HTTPS/1.1", CAUSE_BAD_REQUEST},
        {"GET / HTTP/1.x", CAUSE_BAD_REQUEST},
    };

    check_lines(faults, COUNT(faults));
    assert_int_equal(http1_parse_request_line(SPAN_LIT("GET / HTTP/1.0"), &head), CAUSE_NONE);
    assert_int_equal(head.minor, 0);
    assert_int_equal(http1_parse_request_line(SPAN_LIT("GET / HTTP/1.7"), &head), CAUSE_NONE);
    assert_int_equal(head.minor, 1);
}

static void a_target_is_taken_in_the_forms_that_its_method_allows(void **state)
{
    static const struct {
        const char *line;
        const char *authority, *path;
    } targets[] = {
        {"GET /a/b?c=d&e HTTP/1.1", "", "/a/b?c=d&e"},
        {"GET /%2e%2E/%00//x?\"<>\\^`{|} HTTP/1.1", "", "/%2e%2E/%00//x?\"<>\\^`{|}"},
        {"GET //a/b HTTP/1.1", "", "//a/b"},
        {"OPTIONS * HTTP/1.1", "", "*"},
        {"OPTIONS / HTTP/1.1", "", "/"},
        {"GET http://a/b?c HTTP/1.1", "a", "/b?c"},
        {"GET HTTPS://a.b:8080/ HTTP/1.1", "a.b:8080", "/"},
        {"GET http://a HTTP/1.1", "a", "/"},
        {"GET http://a?q=/ HTTP/1.1", "a", "?q=/"},
        {"OPTIONS http://a HTTP/1.1", "a", "*"},
        {"OPTIONS http://a/ HTTP/1.1", "a", "/"},
        {"GET http://[::1]:80/x HTTP/1.1", "[::1]:80", "/x"},
    };

    for (size_t i = 0; i < COUNT(targets); i++) {
        print_message("%s\n", targets[i].line);
        assert_int_equal(http1_parse_request_line(span_of(targets[i].line), &head), CAUSE_NONE);
        assert_span(head.authority, targets[i].authority);
        assert_span(head.path, targets[i].path);
    }
}

static void a_target_of_no_known_form_is_refused(void **state)
{
    static const struct fault faults[] = {
        {"GET * HTTP/1.1", CAUSE_BAD_REQUEST},
        {"OPTIONS *x HTTP/1.1", CAUSE_BAD_REQUEST},
        {"OPTIONS ** HTTP/1.1", CAUSE_BAD_REQUEST},
        {"GET x HTTP/1.1", CAUSE_BAD_REQUEST},
        {"GET ?x HTTP/1.1", CAUSE_BAD_REQUEST},
        {"GET a.example:80 HTTP/1.1", CAUSE_BAD_REQUEST},
        {"GET http:/a HTTP/1.1", CAUSE_BAD_REQUEST},
        {"GET http:// HTTP/1.1", CAUSE_BAD_REQUEST},
        {"GET http:///x HTTP/1.1", CAUSE_BAD_REQUEST},
        {"GET http://:80/x HTTP/1.1", CAUSE_BAD_REQUEST},
        {"GET http://u@a/ HTTP/1.1", CAUSE_BAD_REQUEST},
        {"GET http://u:p@a/ HTTP/1.1", CAUSE_BAD_REQUEST},
        {"GET http://a:b/ HTTP/1.1", CAUSE_BAD_REQUEST},
        {"GET http://a\\b/ HTTP/1.1", CAUSE_BAD_REQUEST},
        {"GET ftp://a/ HTTP/1.1", CAUSE_BAD_REQUEST},
        {"GET /a#b HTTP/1.1", CAUSE_BAD_REQUEST},
        {"GET /\x80 HTTP/1.1", CAUSE_BAD_REQUEST},
        {"GET /\x7f HTTP/1.1", CAUSE_BAD_REQUEST},
        {"CONNECT a.example:443 HTTP/1.1", CAUSE_METHOD},
        {"CONNECT / HTTP/1.1", CAUSE_METHOD},
    };

    check_lines(faults, COUNT(faults));
}

static void a_target_is_as_long_as_its_head_may_be(void **state)
{
    static char line[1 << 20];

    memset(line, 'x', sizeof(line));
    memcpy(line, "GET /", 5);
    memcpy(line + sizeof(line) - 9, " HTTP/1.1", 9);
    assert_int_equal(http1_parse_request_line((struct span){line, sizeof(line)}, &head), CAUSE_NONE);
    assert_int_equal(head.path.len, sizeof(line) - 13);
}

static void host_is_one_sound_host_whatever_the_target_says(void **state)
{
    static const struct fault faults[] = {
        {LINE "\r\n", CAUSE_BAD_REQUEST},
        {"GET / HTTP/1.0\r\n\r\n", CAUSE_NONE},
        {"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", CAUSE_BAD_REQUEST},
        {LINE "Host: a\r\nHost: a\r\n\r\n", CAUSE_BAD_REQUEST},
        {LINE "Host: a\r\nhOST: b\r\n\r\n", CAUSE_BAD_REQUEST},
        {LINE "Host:\r\n\r\n", CAUSE_NONE},
        {LINE "Host: a.example:8080\r\n\r\n", CAUSE_NONE},
        {LINE "Host: a:\r\n\r\n", CAUSE_NONE},
        {LINE "Host: [2001:db8::1]:443\r\n\r\n", CAUSE_NONE},
        {LINE "Host: %41.example\r\n\r\n", CAUSE_NONE},
        {LINE "Host: %4.example\r\n\r\n", CAUSE_BAD_REQUEST},
        {LINE "Host: a b\r\n\r\n", CAUSE_BAD_REQUEST},
        {LINE "Host: a/b\r\n\r\n", CAUSE_BAD_REQUEST},
        {LINE "Host: a@b\r\n\r\n", CAUSE_BAD_REQUEST},
        {LINE "Host: a:80:80\r\n\r\n", CAUSE_BAD_REQUEST},
        {LINE "Host: a:8a\r\n\r\n", CAUSE_BAD_REQUEST},
        {LINE "Host: a:123456\r\n\r\n", CAUSE_BAD_REQUEST},
        {LINE "Host: :80\r\n\r\n", CAUSE_BAD_REQUEST},
        {LINE "Host: [::1\r\n\r\n", CAUSE_BAD_REQUEST},
        {LINE "Host: []\r\n\r\n", CAUSE_BAD_REQUEST},
        {LINE "Host: [::1]x\r\n\r\n", CAUSE_BAD_REQUEST},
        {LINE "Host: \xc3\xa9\r\n\r\n", CAUSE_BAD_REQUEST},
        {"GET http://A.example/ HTTP/1.1\r\nHost: a.EXAMPLE\r\n\r\n", CAUSE_NONE},
        {"GET http://a/ HTTP/1.0\r\n\r\n", CAUSE_NONE},
        {"GET http://a/ HTTP/1.1\r\n\r\n", CAUSE_BAD_REQUEST},
        {"GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n", CAUSE_NONE},
        {"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", CAUSE_NONE},
        {"GET http://a/ HTTP/1.1\r\nHost: a:80\r\n\r\n", CAUSE_NONE},
        {"GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n", CAUSE_BAD_REQUEST},
        {"GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", CAUSE_BAD_REQUEST},
    };

    for (size_t i = 0; i < COUNT(faults); i++) {
        print_message("head: %s", faults[i].text);
        assert_int_equal(parse(span_of(faults[i].text)), faults[i].cause);
    }
    assert_int_equal(parse(SPAN_LIT(LINE "X: y\r\nHost: \ta.b\t \r\n\r\n")), CAUSE_NONE);
    assert_span(head.host, "a.b");
}

static void a_field_line_is_a_token_a_colon_and_a_value(void **state)
{
    static const struct fault faults[] = {
        {"A:b\r\n", CAUSE_NONE},
        {"A:\r\n", CAUSE_NONE},
        {"!#$%&'*+-.^_`|~09azAZ: b\r\n", CAUSE_NONE},
        {"A: b\tc \xff\xc3\xa9\r\n", CAUSE_NONE},
        {"A : b\r\n", CAUSE_BAD_REQUEST},
        {"A\t: b\r\n", CAUSE_BAD_REQUEST},
        {"A B: b\r\n", CAUSE_BAD_REQUEST},
        {" A: b\r\n", CAUSE_BAD_REQUEST},
        {"A: b\r\n c\r\n", CAUSE_BAD_REQUEST},
        {"A: b\r\n\tc\r\n", CAUSE_BAD_REQUEST},
        {"A: b\r\n \r\n", CAUSE_BAD_REQUEST},
        {": b\r\n", CAUSE_BAD_REQUEST},
        {"A\r\n", CAUSE_BAD_REQUEST},
        {"A(: b\r\n", CAUSE_BAD_REQUEST},
        {"A\xc3\xa9: b\r\n", CAUSE_BAD_REQUEST},
        {"A: b\rc\r\n", CAUSE_BAD_REQUEST},
        {"A: b\nC: d\r\n", CAUSE_BAD_REQUEST},
        {"A: b\x01\r\n", CAUSE_BAD_REQUEST},
        {"A: b\x7f\r\n", CAUSE_BAD_REQUEST},
        {"A: b\r\n\r\nC: d\r\n", CAUSE_BAD_REQUEST},
    };

    check_fields(faults, COUNT(faults));
    assert_int_equal(parse(SPAN_LIT(LINE HOST "A: b\0\r\n\r\n")), CAUSE_BAD_REQUEST);
    assert_int_equal(parse(SPAN_LIT(LINE HOST)), CAUSE_BAD_REQUEST);
    assert_int_equal(parse(SPAN_LIT(LINE HOST "\r")), CAUSE_BAD_REQUEST);
    assert_int_equal(parse(SPAN_LIT("GET / HTTP/1.1")), CAUSE_BAD_REQUEST);
}

static void fields_are_kept_as_they_came_and_known_ones_are_told_in_any_case(void **state)
{
    assert_int_equal(parse_fields("X-a:  b c\t \r\ncONNECTION: close\r\nTE: x\r\nVia:1.1 x\r\nvib: x\r\n"),
                     CAUSE_NONE);
    assert_int_equal(head.field_count, 6);
    assert_int_equal(head.fields[0].id, HTTP1_FIELD_HOST);
    assert_span(head.fields[1].line, "X-a:  b c\t \r\n");
    assert_span(head.fields[1].name, "X-a");
    assert_span(head.fields[1].value, "b c");
    assert_int_equal(head.fields[1].id, HTTP1_FIELD_OTHER);
    assert_int_equal(head.fields[2].id, HTTP1_FIELD_CONNECTION);
    assert_int_equal(head.fields[3].id, HTTP1_FIELD_TE);
    assert_int_equal(head.fields[4].id, HTTP1_FIELD_VIA);
    assert_int_equal(head.fields[5].id, HTTP1_FIELD_OTHER);
    assert_ptr_equal(head.fields[1].line.ptr + head.fields[1].line.len, head.fields[2].line.ptr);
}

static void each_known_name_is_known_and_its_neighbours_are_not(void **state)
{
    static const struct {
        const char *name;
        enum http1_field_id id;
    } names[] = {
        {"Connection", HTTP1_FIELD_CONNECTION},
        {"Content-Length", HTTP1_FIELD_CONTENT_LENGTH},
        {"Expect", HTTP1_FIELD_EXPECT},
        {"Keep-Alive", HTTP1_FIELD_KEEP_ALIVE},
        {"Proxy-Connection", HTTP1_FIELD_PROXY_CONNECTION},
        {"TE", HTTP1_FIELD_TE},
        {"Traceparent", HTTP1_FIELD_TRACEPARENT},
        {"TraceState", HTTP1_FIELD_TRACESTATE},
        {"Trailer", HTTP1_FIELD_TRAILER},
        {"Transfer-Encoding", HTTP1_FIELD_TRANSFER_ENCODING},
        {"Upgrade", HTTP1_FIELD_UPGRADE},
        {"Via", HTTP1_FIELD_VIA},
        {"Date", HTTP1_FIELD_DATE},
        {"Forwarded", HTTP1_FIELD_FORWARDED},
        {"X-Forwarded-For", HTTP1_FIELD_X_FORWARDED_FOR},
        {"X-Forwarded-Host", HTTP1_FIELD_X_FORWARDED_HOST},
        {"X-Forwarded-Proto", HTTP1_FIELD_X_FORWARDED_PROTO},
        {"User-Agent", HTTP1_FIELD_OTHER},
        {"Retry-After", HTTP1_FIELD_OTHER},
        {"tracestats", HTTP1_FIELD_OTHER},
        {"traceparen_", HTTP1_FIELD_OTHER},
        {"Accept", HTTP1_FIELD_OTHER},
        {"Accept-Encoding", HTTP1_FIELD_OTHER},
        {"Transfer_Encoding", HTTP1_FIELD_OTHER},
        {"Content_Length", HTTP1_FIELD_OTHER},
        {"Tf", HTTP1_FIELD_OTHER},
        {"Updates", HTTP1_FIELD_OTHER},
    };

    for (size_t i = 0; i < COUNT(names); i++) {
        char line[64];
        struct span rest = {line, (size_t)snprintf(line, sizeof(line), "%s: x\r\n", names[i].name)};
        struct http1_field field;
        bool bad;

        assert_true(http1_next_trailer(&rest, &field, &bad));
        assert_int_equal(field.id, names[i].id);
    }
}

static void more_fields_than_there_is_room_for_are_too_large_a_head(void **state)
{
    static char lines[16384];
    struct text text = text_over(lines, sizeof(lines) - 1);

    for (int i = 1; i < 1000; i++)
        TEXT_LIT(&text, "A: b\r\n");
    assert_int_equal(parse_fields(lines), CAUSE_NONE);
    assert_int_equal(head.field_count, 1000);
    head.field_cap = 999;
    assert_int_equal(parse_fields(lines), CAUSE_HEAD_TOO_LARGE);
    head.field_cap = COUNT(room);
}

/* However often a field comes, it is counted: 256 lengths are not none. */
static void a_field_that_comes_many_times_is_counted(void **state)
{
    static char lines[65536];
    struct text text = text_over(lines, sizeof(lines) - 1);

    for (int i = 0; i < 256; i++)
        TEXT_LIT(&text, "Content-Length: 5\r\n");
    assert_int_equal(parse_fields(lines), CAUSE_BAD_REQUEST);
    text = text_over(lines, sizeof(lines) - 1);
    for (int i = 0; i < 256; i++)
        TEXT_LIT(&text, "Host: a\r\n");
    assert_int_equal(parse_fields(lines), CAUSE_BAD_REQUEST);
    text = text_over(lines, sizeof(lines) - 1);
    for (int i = 0; i < 256; i++)
        TEXT_LIT(&text, "Connection: a\r\n");
    TEXT_LIT(&text, "Connection: close\r\n\0");
    assert_int_equal(parse_fields(lines), CAUSE_NONE);
    assert_false(head.keep_alive);
}

static void content_length_is_one_number(void **state)
{
    static const struct fault faults[] = {
        {"Content-Length: 0\r\n", CAUSE_NONE},
        {"Content-Length: 9223372036854775807\r\n", CAUSE_NONE},
        {"Content-Length: 9223372036854775808\r\n", CAUSE_CONTENT_TOO_LARGE},
        {"Content-Length: 99999999999999999999999\r\n", CAUSE_CONTENT_TOO_LARGE},
        {"Content-Length: 5\r\nContent-Length: 5\r\n", CAUSE_BAD_REQUEST},
        {"Content-Length: 5\r\nContent-Length: 6\r\n", CAUSE_BAD_REQUEST},
        {"Content-Length: 5, 5\r\n", CAUSE_BAD_REQUEST},
        {"Content-Length: 5,\r\n", CAUSE_BAD_REQUEST},
        {"Content-Length:\r\n", CAUSE_BAD_REQUEST},
        {"Content-Length: +5\r\n", CAUSE_BAD_REQUEST},
        {"Content-Length: -5\r\n", CAUSE_BAD_REQUEST},
        {"Content-Length: 0x5\r\n", CAUSE_BAD_REQUEST},
        {"Content-Length: 5 5\r\n", CAUSE_BAD_REQUEST},
        {"Content-Length: 5.0\r\n", CAUSE_BAD_REQUEST},
        {"Content-Length: five\r\n", CAUSE_BAD_REQUEST},
        {"Content-Length: \"5\"\r\n", CAUSE_BAD_REQUEST},
        {"Content-Length: 5, 5\r\n", CAUSE_BAD_REQUEST},
        {"Content-Length:\t5\r\n", CAUSE_NONE},
        {"Content-Length: 5\t\r\n", CAUSE_NONE},
        {"Content-Length: 5\t5\r\n", CAUSE_BAD_REQUEST},
    };

    check_fields(faults, COUNT(faults));
    assert_int_equal(parse_fields("Content-Length:  042 \r\n"), CAUSE_NONE);
    assert_int_equal(head.framing, HTTP1_LENGTH);
    assert_int_equal(head.content_length, 42);
    assert_int_equal(parse_fields(""), CAUSE_NONE);
    assert_int_equal(head.framing, HTTP1_NO_CONTENT);
    assert_int_equal(parse_fields("Content-Length: 5\r\nContent-Length: 5\r\n"), CAUSE_BAD_REQUEST);
    assert_string_equal(detail, "two Content-Length fields");
}

static void transfer_encoding_is_chunked_or_refused(void **state)
{
    static const struct fault faults[] = {
        {"Transfer-Encoding: chunked\r\n", CAUSE_NONE},
        {"Transfer-Encoding:  Chunked \r\n", CAUSE_NONE},
        {"Transfer-Encoding:\tchunked\r\n", CAUSE_NONE},
        {"Transfer-Encoding: chunked\t\r\n", CAUSE_NONE},
        {"Transfer-Encoding: chunked\tx\r\n", CAUSE_BAD_REQUEST},
        {"Transfer-Encoding: gzip\r\n", CAUSE_TRANSFER_CODING},
        {"Transfer-Encoding: gzip, chunked\r\n", CAUSE_TRANSFER_CODING},
        {"Transfer-Encoding: identity\r\n", CAUSE_TRANSFER_CODING},
        {"Transfer-Encoding: chunked, chunked\r\n", CAUSE_BAD_REQUEST},
        {"Transfer-Encoding: chunked, gzip\r\n", CAUSE_BAD_REQUEST},
        {"Transfer-Encoding: chunked,\r\n", CAUSE_BAD_REQUEST},
        {"Transfer-Encoding: ,chunked\r\n", CAUSE_BAD_REQUEST},
        {"Transfer-Encoding: xchunked\r\n", CAUSE_BAD_REQUEST},
        {"Transfer-Encoding: chunkedx\r\n", CAUSE_BAD_REQUEST},
        {"Transfer-Encoding: chunked;a=b\r\n", CAUSE_BAD_REQUEST},
        {"Transfer-Encoding: \"chunked\"\r\n", CAUSE_BAD_REQUEST},
        {"Transfer-Encoding: chun ked\r\n", CAUSE_BAD_REQUEST},
        {"Transfer-Encoding: identity chunked\r\n", CAUSE_BAD_REQUEST},
        {"Transfer-Encoding:\r\n", CAUSE_BAD_REQUEST},
        {"Transfer-Encoding: ,\r\n", CAUSE_BAD_REQUEST},
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", CAUSE_BAD_REQUEST},
        {"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", CAUSE_BAD_REQUEST},
        {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", CAUSE_BAD_REQUEST},
        {"Content-Length: 5\r\nTransfer-Encoding: gzip\r\n", CAUSE_BAD_REQUEST},
        {"Transfer-Encoding : chunked\r\n", CAUSE_BAD_REQUEST},
        {"Transfer-Encoding\t: chunked\r\n", CAUSE_BAD_REQUEST},
        {"X: y\r\n Transfer-Encoding: chunked\r\n", CAUSE_BAD_REQUEST},
        {"Transfer-Encoding:\r\n chunked\r\n", CAUSE_BAD_REQUEST},
        {"Transfer-Encoding: \x0b"
         "chunked\r\n",
         CAUSE_BAD_REQUEST},
    };

    check_fields(faults, COUNT(faults));
    assert_int_equal(parse_fields("Transfer-Encoding: chunked\r\n"), CAUSE_NONE);
    assert_int_equal(head.framing, HTTP1_CHUNKED);
    assert_int_equal(parse(SPAN_LIT("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n")),
                     CAUSE_BAD_REQUEST);
}

static void version_and_connection_say_whether_the_connection_is_kept(void **state)
{
    static const struct {
        const char *head;
        bool keep_alive;
    } heads[] = {
        {LINE HOST "\r\n", true},
        {LINE HOST "Connection: Close\r\n\r\n", false},
        {LINE HOST "Connection: keep-alive\r\n\r\n", true},
        {LINE HOST "Connection: keep-alive, close\r\n\r\n", false},
        {LINE HOST "Connection: x\r\nConnection: ,, y,close\r\n\r\n", false},
        {LINE HOST "Connection:\r\n\r\n", true},
        {LINE HOST "Connection: closed\r\n\r\n", true},
        {LINE HOST "Proxy-Connection: close\r\n\r\n", true},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
    };

    for (size_t i = 0; i < COUNT(heads); i++) {
        print_message("head: %s", heads[i].head);
        assert_int_equal(parse(span_of(heads[i].head)), CAUSE_NONE);
        assert_int_equal(head.keep_alive, heads[i].keep_alive);
    }
}

static void connection_nominates_fields_but_never_those_that_frame_or_route(void **state)
{
    assert_int_equal(
        parse_fields("A: 1\r\nConnection: a, upgrade, via\r\nconnection: c\r\nVia: 1.1 x\r\na: 2\r\n"
                     "Upgrade: h2c\r\nB: 3\r\nX-Forwarded-For: 1\r\nConnection: x-forwarded-for\r\n"),
        CAUSE_NONE);
    for (unsigned i = 0; i < head.field_count; i++) {
        struct span name = head.fields[i].name;
        bool nominated = span_eq_nocase(name, SPAN_LIT("A")) || span_eq_nocase(name, SPAN_LIT("Upgrade"));

        assert_int_equal(head.fields[i].nominated, nominated);
    }
    assert_false(head.tolerated);
}

static void an_odd_option_of_connection_condemns_no_message(void **state)
{
    static const struct {
        const char *fields;
        enum http1_framing framing;
        bool keep_alive;
    } odd[] = {
        {"Connection: Host\r\n", HTTP1_NO_CONTENT, true},
        {"Connection: content-length\r\nContent-Length: 1\r\n", HTTP1_LENGTH, true},
        {"Connection: x, Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n", HTTP1_CHUNKED, true},
        {"Connection: close, Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n", HTTP1_CHUNKED, false},
        {"Connection: via, expect, connection, x-forwarded-proto\r\n", HTTP1_NO_CONTENT, true},
        {"Connection: ,\t, ,x,\r\n", HTTP1_NO_CONTENT, true},
        {"Connection: a b\r\n", HTTP1_NO_CONTENT, false},
        {"Connection: close;x\r\n", HTTP1_NO_CONTENT, false},
        {"Connection: \"close\"\r\n", HTTP1_NO_CONTENT, false},
        {"Connection: keep-alive, \xff\r\n", HTTP1_NO_CONTENT, false},
    };

    for (size_t i = 0; i < COUNT(odd); i++) {
        print_message("%s", odd[i].fields);
        assert_int_equal(parse_fields(odd[i].fields), CAUSE_NONE);
        assert_int_equal(head.framing, odd[i].framing);
        assert_int_equal(head.keep_alive, odd[i].keep_alive);
        for (unsigned f = 0; f < head.field_count; f++)
            assert_false(head.fields[f].nominated);
    }
}

/* Names times fields: what is looked for is found, however many names stand before it, unless that is out of bounds. */
static void connection_names_many_fields_but_not_many_among_many(void **state)
{
    static char lines[65536];
    struct text text = text_over(lines, sizeof(lines));

    TEXT_LIT(&text, "Connection: ");
    for (int i = 0; i < 9000; i++)
        TEXT_LIT(&text, "a,");
    TEXT_LIT(&text, "b\r\nB: c\r\n\0");
    assert_int_equal(parse_fields(lines), CAUSE_NONE);
    assert_true(head.fields[2].nominated);
    text.len--;
    for (int i = 0; i < 100; i++)
        TEXT_LIT(&text, "C:d\r\n");
    TEXT_LIT(&text, "\0");
    assert_int_equal(parse_fields(lines), CAUSE_HEAD_TOO_LARGE);
}

static void the_one_expectation_is_100_continue(void **state)
{
    static const struct fault faults[] = {
        {"Expect: 100-continue\r\n", CAUSE_NONE},
        {"Expect: 200-ok\r\n", CAUSE_EXPECTATION},
        {"Expect: 100-continue, x\r\n", CAUSE_EXPECTATION},
        {"Expect: 100-continue\r\nExpect: x\r\n", CAUSE_EXPECTATION},
    };

    check_fields(faults, COUNT(faults));
    assert_int_equal(parse_fields("Expect: 100-Continue\r\nContent-Length: 1\r\n"), CAUSE_NONE);
    assert_true(head.expect_continue);
    assert_int_equal(parse_fields("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n"), CAUSE_NONE);
    assert_true(head.expect_continue);
    assert_int_equal(parse_fields("Expect: 100-continue\r\nContent-Length: 0\r\n"), CAUSE_NONE);
    assert_false(head.expect_continue);
    assert_int_equal(parse_fields("Expect: 100-continue\r\n"), CAUSE_NONE);
    assert_false(head.expect_continue);
    assert_int_equal(parse(SPAN_LIT("POST / HTTP/1.0\r\nExpect: x\r\nContent-Length: 1\r\n\r\n")),
                     CAUSE_NONE);
    assert_false(head.expect_continue);
}

static void te_trailers_is_seen_among_codings(void **state)
{
    assert_int_equal(parse_fields("TE: gzip;q=0.5, Trailers\r\n"), CAUSE_NONE);
    assert_true(head.te_trailers);
    assert_int_equal(parse_fields("TE: trailersx\r\n"), CAUSE_NONE);
    assert_false(head.te_trailers);
    assert_int_equal(parse_fields(""), CAUSE_NONE);
    assert_false(head.te_trailers);
}

static void methods_are_told_by_case(void **state)
{
    static const char *const names[] = {"GET",     "HEAD",  "POST",  "PUT",     "DELETE",
                                        "OPTIONS", "TRACE", "PATCH", "CONNECT", "get"};
    static const bool idempotent[] = {true, true, false, true, true, true, true, false, false, false};

    for (unsigned i = 0; i < COUNT(names); i++) {
        enum http1_method method = http1_method_of(span_of(names[i]));

        assert_int_equal(method, HTTP1_GET + i);
        assert_int_equal(http1_method_is_idempotent(method), idempotent[i]);
        assert_true(idempotent[i] || !http1_method_is_safe(method));
        assert_int_equal(http1_method_is_safe(method),
                         idempotent[i] && method != HTTP1_PUT && method != HTTP1_DELETE);
    }
    assert_int_equal(http1_method_of(SPAN_LIT("")), HTTP1_METHOD_OTHER);
    assert_int_equal(http1_method_of(SPAN_LIT("PROPFIND")), HTTP1_METHOD_OTHER);
}

static void tokens_and_field_values_hold_the_bytes_of_their_class(void **state)
{
    for (int c = 0; c < 256; c++) {
        char byte = (char)c;
        struct span s = {&byte, 1};
        bool letter = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

        assert_int_equal(http1_is_token(s), letter || (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL));
        assert_int_equal(http1_is_field_value(s), c == '\t' || (c >= 0x20 && c != 0x7f));
    }
    assert_false(http1_is_token(SPAN_LIT("")));
    assert_true(http1_is_field_value(SPAN_LIT("")));
    assert_false(http1_is_field_value(SPAN_LIT("0123456789abcdef0123456789\r\nX: y")));
}

static void a_token_ends_at_the_first_byte_that_is_not_of_it_wherever_that_lies(void **state)
{
    char bytes[50];

    for (size_t place = 0; place < sizeof(bytes); place++) {
        for (int c = 0; c < 256; c++) {
            struct span s = {bytes, sizeof(bytes)};
            bool is_of_it = octet_is((char)c, OCTET_TOKEN);

            memset(bytes, "aZ9-"[place % 4], sizeof(bytes));
            bytes[place] = (char)c;
            assert_int_equal(octet_find_token_end(s, 0), is_of_it ? sizeof(bytes) : place);
            assert_int_equal(octet_find_token_end(s, place), is_of_it ? sizeof(bytes) : place);
        }
    }
    assert_int_equal(octet_find_token_end((struct span){bytes, 3}, 3), 3);
}

static void words_are_known_as_far_as_they_have_come(void **state)
{
    static const struct {
        const char *bytes, *method, *target;
    } lines[] = {
        {"GET /a?b HTTP/1.1\r\nHost: a", "GET", "/a?b"},
        {"GET http://a/b HTTP/2.0\r\n", "GET", "http://a/b"},
        {"CONNECT a:443 HTTP/1.1\r\n", "CONNECT", "a:443"},
        {"GET /a", "GET", "/a"},
        {"GET /a\r\nb", "GET", "/a"},
        {"GET /a\tb c", "GET", "/a\tb"},
        {"GET /a\x01"
         "b c",
         "GET", "/a"},
        {"GET \xff", "GET", "\xff"},
        {"GET ", "GET", ""},
        {"GET  /a HTTP/1.1\r\n", "GET", ""},
        {"GET", "", ""},
        {"", "", ""},
        {"\r\nGET / HTTP/1.1", "", ""},
        {" / HTTP/1.1", "", ""},
        {"G@T / HTTP/1.1", "", ""},
        {"\x16\x03\x01 / a", "", ""},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa /b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "/b"},
    };

    for (size_t i = 0; i < COUNT(lines); i++) {
        struct span method, target;

        print_message("line: %s\n", lines[i].bytes);
        http1_request_words(span_of(lines[i].bytes), &method, &target);
        assert_true(span_eq(method, span_of(lines[i].method)));
        assert_true(span_eq(target, span_of(lines[i].target)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_known_as_far_as_they_have_come),
        cmocka_unit_test(the_request_line_has_single_spaces_and_three_sound_parts),
        cmocka_unit_test(http_1_is_served_and_other_versions_are_not),
        cmocka_unit_test(a_target_is_taken_in_the_forms_that_its_method_allows),
        cmocka_unit_test(a_target_of_no_known_form_is_refused),
        cmocka_unit_test(a_target_is_as_long_as_its_head_may_be),
        cmocka_unit_test(host_is_one_sound_host_whatever_the_target_says),
        cmocka_unit_test(a_field_line_is_a_token_a_colon_and_a_value),
        cmocka_unit_test(fields_are_kept_as_they_came_and_known_ones_are_told_in_any_case),
        cmocka_unit_test(each_known_name_is_known_and_its_neighbours_are_not),
        cmocka_unit_test(more_fields_than_there_is_room_for_are_too_large_a_head),
        cmocka_unit_test(a_field_that_comes_many_times_is_counted),
        cmocka_unit_test(content_length_is_one_number),
        cmocka_unit_test(transfer_encoding_is_chunked_or_refused),
        cmocka_unit_test(version_and_connection_say_whether_the_connection_is_kept),
        cmocka_unit_test(connection_nominates_fields_but_never_those_that_frame_or_route),
        cmocka_unit_test(an_odd_option_of_connection_condemns_no_message),
        cmocka_unit_test(connection_names_many_fields_but_not_many_among_many),
        cmocka_unit_test(the_one_expectation_is_100_continue),
        cmocka_unit_test(te_trailers_is_seen_among_codings),
        cmocka_unit_test(methods_are_told_by_case),
        cmocka_unit_test(tokens_and_field_values_hold_the_bytes_of_their_class),
        cmocka_unit_test(a_token_ends_at_the_first_byte_that_is_not_of_it_wherever_that_lies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
