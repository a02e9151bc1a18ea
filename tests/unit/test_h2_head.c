/* Heads between HTTP/1.1's form and HTTP/2's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "http/h2_head.h"

#define MOST 32

static void expect_fields(const struct h2_field *fields, size_t count, const char *wanted)
{
    char found[1024] = "";

    for (size_t i = 0; i < count; i++)
        snprintf(found + strlen(found), sizeof(found) - strlen(found), "%s%.*s=%.*s|",
                 fields[i].never_indexed ? "!" : "", SPAN_FMT(fields[i].name), SPAN_FMT(fields[i].value));
    assert_string_equal(found, wanted);
}

static void requests(void **state)
{
    static const struct {
        const char *head;
        bool is_https;
        const char *fields;
    } cases[] = {
        {"GET /v2/x?y HTTP/1.1\r\nHost: api.test\r\nX-A: b\r\n\r\n", true,
         ":method=GET|:scheme=https|:authority=api.test|:path=/v2/x?y|x-a=b|"},
        {"OPTIONS * HTTP/1.1\r\nHost: a:8080\r\n", false,
         ":method=OPTIONS|:scheme=http|:authority=a:8080|:path=*|"},
        {"POST / HTTP/1.1\r\nX-B:c \r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: x\r\nKeep-Alive: 1\r\n"
         "Upgrade: h2c\r\nHTTP2-Settings: x\r\nProxy-Connection: y\r\nTE: trailers\r\nExpect: 100-continue\r\n\r\n",
         false, ":method=POST|:scheme=http|:authority=a|:path=/|x-b=c|expect=100-continue|"},
        {"BREW / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic x\r\nCookie: a=b\r\n"
         "Cookie: a=bcdefghijklmnopqrstuvwxyz\r\nContent-Length: 3\r\n\r\n",
         false,
         ":method=BREW|:scheme=http|:authority=a|:path=/|!authorization=Basic x|!cookie=a=b|"
         "cookie=a=bcdefghijklmnopqrstuvwxyz|content-length=3|"},
        {"GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: 1\r\nTraceparent: 2\r\nGrpc-Timeout: 3m\r\n"
         "Proxy-Authorization: Basic x\r\nX-Curfew-Call: 4\r\nX-Request-Ie: 5\r\n",
         false,
         ":method=GET|:scheme=http|:authority=a|:path=/|!x-request-id=1|!traceparent=2|!grpc-timeout=3m|"
         "!proxy-authorization=Basic x|!x-curfew-call=4|x-request-ie=5|"},
        {"POST /s/M HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc+proto\r\n\r\n", false,
         ":method=POST|:scheme=http|:authority=a|:path=/s/M|content-type=application/grpc+proto|te=trailers|"},
        {"POST /s/M HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc-web\r\n\r\n", false,
         ":method=POST|:scheme=http|:authority=a|:path=/s/M|content-type=application/grpc-web|"},
        {"GET / HTTP/1.1\r\nHost: a\r\nX-Empty:\r\nX-Colon: a:b\r\n\r\n", false,
         ":method=GET|:scheme=http|:authority=a|:path=/|x-empty=|x-colon=a:b|"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct span head = span_of(cases[i].head);
        struct h2_field fields[MOST];
        char names[1024];
        size_t count = h2_head_of_request(head, cases[i].is_https, fields, names);

        assert_true(count <= h2_head_most(head));
        expect_fields(fields, count, cases[i].fields);
    }
}

static void trailers(void **state)
{
    struct h2_field fields[MOST];
    char names[64];

    (void)state;
    expect_fields(fields, h2_head_of_lines(SPAN_LIT("Grpc-Status: 0\r\nX: y\r\n"), fields, names),
                  "grpc-status=0|x=y|");
    expect_fields(fields, h2_head_of_lines(SPAN_LIT(""), fields, names), "");
}

static void responses(void **state)
{
    static const char *const no_status[] = {"", "20", "2000", "099", "2 0", "abc", "101", "+20", "20\r"};
    char block[64];
    struct text text = text_over(block, sizeof(block));

    (void)state;
    assert_true(h2_head_put_status(&text, SPAN_LIT("200")));
    assert_true(h2_head_put_field(&text, SPAN_LIT("x-a"), SPAN_LIT("b c")));
    assert_int_equal(text.len, strlen("HTTP/1.1 200 OK\r\nx-a: b c\r\n"));
    assert_memory_equal(block, "HTTP/1.1 200 OK\r\nx-a: b c\r\n", text.len);
    for (size_t i = 0; i < sizeof(no_status) / sizeof(no_status[0]); i++) {
        text = text_over(block, sizeof(block));
        assert_false(h2_head_put_status(&text, span_of(no_status[i])));
    }
    text = text_over(block, 5);
    assert_false(h2_head_put_status(&text, SPAN_LIT("200")));
    assert_false(h2_head_put_field(&text, SPAN_LIT("x"), SPAN_LIT("y")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),
        cmocka_unit_test(trailers),
        cmocka_unit_test(responses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
