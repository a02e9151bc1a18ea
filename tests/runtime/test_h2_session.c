/* HTTP/2 as a machine: a client's session and a server's, with nothing between them but bytes. */
#include "support.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "wire/h2_session.h"

#define F(n, v)                                                                                              \
    {                                                                                                        \
        SPAN_LIT(n), SPAN_LIT(v), false                                                                      \
    }
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* One end, and what it was told, as a text. A session has one stream here, which is the end itself. */
struct end {
    struct h2_session *session;
    int32_t id;
    char told[4096];
    struct span content; /* to be given */
    size_t piece;        /* at most so much at once; 0: as it comes */
    const struct h2_field *trailers;
    bool refuses, consumes, has_no_memory;
    size_t received;
    unsigned went;
};

static void tell(struct end *end, const char *format, ...)
{
    size_t len = strlen(end->told);
    va_list args;

    va_start(args, format);
    vsnprintf(end->told + len, sizeof(end->told) - len, format, args);
    va_end(args);
}

static void *begun(void *user, int32_t id)
{
    struct end *end = user;

    end->id = id;
    return end->refuses ? NULL : end;
}

static void head(void *user, void *stream)
{
    assert_ptr_equal(user, stream);
    tell(user, "head ");
}

static bool field(void *user, void *stream, struct span name, struct span value)
{
    (void)stream;
    tell(user, "%.*s=%.*s ", SPAN_FMT(name), SPAN_FMT(value));
    return !span_eq(name, SPAN_LIT("x-bad"));
}

static void head_done(void *user, void *stream, bool end)
{
    (void)stream;
    tell(user, end ? "done-end " : "done ");
}

static bool data(void *user, void *stream, struct span bytes)
{
    struct end *end = user;

    (void)stream;
    if (end->has_no_memory)
        return false;
    if (end->received == 0 || bytes.len < 16)
        tell(end, "data(%zu) ", bytes.len);
    end->received += bytes.len;
    if (end->consumes)
        h2_session_consume(end->session, end->id, bytes.len);
    return true;
}

static void ended(void *user, void *stream)
{
    (void)stream;
    tell(user, "ended ");
}

static void closed(void *user, void *stream, uint32_t code, bool by_peer)
{
    (void)stream;
    (void)by_peer;
    tell(user, "closed(%u) ", code);
}

static size_t give(void *user, void *stream, void *to, size_t cap, bool *is_last)
{
    struct end *end = user;
    size_t len = end->content.len < cap ? end->content.len : cap;

    (void)stream;
    if (end->piece != 0 && len > end->piece)
        len = end->piece;
    memcpy(to, end->content.ptr, len);
    end->content = (struct span){end->content.ptr + len, end->content.len - len};
    if (end->piece != 0)
        end->piece = 0;
    else
        *is_last = end->content.len == 0;
    if (*is_last && end->trailers != NULL)
        assert_int_equal(h2_session_trailers(end->session, end->id, end->trailers, 1), ST_OK);
    return len;
}

static void goaway(void *user, int32_t last, uint32_t code, struct span debug)
{
    (void)debug;
    tell(user, "goaway(%d,%u) ", last, code);
}

static void went(void *user, void *stream)
{
    struct end *end = user;

    assert_ptr_equal(user, stream);
    end->went++;
}

static const struct h2_events events = {begun,  head, field,  head_done, data, ended,
                                        closed, give, goaway, went,      NULL};

static void end_init(struct end *end, enum h2_side side, uint32_t window, uint32_t streams)
{
    struct h2_terms terms = {.side = side,
                             .max_streams = streams,
                             .window = window,
                             .head_max = 65536,
                             .events = &events,
                             .user = end};

    *end = (struct end){.session = h2_session_new(&terms)};
    assert_non_null(end->session);
}

/* All that `from` has to say, in pieces of `cap` bytes. True: it was something. */
static bool carry(struct end *from, struct end *to, size_t cap, enum status *status)
{
    bool any = false;
    char block[65536];
    size_t len;

    do {
        assert_int_equal(h2_session_pull(from->session, block, cap, &len), ST_OK);
        any |= len != 0;
        if (len != 0)
            *status = h2_session_receive(to->session, (struct span){block, len});
    } while (len != 0 && *status == ST_OK);
    return any;
}

static enum status talk(struct end *a, struct end *b, size_t cap)
{
    enum status status = ST_OK;

    bool any = true;

