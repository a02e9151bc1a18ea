/* The heads and trailers that are sent on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "http/forward.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LINE         "GET /x?y HTTP/1.1\r\nHost: caller\r\n"
#define SENT         "GET /x?y HTTP/1.1\r\nHost: api.example\r\n"
#define VIA          "Via: 1.1 curfew\r\n"

static struct http1_field room[HTTP1_FIELDS_IN(65536)];
static struct http1_head head = HTTP1_HEAD_OVER(room);
static struct span trace_line;
static char block[65536];

static void assert_text(const struct text *text, const char *want)
{
    assert_false(text->overflow);
    if (!span_eq(text_span(text), span_of(want)))
        print_error("got:\n%.*swant:\n%s", SPAN_FMT(text_span(text)), want);
    assert_true(span_eq(text_span(text), span_of(want)));
}

static void check_request(const char *received, const struct forward_rules *rules, const char *caller,
                          const char *want)
{
    struct text text = text_over(block, sizeof(block));
    const char *detail;

    assert_int_equal(http1_parse_request(span_of(received), &head, &detail), CAUSE_NONE);
    forward_request_head(&text, &head, rules, (struct forwarded_caller){span_of(caller), false}, trace_line);
    assert_text(&text, want);
}

static const struct forward_rules plain = {.host = {"api.example", 11}};

static void a_request_goes_on_with_the_upstreams_host_and_our_fields(void **state)
{
    check_request(LINE "\r\n", &plain, "10.0.0.1", SENT);
    check_request(LINE "Accept: */*\r\nX-B:  c \r\nx-b: d\r\n\r\n", &plain, "10.0.0.1",
                  SENT "Accept: */*\r\nX-B:  c \r\nx-b: d\r\n");
}

static void a_target_is_sent_in_origin_form_behind_the_base_path(void **state)
{
    static const struct {
        const char *received, *base, *want;
    } targets[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "", "GET / HTTP/1.1\r\n"},
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "/v2", "GET /v2/ HTTP/1.1\r\n"},
        {"GET /%2f//..?a=/ HTTP/1.1\r\nHost: a\r\n\r\n", "/v2", "GET /v2/%2f//..?a=/ HTTP/1.1\r\n"},
        {"GET http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n", "/v2", "GET /v2/b?c HTTP/1.1\r\n"},
        {"GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", "/v2", "GET /v2/ HTTP/1.1\r\n"},
        {"GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n", "", "GET /?b HTTP/1.1\r\n"},
        {"GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n", "/v2", "GET /v2/?b HTTP/1.1\r\n"},
        {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "/v2", "OPTIONS * HTTP/1.1\r\n"},
        {"PROPFIND /a HTTP/1.0\r\n\r\n", "", "PROPFIND /a HTTP/1.1\r\n"},
    };

    for (size_t i = 0; i < COUNT(targets); i++) {
        struct forward_rules rules = {.host = SPAN_LIT("b"), .base_path = span_of(targets[i].base)};
        struct text text = text_over(block, sizeof(block));
        const char *detail;

        assert_int_equal(http1_parse_request(span_of(targets[i].received), &head, &detail), CAUSE_NONE);
        forward_request_head(&text, &head, &rules, (struct forwarded_caller){SPAN_LIT(""), false},
                             SPAN_LIT(""));
        assert_true(span_eq((struct span){block, strlen(targets[i].want)}, span_of(targets[i].want)));
    }
}

static void to_a_proxy_a_target_goes_with_the_authority_that_it_came_with(void **state)
{
    static const struct forward_rules whole = {.whole_url = true};

    check_request("GET http://a:81/b?c HTTP/1.1\r\nHost: x\r\n\r\n", &whole, "10.0.0.1",
                  "GET http://a:81/b?c HTTP/1.1\r\nHost: a:81\r\n");
    check_request("GET http://a?c HTTP/1.1\r\nHost: a\r\n\r\n", &whole, "10.0.0.1",
                  "GET http://a/?c HTTP/1.1\r\nHost: a\r\n");
    check_request("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", &whole, "10.0.0.1",
                  "OPTIONS http://a HTTP/1.1\r\nHost: a\r\n");
}

static void fields_for_one_hop_stay_behind(void **state)
{
    check_request(LINE
                  "A: 1\r\nConnection: keep-alive, x-hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\n"
                  "Proxy-Connection: keep-alive\r\nB: 2\r\nC: 3\r\nUpgrade: h2c\r\nTE: gzip\r\nX-HOP: 2\r\n"
                  "Trailer: D\r\n\r\n",
                  &plain, "10.0.0.1", SENT "A: 1\r\nB: 2\r\nC: 3\r\nTrailer: D\r\n");
}

