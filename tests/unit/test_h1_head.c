/* Heads as they are received: waited for, taken, or refused with a reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/h1_head.h"

#define MAX 64

static struct http1_field fields[HTTP1_FIELDS_IN(4096)];

static enum http1_status read_request(const char *bytes, struct http1_head *head, size_t *end,
                                      struct h1_fault *fault)
{
    struct http1_scan scan = {0};

    *head = (struct http1_head)HTTP1_HEAD_OVER(fields);
    return h1_head_read_request(&scan, span_of(bytes), MAX, head, end, fault);
}

static enum http1_status read_response(const char *bytes, struct http1_head *head, size_t *end,
                                       struct h1_fault *fault)
{
    struct http1_scan scan = {.is_response = true};

    *head = (struct http1_head)HTTP1_HEAD_OVER(fields);
    return h1_head_read_response(&scan, span_of(bytes), MAX, HTTP1_GET, head, end, fault);
}

static void a_whole_head_is_parsed_and_its_end_known(void **state)
{
    struct http1_head head;
    struct h1_fault fault;
    size_t end;

    assert_int_equal(read_request("GET /a HTTP/1.1\r\nHost: x\r\n\r\nmore", &head, &end, &fault), HTTP1_DONE);
    assert_true(span_eq(head.path, SPAN_LIT("/a")));
    assert_int_equal(end, 28);
    assert_int_equal(read_response("HTTP/1.1 204 No\r\n\r\nHTTP", &head, &end, &fault), HTTP1_DONE);
    assert_int_equal(head.code, 204);
    assert_int_equal(end, 19);
}

static void a_part_of_a_head_is_waited_for(void **state)
{
    struct http1_head head;
    struct h1_fault fault;
    size_t end;

    assert_int_equal(read_request("GET / HTTP/1.1\r\nHost: x\r\n", &head, &end, &fault), HTTP1_MORE);
    assert_int_equal(end, 0);
    assert_int_equal(read_response("HTTP/1.1 200 OK\r\nA: b\r\n", &head, &end, &fault), HTTP1_MORE);
    assert_int_equal(end, 0);
}

static void the_request_line_is_known_before_the_rest(void **state)
{
    struct http1_head head = HTTP1_HEAD_OVER(fields);
    struct http1_scan scan = {0};
    struct h1_fault fault;
    size_t end;
    struct span bytes = SPAN_LIT("PUT /b HTTP/1.1\r\nHo");

    assert_int_equal(h1_head_read_request(&scan, bytes, MAX, &head, &end, &fault), HTTP1_MORE);
    assert_true(h1_head_read_request_line(&scan, bytes, &head));
    assert_int_equal(head.method_id, HTTP1_PUT);
    assert_true(span_eq(head.path, SPAN_LIT("/b")));
    scan = (struct http1_scan){0};
    bytes = SPAN_LIT("PUT /b HTT");
    assert_int_equal(h1_head_read_request(&scan, bytes, MAX, &head, &end, &fault), HTTP1_MORE);
    assert_false(h1_head_read_request_line(&scan, bytes, &head));
}

static void a_refused_request_has_a_cause(void **state)
{
    static const struct {
        const char *bytes;
        enum cause cause;
        bool has_detail;
    } cases[] = {
        {"GET / HTTP/1.1\nHost: x\r\n\r\n", CAUSE_BAD_REQUEST, true},
        {"GET / HTTP/1.1\r\n\r\n", CAUSE_BAD_REQUEST, true}, /* no Host */
        {"GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", CAUSE_TARGET_TOO_LONG,
         false},
        {"GET / HTTP/1.1\r\nA: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         CAUSE_HEAD_TOO_LARGE, false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http1_head head;
        struct h1_fault fault;
        size_t end;

        assert_int_equal(read_request(cases[i].bytes, &head, &end, &fault), HTTP1_BAD);
        assert_int_equal(fault.cause, cases[i].cause);
        assert_int_equal(fault.detail != NULL, cases[i].has_detail);
    }
}

static void a_refused_response_shows_the_bytes_at_fault(void **state)
{
    static const struct {
        const char *bytes, *odd;
        enum cause cause;
    } cases[] = {
        {"SSH-2.0-OpenSSH\r\n", "SSH-2.0-OpenSSH\r\n", CAUSE_HTTP_PROTOCOL},
        {"HTTP/1.1 200 OK\r\nA: \001\r\n\r\n", "A: \001\r\n\r\n", CAUSE_HTTP_PROTOCOL},
        {"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "Content-Length: x\r\n", CAUSE_HTTP_PROTOCOL},
        {"HTTP/1.1 200 OK\r\nA: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", CAUSE_RESPONSE_HEAD_SIZE},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http1_head head;
        struct h1_fault fault;
        size_t end;

        assert_int_equal(read_response(cases[i].bytes, &head, &end, &fault), HTTP1_BAD);
        assert_int_equal(fault.cause, cases[i].cause);
        assert_true(fault.odd.len >= strlen(cases[i].odd));
        assert_memory_equal(fault.odd.ptr, cases[i].odd, strlen(cases[i].odd));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_head_is_parsed_and_its_end_known),
        cmocka_unit_test(a_part_of_a_head_is_waited_for),
        cmocka_unit_test(the_request_line_is_known_before_the_rest),
        cmocka_unit_test(a_refused_request_has_a_cause),
        cmocka_unit_test(a_refused_response_shows_the_bytes_at_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