    while (any) {
        any = carry(a, b, cap, &status);
        any |= carry(b, a, cap, &status);
    }
    return status;
}

static const struct h2_field get[] = {F(":method", "GET"), F(":scheme", "https"), F(":authority", "api.test"),
                                      F(":path", "/x?y")};
static const struct h2_field post[] = {F(":method", "POST"), F(":scheme", "http"), F(":authority", "a"),
                                       F(":path", "/")};
static const struct h2_field ok[] = {F(":status", "200"), F("x-a", "b")};

static void ask(struct end *client, const struct h2_field *fields, size_t count, bool is_whole)
{
    assert_int_equal(h2_session_request(client->session, fields, count, is_whole, client, &client->id),
                     ST_OK);
}

static void end_both(struct end *client, struct end *server)
{
    h2_session_free(client->session);
    h2_session_free(server->session);
}

static void a_request_and_its_response(void **state)
{
    static const size_t caps[] = {1, 7, 65536};

    (void)state;
    for (size_t i = 0; i < COUNT(caps); i++) {
        struct end client, server;

        end_init(&client, H2_CLIENT, 65535, 0);
        end_init(&server, H2_SERVER, 65535, 10);
        ask(&client, get, 4, true);
        assert_int_equal(talk(&client, &server, caps[i]), ST_OK);
        assert_string_equal(server.told,
                            "head :method=GET :scheme=https :authority=api.test :path=/x?y done-end ended ");
        server.told[0] = '\0';
        server.content = SPAN_LIT("hello");
        assert_int_equal(h2_session_respond(server.session, server.id, ok, 2, false), ST_OK);
        assert_int_equal(talk(&client, &server, caps[i]), ST_OK);
        assert_string_equal(client.told,
                            i == 2 ? "head :status=200 x-a=b done data(5) ended closed(0) " : client.told);
        assert_int_equal(client.received, 5);
        assert_string_equal(server.told, "closed(0) ");
        assert_true(h2_session_knows_peer(client.session));
        assert_int_equal(h2_session_peer_streams(client.session), 10);
        end_both(&client, &server);
    }
}

/* After 2^30 requests. What follows has not been sent, which is told apart from a want of memory. */
static void numbers_of_streams_run_out(void **state)
{
    struct end client, server;
    nghttp2_session *below;
    int32_t id;

    (void)state;
    end_init(&client, H2_CLIENT, 65535, 0);
    end_init(&server, H2_SERVER, 65535, 10);
    memcpy(&below, client.session, sizeof(below)); /* its first member */
    assert_int_equal(nghttp2_session_set_next_stream_id(below, INT32_MAX), 0);
    ask(&client, get, 4, true);
    assert_int_equal(client.id, INT32_MAX);
    assert_int_equal(h2_session_request(client.session, get, 4, true, &client, &id), ST_LIMIT);
    assert_int_equal(talk(&client, &server, 65536), ST_OK);
    assert_int_equal(h2_session_respond(server.session, INT32_MAX, ok, 2, true), ST_OK);
    assert_int_equal(talk(&client, &server, 65536), ST_OK);
    assert_string_equal(client.told, "head :status=200 x-a=b done-end ended closed(0) ");
    end_both(&client, &server);
}

static void content_waits_for_the_window_and_goes_on_with_it(void **state)
{
    static char much[300000];
    struct end client, server;

    (void)state;
    end_init(&client, H2_CLIENT, 65535, 0);
    end_init(&server, H2_SERVER, 65535, 10);
    client.content = (struct span){much, sizeof(much)};
    ask(&client, post, 4, false);
    assert_int_equal(talk(&client, &server, 65536), ST_OK);
    assert_int_equal(server.received, 65535);
    server.consumes = true;
    h2_session_consume(server.session, server.id, 65535);
    assert_int_equal(talk(&client, &server, 65536), ST_OK);
    assert_int_equal(server.received, sizeof(much));
    end_both(&client, &server);
}

static void content_that_is_not_there_is_asked_for_again(void **state)
{
    static const struct h2_field trailer[] = {F("grpc-status", "0")};
    struct end client, server;

    (void)state;
    end_init(&client, H2_CLIENT, 65535, 0);
    end_init(&server, H2_SERVER, 65535, 10);
    ask(&client, get, 4, true);
    assert_int_equal(talk(&client, &server, 65536), ST_OK);
    server.content = SPAN_LIT("abcdef");
    server.piece = 3;
    server.trailers = trailer;
    assert_int_equal(
        h2_session_interim(server.session, server.id, (const struct h2_field[]){F(":status", "103")}, 1),
        ST_OK);
    assert_int_equal(h2_session_respond(server.session, server.id, ok, 2, false), ST_OK);
    assert_int_equal(talk(&client, &server, 65536), ST_OK);
    assert_string_equal(client.told, "head :status=103 done head :status=200 x-a=b done data(3) data(3) head "
                                     "grpc-status=0 done-end ended closed(0) ");
    end_both(&client, &server);
}