static void a_request_has_exactly_the_framing_that_was_read(void **state)
{
    check_request("POST / HTTP/1.1\r\nHost: a\r\nA: 1\r\nContent-Length: 007 \r\nB: 2\r\n\r\n", &plain,
                  "10.0.0.1",
                  "POST / HTTP/1.1\r\nHost: api.example\r\nA: 1\r\nB: 2\r\nContent-Length: 7\r\n");
    check_request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", &plain, "10.0.0.1",
                  "POST / HTTP/1.1\r\nHost: api.example\r\nContent-Length: 0\r\n");
    check_request("POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: Chunked\r\nA: 1\r\n\r\n", &plain,
                  "10.0.0.1",
                  "POST / HTTP/1.1\r\nHost: api.example\r\nA: 1\r\nTransfer-Encoding: chunked\r\n");
}

static void te_goes_on_only_as_trailers(void **state)
{
    check_request(LINE "Connection: TE\r\nTE: gzip, trailers\r\n\r\n", &plain, "10.0.0.1",
                  SENT "TE: trailers\r\nConnection: TE\r\n");
}

static void an_api_is_told_nothing_of_the_way_unless_asked(void **state)
{
    static const char came[] =
        "Via: 1.0 a\r\nX-Forwarded-For: 1.1.1.1\r\nx-forwarded-for:\r\nForwarded: for=b\r\n"
        "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: gopher\r\nX-Forwarded-Host: c\r\n";
    char block_in[512], block_out[512];
    struct text in = text_over(block_in, sizeof(block_in)), out = text_over(block_out, sizeof(block_out));

    check_request(LINE "\r\n", &plain, "10.0.0.1", SENT);
    check_request("GET / HTTP/1.0\r\n\r\n", &plain, "", "GET / HTTP/1.1\r\nHost: api.example\r\n");
    text_printf(&in, LINE "A: 1\r\nConnection: via, forwarded, x-forwarded-for, x-forwarded-host\r\n%s\r\n%c",
                came, 0);
    text_printf(&out, SENT "A: 1\r\n%s%c", came, 0);
    check_request(block_in, &plain, "10.0.0.1", block_out);
}

static const struct forward_rules with_via = {.host = {"api.example", 11}, .via = true};

static void via_goes_behind_those_that_came_with_the_version_that_came(void **state)
{
    check_request(LINE "Via: 1.0 a\r\nA: 1\r\nVia: 1.1 b, 1.1 c\r\n\r\n", &with_via, "10.0.0.1",
                  SENT "Via: 1.0 a\r\nA: 1\r\nVia: 1.1 b, 1.1 c\r\n" VIA);
    check_request("GET / HTTP/1.0\r\n\r\n", &with_via, "",
                  "GET / HTTP/1.1\r\nHost: api.example\r\nVia: 1.0 curfew\r\n");
}

static const struct forward_rules x_forwarded = {.host = {"api.example", 11},
                                                 .tells = FORWARD_TELLS_X_FORWARDED};

static void the_caller_is_appended_to_all_that_forwarded_it(void **state)
{
    check_request(
        LINE "A: 1\r\n\r\n", &x_forwarded, "10.0.0.1",
        SENT "A: 1\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: caller\r\n");
    check_request(LINE "X-Forwarded-For: 1.1.1.1, 2.2.2.2\r\nA: 1\r\nx-forwarded-for: 3.3.3.3 \r\n"
                       "X-Forwarded-For:\r\n\r\n",
                  &x_forwarded, "::1",
                  SENT "A: 1\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, ::1\r\n"
                       "X-Forwarded-Proto: http\r\nX-Forwarded-Host: caller\r\n");
}

static void what_the_caller_used_is_told_unless_that_came_already(void **state)
{
    check_request(LINE "x-forwarded-proto: https\r\nX-Forwarded-Host: a\r\n\r\n", &x_forwarded, "10.0.0.1",
                  SENT "x-forwarded-proto: https\r\nX-Forwarded-Host: a\r\nX-Forwarded-For: 10.0.0.1\r\n");
    check_request("GET http://caller/x?y HTTP/1.1\r\nHost: caller\r\nX-Forwarded-Proto:\r\n\r\n",
                  &x_forwarded, "10.0.0.1",
                  SENT "X-Forwarded-Proto:\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Host: caller\r\n");
    /* A caller that names no host. */
    check_request("GET /x?y HTTP/1.0\r\n\r\n", &x_forwarded, "10.0.0.1",
                  SENT "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: http\r\n");
    check_request("GET /x?y HTTP/1.1\r\nHost:\r\n\r\n", &x_forwarded, "10.0.0.1",
                  SENT "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: http\r\n");
}

static void a_caller_on_a_unix_socket_leaves_x_forwarded_for_alone(void **state)
{
    check_request(
        LINE "X-Forwarded-For: 1.1.1.1\r\nA: 1\r\n\r\n", &x_forwarded, "",
        SENT "X-Forwarded-For: 1.1.1.1\r\nA: 1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: caller\r\n");
    check_request(LINE "\r\n", &x_forwarded, "",
                  SENT "X-Forwarded-Proto: http\r\nX-Forwarded-Host: caller\r\n");
}

static const struct forward_rules rfc7239 = {.host = {"api.example", 11}, .tells = FORWARD_TELLS_RFC7239};

static void forwarded_gets_a_further_element(void **state)
{
    check_request(LINE "A: 1\r\n\r\n", &rfc7239, "10.0.0.1",
                  SENT "A: 1\r\nForwarded: for=10.0.0.1;proto=http;host=\"caller\"\r\n");
    check_request("GET /x?y HTTP/1.1\r\nHost: [::1]:8080\r\nForwarded: for=a;by=\"b, \\\"c\"\r\nA: 1\r\n"
                  "forwarded:\r\nFORWARDED: for=d , for=e\r\n\r\n",
                  &rfc7239, "2001:db8::1",
                  SENT "A: 1\r\nForwarded: for=a;by=\"b, \\\"c\", for=d , for=e, "
                       "for=\"[2001:db8::1]\";proto=http;host=\"[::1]:8080\"\r\n");
    check_request("GET /x?y HTTP/1.0\r\n\r\n", &rfc7239, "", SENT "Forwarded: for=unknown;proto=http\r\n");
    /* The other kind passes as it came. */
    check_request(LINE "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Host: a\r\n\r\n", &rfc7239, "10.0.0.1",
                  SENT "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Host: a\r\n"
                       "Forwarded: for=10.0.0.1;proto=http;host=\"caller\"\r\n");
    check_request(LINE "Forwarded: for=a\r\n\r\n", &x_forwarded, "",
                  SENT "Forwarded: for=a\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: caller\r\n");
}

static void no_quotes_of_a_caller_swallow_our_element(void **state)
{
    static const char *const open[] = {"for=\"a", "\"", "for=a;by=\"b\\\"", "for=\"a\"\"", "\"\\"};

    for (size_t i = 0; i < COUNT(open); i++) {
        char received[256];
        struct text text = text_over(received, sizeof(received));

        text_printf(&text, LINE "Forwarded: for=b\r\nForwarded: %s\r\n\r\n%c", open[i], 0);
        check_request(received, &rfc7239, "10.0.0.1",
                      SENT "Forwarded: for=b, for=10.0.0.1;proto=http;host=\"caller\"\r\n");
    }
}

static void expect_goes_on_if_the_caller_waits(void **state)
{
    check_request("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", &plain,
                  "10.0.0.1",
                  "POST / HTTP/1.1\r\nHost: api.example\r\nExpect: 100-continue\r\nContent-Length: 1\r\n");
    check_request(LINE "Expect: 100-continue\r\n\r\n", &plain, "10.0.0.1", SENT);
    check_request("POST / HTTP/1.0\r\nExpect: x\r\nContent-Length: 1\r\n\r\n", &plain, "",
                  "POST / HTTP/1.1\r\nHost: api.example\r\nContent-Length: 1\r\n");
}

static void configured_fields_are_removed_and_set(void **state)
{
    static const struct span dropped[] = {{"Cookie", 6}, {"authorization", 13}};
    const struct forward_rules rules = {.host = SPAN_LIT("api.example"),
                                        .set_lines = SPAN_LIT("Authorization: Bearer t\r\nX-New: 1\r\n"),
                                        .dropped = dropped,
                                        .dropped_count = 2,
                                        .dropped_lens = UINT64_MAX};

    check_request(LINE "A: 1\r\ncookie: a\r\nAuthorization: b\r\nCookies: c\r\nCOOKIE: d\r\n\r\n", &rules,
                  "10.0.0.1",
                  SENT "A: 1\r\nCookies: c\r\n"
                       "Authorization: Bearer t\r\nX-New: 1\r\n");
}