static void who_goes_away_has_not_processed_what_comes_later(void **state)
{
    struct end client, server;

    (void)state;
    end_init(&client, H2_CLIENT, 65535, 0);
    end_init(&server, H2_SERVER, 65535, 10);
    h2_session_goaway(server.session, H2_NO_ERROR);
    ask(&client, get, 4, true);
    assert_int_equal(talk(&client, &server, 65536), ST_OK);
    assert_string_equal(client.told, "goaway(0,0) closed(7) ");
    assert_true(h2_session_is_over(client.session));
    end_both(&client, &server);
}

static void a_stream_is_refused_or_reset(void **state)
{
    struct end client, server;

    (void)state;
    end_init(&client, H2_CLIENT, 65535, 0);
    end_init(&server, H2_SERVER, 65535, 10);
    server.refuses = true;
    ask(&client, get, 4, true);
    assert_int_equal(talk(&client, &server, 65536), ST_OK);
    assert_string_equal(client.told, "closed(7) ");
    server.refuses = false;
    ask(&client, get, 4, true);
    assert_int_equal(talk(&client, &server, 65536), ST_OK);
    h2_session_reset(client.session, client.id, H2_CANCEL);
    assert_int_equal(talk(&client, &server, 65536), ST_OK);
    assert_true(strstr(server.told, "closed(8)") != NULL);
    end_both(&client, &server);
}

static void a_request_that_waits_for_a_stream_has_not_gone(void **state)
{
    struct end client, server;
    int32_t first;

    (void)state;
    end_init(&client, H2_CLIENT, 65535, 0);
    end_init(&server, H2_SERVER, 65535, 1);
    ask(&client, get, 4, true);
    assert_int_equal(client.went, 0);
    assert_int_equal(talk(&client, &server, 65536), ST_OK);
    assert_int_equal(client.went, 1);
    first = client.id;
    ask(&client, get, 4, true);
    h2_session_ping(client.session); /* something else has gone since */
    assert_int_equal(talk(&client, &server, 65536), ST_OK);
    assert_int_equal(client.went, 1);
    assert_int_equal(h2_session_respond(server.session, first, ok, 2, true), ST_OK);
    assert_int_equal(talk(&client, &server, 65536), ST_OK);
    assert_int_equal(client.went, 2);
    assert_int_equal(server.went, 0);
    end_both(&client, &server);
}

static void a_field_is_trimmed_or_the_message_is_malformed(void **state)
{
    static const struct {
        struct h2_field field;
        const char *told;
    } cases[] = {
        {F("x-a", " b\t"), "x-a=b done-end ended closed(0) "},
        {F("x-a", ""), "x-a= done-end ended closed(0) "},
        {F("x-a", "b\nc"), "closed(1) "},
        {F("x-a", " b\nc"), "closed(1) "},
        {{SPAN_LIT("x-a"), {"b\0c", 3}, false}, "closed(1) "},
        {F("x a", "b"), "closed(1) "},
        {F("connection", "close"), "closed(1) "},
        {F("transfer-encoding", "chunked"), "closed(1) "},
        {F("transfer-encoding", "chunked "), "closed(1) "},
        {F("transfer-encoding", " "), "closed(1) "},
        {F("connection", " close"), "closed(1) "},
        {F("te", "gzip\t"), "closed(1) "},
        {F("content-length", "1 "), "closed(1) "},
        {F("x-bad", "refused by the event"), "closed(2) "},
        {F(":path", "/"), "closed(1) "},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct h2_field fields[] = {F(":status", "200"), cases[i].field};
        struct end client, server;
        size_t len;

        end_init(&client, H2_CLIENT, 65535, 0);
        end_init(&server, H2_SERVER, 65535, 10);
        ask(&client, get, 4, true);
        assert_int_equal(talk(&client, &server, 65536), ST_OK);
        assert_int_equal(h2_session_respond(server.session, server.id, fields, 2, true), ST_OK);
        assert_int_equal(talk(&client, &server, 65536), ST_OK);
        len = strlen(client.told);
        if (len < strlen(cases[i].told) ||
            strcmp(client.told + len - strlen(cases[i].told), cases[i].told) != 0)
            fail_msg("%.*s: %s, not %s", SPAN_FMT(cases[i].field.name), client.told, cases[i].told);
        end_both(&client, &server);
    }
}