static void what_is_removed_is_not_added_either(void **state)
{
    static const struct span dropped[] = {{"x-forwarded-for", 15},
                                          {"Via", 3},
                                          {"X-Forwarded-Proto", 17},
                                          {"x-forwarded-HOST", 16},
                                          {"forwarded", 9}};
    struct forward_rules rules = {.host = SPAN_LIT("api.example"),
                                  .dropped = dropped,
                                  .dropped_count = COUNT(dropped),
                                  .dropped_lens = UINT64_MAX,
                                  .via = true};

    for (rules.tells = FORWARD_TELLS_NOTHING; rules.tells <= FORWARD_TELLS_RFC7239; rules.tells++)
        check_request(LINE
                      "Via: 1.1 a\r\nX-Forwarded-For: b\r\nX-Forwarded-Proto: c\r\nA: 1\r\nForwarded: d\r\n"
                      "X-Forwarded-Host: e\r\n\r\n",
                      &rules, "10.0.0.1", SENT "A: 1\r\n");
}

static void what_is_set_stands_in_place_of_what_would_be_added(void **state)
{
    static const struct span dropped[] = {{"X-Forwarded-Proto", 17}, {"Via", 3}};
    const struct forward_rules rules = {.host = SPAN_LIT("api.example"),
                                        .set_lines = SPAN_LIT("X-Forwarded-Proto: https\r\nVia: 1.1 me\r\n"),
                                        .dropped = dropped,
                                        .dropped_count = COUNT(dropped),
                                        .dropped_lens = UINT64_MAX,
                                        .tells = FORWARD_TELLS_X_FORWARDED,
                                        .via = true};

    check_request(LINE "X-Forwarded-Proto: a\r\n\r\n", &rules, "10.0.0.1",
                  SENT "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Host: caller\r\n"
                       "X-Forwarded-Proto: https\r\nVia: 1.1 me\r\n");
}

#define TRACEPARENT "TraceParent:00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
#define TRACESTATE  "tracestate: a=1\r\n"

static void a_trace_goes_on_as_it_came(void **state)
{
    check_request(LINE "A: 1\r\n" TRACEPARENT TRACESTATE "TRACESTATE: b=2\r\nB: 2\r\n\r\n", &plain,
                  "10.0.0.1", SENT "A: 1\r\n" TRACEPARENT TRACESTATE "TRACESTATE: b=2\r\nB: 2\r\n");
    assert_true(
        span_eq(head.traceparent, SPAN_LIT("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")));
    check_request(LINE "traceparent:\r\ntraceparent: x\r\n\r\n", &plain, "10.0.0.1",
                  SENT "traceparent:\r\ntraceparent: x\r\n");
    assert_int_equal(head.traceparent.len, 0);
    check_request(LINE "\r\n", &plain, "10.0.0.1", SENT);
    assert_int_equal(head.traceparent.len, 0);
}

static void a_trace_that_connection_names_goes_no_further(void **state)
{
    check_request(LINE "Connection: TraceParent\r\n" TRACEPARENT TRACESTATE "\r\n", &plain, "10.0.0.1",
                  SENT TRACESTATE);
    assert_int_equal(head.traceparent.len, 0);
}

static void a_new_trace_takes_the_place_of_all_that_came(void **state)
{
    static const struct span dropped[] = {{"traceparent", 11}};
    struct forward_rules rules = plain;

    trace_line = SPAN_LIT("traceparent: new\r\n");
    check_request(LINE "\r\n", &rules, "10.0.0.1", SENT "traceparent: new\r\n");
    check_request(LINE "A: 1\r\n" TRACESTATE TRACEPARENT "B: 2\r\n" TRACEPARENT TRACESTATE "\r\n", &rules,
                  "10.0.0.1",
                  SENT "A: 1\r\nB: 2\r\n"
                       "traceparent: new\r\n");
    forward_rules_set_dropped(&rules, dropped, 1);
    check_request(LINE TRACEPARENT "A: 1\r\n\r\n", &rules, "10.0.0.1",
                  SENT "A: 1\r\n"
                       "traceparent: new\r\n");
    trace_line = SPAN_LIT("");
}

static void nothing_is_left_half_written_when_the_text_is_full(void **state)
{
    const char *detail;

    assert_int_equal(http1_parse_request(SPAN_LIT(LINE "A: 1\r\n\r\n"), &head, &detail), CAUSE_NONE);
    for (size_t cap = 0; cap < sizeof(SENT "A: 1\r\n") - 1; cap++) {
        char *exact = malloc(cap + 1);
        struct text text = text_over(exact, cap);

        forward_request_head(&text, &head, &plain, (struct forwarded_caller){SPAN_LIT("10.0.0.1"), false},
                             SPAN_LIT(""));
        assert_true(text.overflow);
        free(exact);
    }
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 16;
}

/* Changes a few bytes, mostly into such as have a meaning in heads. */
static void mutate(char *bytes, size_t len, uint32_t *seed)
{
    static const char signs[] = "\r\n\t :;,/?#*%@[]0129azHTP\x7f\x80";

    for (uint32_t i = 1 + next_random(seed) % 3; i > 0; i--)
        bytes[next_random(seed) % len] = signs[next_random(seed) % sizeof(signs)];
}

/* Reads a head that we wrote as the next hop would. */
static enum cause read_back(struct span bytes, struct http1_head *out)
{
    struct http1_scan scan = {0};
    const char *detail;
    struct span found;
    size_t end;

    if (http1_scan(&scan, bytes, &found, &end) != HTTP1_DONE || found.len != bytes.len)
        return CAUSE_BAD_REQUEST;
    return http1_parse_request(found, out, &detail);
}

static void whatever_is_accepted_is_sent_on_with_one_meaning(void **state)
{
    static const char sound[] =
        "POST http://h/a/b?c HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\nConnection: a, keep-alive\r\nA: b\r\n"
        "Expect: 100-continue\r\nTE: trailers\r\nX-Forwarded-For: 1.2.3.4\r\nVia: 1.1 v\r\nTrailer: t\r\n\r\n";
    static struct http1_field fields[64];
    static struct http1_head again = HTTP1_HEAD_OVER(fields);
    uint32_t seed = 1;
    unsigned accepted = 0;

    for (int i = 0; i < 50000; i++) {
        char bytes[sizeof(sound)];
        struct text text = text_over(block, sizeof(block));
        const char *detail;

        memcpy(bytes, sound, sizeof(sound));
        mutate(bytes, sizeof(sound) - 1, &seed);
        if (http1_parse_request((struct span){bytes, sizeof(sound) - 1}, &head, &detail) != CAUSE_NONE)
            continue;
        accepted++;
        forward_request_head(&text, &head, &plain, (struct forwarded_caller){SPAN_LIT("::1"), false},
                             SPAN_LIT(""));
        TEXT_LIT(&text, "\r\n");
        assert_int_equal(read_back(text_span(&text), &again), CAUSE_NONE);
        assert_int_equal(again.framing, head.framing);
        assert_int_equal(again.content_length, head.content_length);
        assert_int_equal(again.te_trailers, head.te_trailers);
        assert_int_equal(again.expect_continue, head.expect_continue);
        assert_true(span_eq(again.host, plain.host));
        assert_true(span_eq(again.method, head.method));
    }
    assert_in_range(accepted, 5000, 45000);
}

/* ---- responses ---- */

#define CALL "X-Curfew-Call: 2a\r\n"

static struct span own_lines, own_date, own_authority;
static const struct forward_rules *response_rules = &plain;

static void check_response(const char *received, enum http1_method method, uint8_t caller_minor,
                           bool keep_alive, const char *want)
{
    struct text text = text_over(block, sizeof(block));
    const char *detail;

    assert_int_equal(http1_parse_response(span_of(received), method, &head, &detail), CAUSE_NONE);
    forward_response_head(&text, &head, forward_response_framing(&head, caller_minor), caller_minor,
                          keep_alive,
                          &(struct forward_own){.rules = response_rules,
                                                .call_id = 42,
                                                .lines = own_lines,
                                                .date = own_date,
                                                .authority = own_authority});
    assert_text(&text, want);
}

static void a_response_goes_on_with_its_fields_and_our_call_id(void **state)
{
    check_response("HTTP/1.1 200 Fine\r\nA: 1\r\nContent-Length: 05\r\nB:2\r\nX-Curfew-call: 7\r\n\r\n",
                   HTTP1_GET, 1, true,
                   "HTTP/1.1 200 Fine\r\nA: 1\r\nB:2\r\nContent-Length: 5\r\n" CALL "\r\n");
    check_response("HTTP/1.0 404\r\nContent-Length: 0\r\n\r\n", HTTP1_GET, 1, true,
                   "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n" CALL "\r\n");
}