static void content_that_finds_no_memory_resets_its_stream(void **state)
{
    struct end client, server;

    (void)state;
    end_init(&client, H2_CLIENT, 65535, 0);
    end_init(&server, H2_SERVER, 65535, 10);
    server.has_no_memory = true;
    client.content = SPAN_LIT("x");
    ask(&client, post, 4, false);
    assert_int_equal(talk(&client, &server, 65536), ST_OK);
    assert_string_equal(client.told, "closed(2) ");
    end_both(&client, &server);
}

static void what_is_no_http2_is_bad(void **state)
{
    static const struct span bytes[] = {
        SPAN_LIT("HTTP/1.1 400 Bad Request\r\n\r\n"),
        SPAN_LIT("\x00\x00\x00\x00\x00\x00\x00\x00\x01"), /* DATA before SETTINGS */
        SPAN_LIT("\x00\xff\xff\x04\x00\x00\x00\x00\x00"), /* SETTINGS of no size */
        SPAN_LIT(
            "\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x04\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00"), /* a push */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bytes); i++) {
        char block[256];
        struct end client;
        size_t len;

        end_init(&client, H2_CLIENT, 65535, 0);
        assert_int_equal(h2_session_receive(client.session, bytes[i]), ST_OK);
        assert_int_equal(h2_session_pull(client.session, block, sizeof(block), &len), ST_OK);
        if (!h2_session_is_broken(client.session) || !h2_session_is_over(client.session))
            fail_msg("bytes %zu are taken", i);
        h2_session_free(client.session);
    }
}

static void a_ping_is_answered_and_counted(void **state)
{
    struct end client, server;

    (void)state;
    end_init(&client, H2_CLIENT, 65535, 0);
    end_init(&server, H2_SERVER, 65535, 10);
    h2_session_ping(client.session);
    assert_int_equal(talk(&client, &server, 65536), ST_OK);
    assert_int_equal(h2_session_pongs(client.session), 1);
    end_both(&client, &server);
}

static bool fail_nth(void *arg, size_t size)
{
    (void)size;
    return --*(int *)arg == 0;
}

/* Each allocation of a whole exchange fails once: there is a status that says so, and nothing is lost. */
static void without_memory(void **state)
{
    bool is_done = false;

    (void)state;
    for (int nth = 1; !is_done; nth++) {
        struct h2_terms terms = {.side = H2_CLIENT, .window = 65535, .head_max = 65536, .events = &events};
        struct end client = {0}, server;
        enum status status = ST_OK;
        int left = nth;

        end_init(&server, H2_SERVER, 65535, 10);
        terms.user = &client;
        mem_set_fault(fail_nth, &left);
        client.session = h2_session_new(&terms);
        if (client.session != NULL &&
            h2_session_request(client.session, get, 4, true, &client, &client.id) == ST_OK) {
            char block[4096];
            size_t len = 1;

            while (status == ST_OK && len != 0) {
                status = h2_session_pull(client.session, block, sizeof(block), &len);
                if (status == ST_OK && len != 0)
                    status = h2_session_receive(server.session, (struct span){block, len});
            }
        }
        is_done = left > 0;
        mem_set_fault(NULL, NULL);
        if (client.session != NULL)
            h2_session_free(client.session);
        h2_session_free(server.session);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_and_its_response),
        cmocka_unit_test(numbers_of_streams_run_out),
        cmocka_unit_test(content_waits_for_the_window_and_goes_on_with_it),
        cmocka_unit_test(content_that_is_not_there_is_asked_for_again),
        cmocka_unit_test(who_goes_away_has_not_processed_what_comes_later),
        cmocka_unit_test(a_stream_is_refused_or_reset),
        cmocka_unit_test(a_request_that_waits_for_a_stream_has_not_gone),
        cmocka_unit_test(a_field_is_trimmed_or_the_message_is_malformed),
        cmocka_unit_test(content_that_finds_no_memory_resets_its_stream),
        cmocka_unit_test(what_is_no_http2_is_bad),
        cmocka_unit_test(a_ping_is_answered_and_counted),
        cmocka_unit_test(without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