static void connection_is_said_anew_to_each_caller(void **state)
{
    static const char received[] = "HTTP/1.1 200 OK\r\nConnection: keep-alive, x\r\nKeep-Alive: timeout=5\r\n"
                                   "X: 1\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\n";

    check_response(received, HTTP1_GET, 1, true, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" CALL "\r\n");
    check_response(received, HTTP1_GET, 1, false,
                   "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n" CALL "\r\n");
    check_response(received, HTTP1_GET, 0, true,
                   "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n" CALL "\r\n");
    check_response(received, HTTP1_GET, 0, false,
                   "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n" CALL "\r\n");
}

static void content_is_delimited_in_a_way_that_the_caller_knows(void **state)
{
    static const char chunked[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\nTrailer: A\r\n\r\n";
    static const char until_close[] = "HTTP/1.1 200 OK\r\nA: 1\r\n\r\n";

    check_response(chunked, HTTP1_GET, 1, true,
                   "HTTP/1.1 200 OK\r\nTrailer: A\r\nTransfer-Encoding: chunked\r\n" CALL "\r\n");
    check_response(chunked, HTTP1_GET, 0, true,
                   "HTTP/1.1 200 OK\r\nTrailer: A\r\nConnection: close\r\n" CALL "\r\n");
    check_response(until_close, HTTP1_GET, 1, true,
                   "HTTP/1.1 200 OK\r\nA: 1\r\nTransfer-Encoding: chunked\r\n" CALL "\r\n");
    check_response(until_close, HTTP1_GET, 0, true,
                   "HTTP/1.1 200 OK\r\nA: 1\r\nConnection: close\r\n" CALL "\r\n");
}

static void framing_for_the_caller_is_as_it_came_where_possible(void **state)
{
    static const struct {
        enum http1_framing came, for_1_1, for_1_0;
        bool close_1_0;
    } framings[] = {
        {HTTP1_NO_CONTENT, HTTP1_NO_CONTENT, HTTP1_NO_CONTENT, false},
        {HTTP1_LENGTH, HTTP1_LENGTH, HTTP1_LENGTH, false},
        {HTTP1_CHUNKED, HTTP1_CHUNKED, HTTP1_UNTIL_CLOSE, true},
        {HTTP1_UNTIL_CLOSE, HTTP1_CHUNKED, HTTP1_UNTIL_CLOSE, true},
    };

    for (size_t i = 0; i < COUNT(framings); i++) {
        struct forward_framing framing;

        head.framing = framings[i].came;
        framing = forward_response_framing(&head, 1);
        assert_int_equal(framing.framing, framings[i].for_1_1);
        assert_false(framing.close);
        framing = forward_response_framing(&head, 0);
        assert_int_equal(framing.framing, framings[i].for_1_0);
        assert_int_equal(framing.close, framings[i].close_1_0);
    }
}

static void what_describes_absent_content_is_kept_for_head_and_304(void **state)
{
    static const char length[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: 1\r\n\r\n";
    static const char coded[] = "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n";

    check_response(length, HTTP1_HEAD, 1, true,
                   "HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 5\r\n" CALL "\r\n");
    check_response(coded, HTTP1_GET, 1, true,
                   "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n" CALL "\r\n");
    check_response(coded, HTTP1_GET, 0, true,
                   "HTTP/1.1 304 Not Modified\r\nConnection: keep-alive\r\n" CALL "\r\n");
    check_response("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", HTTP1_GET, 1, true,
                   "HTTP/1.1 204 No Content\r\n" CALL "\r\n");
}

static void what_can_not_be_read_of_absent_content_is_left_out(void **state)
{
    check_response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: 1\r\nContent-Length: 5\r\n\r\n", HTTP1_HEAD, 1,
                   true, "HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 5\r\n" CALL "\r\n");
    check_response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: 1\r\nContent-Length: 6\r\n\r\n", HTTP1_HEAD, 1,
                   true, "HTTP/1.1 200 OK\r\nA: 1\r\n" CALL "\r\n");
    check_response("HTTP/1.1 304 N\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n", HTTP1_GET, 1,
                   true, "HTTP/1.1 304 N\r\n" CALL "\r\n");
    check_response("HTTP/1.1 204 N\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n", HTTP1_GET, 1,
                   true, "HTTP/1.1 204 N\r\n" CALL "\r\n");
    check_response("HTTP/1.1 103 E\r\nContent-Length: 6\r\nLink: a\r\n\r\n", HTTP1_GET, 1, true,
                   "HTTP/1.1 103 E\r\nLink: a\r\n\r\n");
}

static void lines_that_end_with_lf_are_written_anew(void **state)
{
    check_response("HTTP/1.1 200 OK\nA: 1\nB: 2\r\nC:\nKeep-Alive: x\nD: 3\r\nE: 4\r\nContent-Length: 5\n\n",
                   HTTP1_GET, 1, true,
                   "HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\nC:\r\nD: 3\r\nE: 4\r\nContent-Length: 5\r\n" CALL
                   "\r\n");
}

static void what_we_say_of_the_call_stands_beside_what_the_upstream_says(void **state)
{
    own_lines = SPAN_LIT("Server-Timing: wait;dur=2\r\n");
    check_response(
        "HTTP/1.1 200 OK\r\nserver-timing: db;dur=1\r\nTraceparent: a\r\nContent-Length: 0\r\n\r\n",
        HTTP1_GET, 1, true,
        "HTTP/1.1 200 OK\r\nserver-timing: db;dur=1\r\nTraceparent: a\r\nContent-Length: 0\r\n" CALL
        "Server-Timing: wait;dur=2\r\n\r\n");
    check_response("HTTP/1.1 103\r\nLink: a\r\n\r\n", HTTP1_GET, 1, true,
                   "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n");
    own_lines = SPAN_LIT("");
}

static void a_date_is_told_where_one_is_due(void **state)
{
    own_date = SPAN_LIT("Sun, 06 Nov 1994 08:49:37 GMT");
    check_response(
        "HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 0\r\n\r\n", HTTP1_GET, 1, true,
        "HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 0\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n" CALL
        "\r\n");
    assert_false(head.has_date);
    check_response("HTTP/1.1 103\r\nLink: a\r\n\r\n", HTTP1_GET, 1, true,
                   "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n");
    own_date = SPAN_LIT("");
    check_response("HTTP/1.1 200 OK\r\ndate: x\r\nConnection: Date\r\nContent-Length: 0\r\n\r\n", HTTP1_GET,
                   1, true, "HTTP/1.1 200 OK\r\ndate: x\r\nContent-Length: 0\r\n" CALL "\r\n");
    assert_true(head.has_date);
}

static void a_location_leads_back_to_us_if_that_was_asked_for(void **state)
{
    static const struct forward_rules rewriting = {.host = {"api.example", 11},
                                                   .origin = {"api.example", 11},
                                                   .base_path = {"/v2", 3},
                                                   .rewrites_location = true};
    static const char received[] =
        "HTTP/1.1 302 F\r\nA: 1\r\nlocation:  http://api.example/v2?x \r\nB: 2\r\nLocation: /c\r\n"
        "Content-Location: http://API.example:80/v2/d\r\nContent-Length: 0\r\n\r\n";

    response_rules = &rewriting;
    own_authority = SPAN_LIT("here:81");
    check_response(received, HTTP1_GET, 1, true,
                   "HTTP/1.1 302 F\r\nA: 1\r\nlocation: http://here:81/?x\r\nB: 2\r\nLocation: /c\r\n"
                   "Content-Location: http://here:81/d\r\nContent-Length: 0\r\n" CALL "\r\n");
    check_response("HTTP/1.1 302 F\nLocation: http://api.example/v2/a\nContent-Length: 0\n\n", HTTP1_GET, 1,
                   true, "HTTP/1.1 302 F\r\nLocation: http://here:81/a\r\nContent-Length: 0\r\n" CALL "\r\n");
    own_authority = SPAN_LIT("");
    check_response(
        "HTTP/1.1 302 F\r\nLocation: http://api.example/v2/a\r\nContent-Length: 0\r\n\r\n", HTTP1_GET, 1,
        true, "HTTP/1.1 302 F\r\nLocation: http://api.example/v2/a\r\nContent-Length: 0\r\n" CALL "\r\n");
    response_rules = &plain;
}

static void an_interim_response_has_no_framing_and_no_call_id(void **state)
{
    check_response("HTTP/1.1 100 Continue\r\n\r\n", HTTP1_POST, 1, true, "HTTP/1.1 100 Continue\r\n\r\n");
    check_response("HTTP/1.1 103\r\nLink: a\r\nConnection: b\r\nB: c\r\n\r\n", HTTP1_GET, 1, false,
                   "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n");
}

static void via_is_told_to_callers_too_if_that_was_asked_for(void **state)
{
    response_rules = &with_via;
    check_response("HTTP/1.0 200 OK\r\nVia: 1.1 a\r\nContent-Length: 0\r\n\r\n", HTTP1_GET, 1, true,
                   "HTTP/1.1 200 OK\r\nVia: 1.1 a\r\nVia: 1.0 curfew\r\nContent-Length: 0\r\n" CALL "\r\n");
    check_response("HTTP/1.1 103\r\nLink: a\r\n\r\n", HTTP1_GET, 1, true,
                   "HTTP/1.1 103 Early Hints\r\nLink: a\r\n" VIA "\r\n");
    response_rules = &plain;
    check_response("HTTP/1.1 200 OK\r\nVia: 1.1 a\r\nContent-Length: 0\r\n\r\n", HTTP1_GET, 1, true,
                   "HTTP/1.1 200 OK\r\nVia: 1.1 a\r\nContent-Length: 0\r\n" CALL "\r\n");
}

static void trailers_go_on_without_what_could_deceive(void **state)
{
    struct text text = text_over(block, sizeof(block));

    forward_trailers(
        &text,
        SPAN_LIT(
            "grpc-status: 0\r\nContent-Length: 5\r\nhost: a\r\nTransfer-Encoding: chunked\r\n"
            "Authorization: x\r\nSet-Cookie: y\r\nConnection: close\r\nVia: 1.1 a\r\n"
            "X-Forwarded-For: b\r\nX-Forwarded-Host: j\r\nForwarded: k\r\nX-Real-IP: l\r\nContent-Type: c\r\nTrailer: d\r\ncache-control: e\r\n"
            "traceparent: h\r\ntracestate: i\r\nServer-Timing: f\r\nX-Curfew-Call: 1\r\nETag: g\r\n"),
        NULL);
    assert_text(&text, "grpc-status: 0\r\nServer-Timing: f\r\nETag: g\r\n");
    text.len = 0;
    forward_trailers(&text, SPAN_LIT(""), NULL);
    assert_text(&text, "");
}

static void what_is_dropped_from_a_head_is_dropped_from_the_trailers(void **state)
{
    static const struct span dropped[] = {{"X-Api-Key", 9}, {"x-debug", 7}};
    static const struct forward_rules rules = {
        .dropped = dropped, .dropped_count = 2, .dropped_lens = UINT64_MAX};
    struct text text = text_over(block, sizeof(block));

    forward_trailers(&text, SPAN_LIT("x-api-key: a\r\nX-Debug: b\r\nX-Api-Keys: c\r\n"), &rules);
    assert_text(&text, "X-Api-Keys: c\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_goes_on_with_the_upstreams_host_and_our_fields),
        cmocka_unit_test(a_target_is_sent_in_origin_form_behind_the_base_path),
        cmocka_unit_test(to_a_proxy_a_target_goes_with_the_authority_that_it_came_with),
        cmocka_unit_test(fields_for_one_hop_stay_behind),
        cmocka_unit_test(a_request_has_exactly_the_framing_that_was_read),
        cmocka_unit_test(te_goes_on_only_as_trailers),
        cmocka_unit_test(an_api_is_told_nothing_of_the_way_unless_asked),
        cmocka_unit_test(via_goes_behind_those_that_came_with_the_version_that_came),
        cmocka_unit_test(the_caller_is_appended_to_all_that_forwarded_it),
        cmocka_unit_test(what_the_caller_used_is_told_unless_that_came_already),
        cmocka_unit_test(forwarded_gets_a_further_element),
        cmocka_unit_test(no_quotes_of_a_caller_swallow_our_element),
        cmocka_unit_test(a_caller_on_a_unix_socket_leaves_x_forwarded_for_alone),
        cmocka_unit_test(expect_goes_on_if_the_caller_waits),
        cmocka_unit_test(configured_fields_are_removed_and_set),
        cmocka_unit_test(what_is_removed_is_not_added_either),
        cmocka_unit_test(what_is_set_stands_in_place_of_what_would_be_added),
        cmocka_unit_test(a_trace_goes_on_as_it_came),
        cmocka_unit_test(a_trace_that_connection_names_goes_no_further),
        cmocka_unit_test(a_new_trace_takes_the_place_of_all_that_came),
        cmocka_unit_test(nothing_is_left_half_written_when_the_text_is_full),
        cmocka_unit_test(whatever_is_accepted_is_sent_on_with_one_meaning),
        cmocka_unit_test(a_response_goes_on_with_its_fields_and_our_call_id),
        cmocka_unit_test(connection_is_said_anew_to_each_caller),
        cmocka_unit_test(content_is_delimited_in_a_way_that_the_caller_knows),
        cmocka_unit_test(framing_for_the_caller_is_as_it_came_where_possible),
        cmocka_unit_test(what_describes_absent_content_is_kept_for_head_and_304),
        cmocka_unit_test(what_can_not_be_read_of_absent_content_is_left_out),
        cmocka_unit_test(lines_that_end_with_lf_are_written_anew),
        cmocka_unit_test(what_we_say_of_the_call_stands_beside_what_the_upstream_says),
        cmocka_unit_test(a_date_is_told_where_one_is_due),
        cmocka_unit_test(a_location_leads_back_to_us_if_that_was_asked_for),
        cmocka_unit_test(an_interim_response_has_no_framing_and_no_call_id),
        cmocka_unit_test(via_is_told_to_callers_too_if_that_was_asked_for),
        cmocka_unit_test(trailers_go_on_without_what_could_deceive),
        cmocka_unit_test(what_is_dropped_from_a_head_is_dropped_from_the_trailers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
