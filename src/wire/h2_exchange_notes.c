/* What comes of a response is noted, as the session tells it: nothing here acts. */
#include <string.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "runtime/loop.h"
#include "wire/h2_exchange.h"

/* What a field takes beside its name and value (RFC 9113 6.5.2). */
#define FIELD_OVERHEAD  32u
#define TRAILERS_MAX    8192u
/* A status line with the longest reason; "content-length: 0" and the end of a head are shorter. */
#define STATUS_LINE_MAX 64u

void h2_exchange_has_news(struct h2_exchange *exchange)
{
    exchange->news = true;
    if (exchange->connection != NULL)
        h2_connection_has_news(exchange->connection, &exchange->member);
}

/* The first failure counts. */
void h2_exchange_fail(struct h2_exchange *exchange, enum stream_result result, enum cause cause,
                      const char *detail)
{
    h2_exchange_has_news(exchange);
    if (exchange->failure != STREAM_OK)
        return;
    exchange->failure = result;
    exchange->stream.fault =
        (struct stream_fault){.cause = cause,
                              .detail = detail,
                              .refused = exchange->stream.refused,
                              .closed = exchange->stream.lost && !exchange->stream.heard};
}

void h2_exchange_fail_for_memory(struct h2_exchange *exchange)
{
    h2_exchange_fail(exchange, STREAM_NOMEM, CAUSE_INTERNAL, NULL);
}

/* A field that is too long is known by the error that it makes. */
void h2_exchange_fail_for_breach(struct h2_exchange *exchange, const char *detail)
{
    const struct h2_connection *connection = exchange->connection;

    if (connection != NULL && h2_session_choked_on(connection->session, exchange->id))
        h2_exchange_fail(exchange, STREAM_BAD, CAUSE_RESPONSE_HEAD_SIZE, NULL);
    else
        h2_exchange_fail(exchange, STREAM_BAD, CAUSE_HTTP_PROTOCOL, detail);
}

static void *begun(void *user, int32_t id)
{
    (void)user;
    (void)id;
    IMPOSSIBLE("an API begins a stream");
    return NULL;
}

/* Behind the final head, a block of fields is trailers. */
static bool is_trailers(const struct h2_exchange *exchange)
{
    return exchange->open || exchange->head_is_final;
}

static void head_begins(void *user, void *stream)
{
    struct h2_exchange *exchange = stream;

    (void)user;
    exchange->stream.heard = true;
    if (!is_trailers(exchange)) {
        exchange->stream.begun = exchange->head_comes = true;
        h2_exchange_has_news(exchange); /* another limit runs from here, and the rest may not come */
    }
    exchange->head_bytes = 0;
    exchange->head_is_bad = false;
    exchange->stream.moved_ns = loop_now(exchange->loop);
}

static void head_is_bad(struct h2_exchange *exchange, enum cause cause, const char *detail)
{
    exchange->head_is_bad = true;
    h2_exchange_fail(exchange, STREAM_BAD, cause, detail);
}

/* Room for so many bytes behind what there is. False: there is none, or no memory, which was noted. */
static bool make_room(struct h2_exchange *exchange, size_t len)
{
    enum status status =
        buffer_reserve(&exchange->loop->spare_buffers, &exchange->heads, len, exchange->head_cap);

    if (status == ST_NOMEM)
        h2_exchange_fail_for_memory(exchange);
    return status == ST_OK;
}

static bool put_field(struct h2_exchange *exchange, struct span name, struct span value)
{
    uint64_t most = is_trailers(exchange) ? TRAILERS_MAX : exchange->head_max;
    struct buffer *heads = &exchange->heads;
    struct text line;
    bool done;

    exchange->head_bytes += (uint32_t)(name.len + value.len + FIELD_OVERHEAD);
    if (exchange->head_bytes > most || !make_room(exchange, name.len + value.len + STATUS_LINE_MAX))
        return false;
    line = text_over(heads->data + heads->end, heads->cap - heads->end);
    done = span_eq(name, SPAN_LIT(":status")) ? h2_head_put_status(&line, value)
                                              : h2_head_put_field(&line, name, value);
    if (done)
        heads->end += (uint32_t)line.len;
    return done;
}

static bool field(void *user, void *stream, struct span name, struct span value)
{
    struct h2_exchange *exchange = stream;

    (void)user;
    if (exchange->head_is_bad || put_field(exchange, name, value))
        return true; /* the rest of a bad one is passed over */
    if (span_eq(name, SPAN_LIT(":status")))
        head_is_bad(exchange, CAUSE_HTTP_PROTOCOL, "the response's status is none of HTTP/2");
    else
        head_is_bad(exchange, CAUSE_RESPONSE_HEAD_SIZE,
                    is_trailers(exchange) ? "the trailer section is too long" : NULL);
    return true;
}

static uint16_t code_of(const struct h2_exchange *exchange)
{
    struct span last = buffer_len(&exchange->heads) != 0 ? buffer_span(&exchange->heads) : SPAN_LIT("");
    uint16_t code = 0;

    for (size_t i = last.len; i > 4; i--) /* of the last head: behind the empty line of the one before */
        if (memcmp(last.ptr + i - 4, "\r\n\r\n", 4) == 0) {
            last = (struct span){last.ptr + i, last.len - i};
            break;
        }
    return http1_read_status(last, &code) ? code : 0;
}

/* A response that is its head alone says so in HTTP/1.1's form by a length; where none may be, it is left out. */
static bool wants_length(const struct h2_exchange *exchange, uint16_t code)
{
    struct span heads = buffer_span(&exchange->heads);

    return code != 0 && exchange->method != HTTP1_HEAD && code >= 200 && code != 204 && code != 304 &&
           memmem(heads.ptr, heads.len, "\r\ncontent-length:", 17) == NULL;
}

static void response_head_done(struct h2_exchange *exchange, bool end)
{
    struct buffer *heads = &exchange->heads;
    uint16_t code = code_of(exchange);
    struct text rest;

    if (code < 200 && (end || ++exchange->interims > STREAM_INTERIMS_MAX)) {
        head_is_bad(exchange, CAUSE_HTTP_PROTOCOL,
                    end ? "the response ends with an interim one" : "too many interim responses");
        return;
    }
    if (!make_room(exchange, STATUS_LINE_MAX)) {
        head_is_bad(exchange, CAUSE_RESPONSE_HEAD_SIZE, NULL);
        return;
    }
    rest = text_over(heads->data + heads->end, heads->cap - heads->end);
    if (end && wants_length(exchange, code))
        TEXT_LIT(&rest, "content-length: 0\r\n");
    TEXT_LIT(&rest, "\r\n");
    heads->end += (uint32_t)rest.len;
    exchange->head_is_final = code >= 200;
    exchange->whole_heads++;
}

static void head_done(void *user, void *stream, bool end)
{
    struct h2_exchange *exchange = stream;

    (void)user;
    exchange->head_comes = false;
    h2_exchange_has_news(exchange);
    if (exchange->head_is_bad)
        return;
    if (is_trailers(exchange))
        exchange->has_trailers = true;
    else
        response_head_done(exchange, end);
}

static bool data(void *user, void *stream, struct span bytes)
{
    struct h2_exchange *exchange = stream;
    struct buffer *in = &exchange->in;
    enum status status;

    (void)user;
    h2_exchange_has_news(exchange);
    exchange->stream.heard = true;
    exchange->stream.moved_ns = loop_now(exchange->loop);
    exchange->came += bytes.len;
    if (exchange->failure != STREAM_OK)
        return true;
    status = buffer_reserve(&exchange->loop->spare_buffers, in, bytes.len, exchange->window + BUFFER_SIZE);
    if (status == ST_LIMIT) { /* more than its window, which nghttp2 does not let pass */
        h2_exchange_fail(exchange, STREAM_BAD, CAUSE_HTTP_PROTOCOL, "more content than the window allows");
        return true;
    }
    if (status != ST_OK) {
        h2_exchange_fail_for_memory(exchange);
        return false;
    }
    memcpy(in->data + in->end, bytes.ptr, bytes.len);
    in->end += (uint32_t)bytes.len;
    return true;
}

static void ended(void *user, void *stream)
{
    struct h2_exchange *exchange = stream;

    (void)user;
    exchange->has_ended = true;
    h2_exchange_has_news(exchange);
}

static const char *code_name(uint32_t code)
{
    static const char *const details[] = {
        "the API reset the stream: NO_ERROR",
        "the API reset the stream: PROTOCOL_ERROR",
        "the API reset the stream: INTERNAL_ERROR",
        "the API reset the stream: FLOW_CONTROL_ERROR",
        "the API reset the stream: SETTINGS_TIMEOUT",
        "the API reset the stream: STREAM_CLOSED",
        "the API reset the stream: FRAME_SIZE_ERROR",
        "the API did not process the request: REFUSED_STREAM, or GOAWAY",
        "the API reset the stream: CANCEL",
        "the API reset the stream: COMPRESSION_ERROR",
        "the API reset the stream: CONNECT_ERROR",
        "the API reset the stream: ENHANCE_YOUR_CALM",
        "the API reset the stream: INADEQUATE_SECURITY",
        "the API reset the stream: HTTP_1_1_REQUIRED",
    };

    return code < sizeof(details) / sizeof(details[0]) ? details[code] : "the API reset the stream";
}

static void closed(void *user, void *stream, uint32_t code, bool by_peer)
{
    struct h2_exchange *exchange = stream;

    (void)user;
    exchange->closed = true;
    h2_exchange_has_news(exchange);
    if (!exchange->end_given)
        exchange->stream.lost = true;
    if (exchange->has_ended)
        return;
    exchange->stream.lost = true;
    if (!by_peer) {
        h2_exchange_fail_for_breach(exchange, "the response breaks the rules of HTTP/2 for messages");
        return;
    }
    exchange->stream.refused = code == H2_REFUSED_STREAM && !exchange->stream.heard;
    exchange->stream.heard = true;
    h2_exchange_fail(exchange, STREAM_LOST, exchange->stream.refused ? CAUSE_TERMINATED : CAUSE_INCOMPLETE,
                     code_name(code));
}

/* What a server of gRPC says to who pings it too often. */
static bool is_too_many_pings(struct span debug)
{
    return memmem(debug.ptr, debug.len, "too_many_pings", 14) != NULL;
}

static void goes_away(void *user, int32_t last, uint32_t code, struct span debug)
{
    struct h2_connection *connection = user;

    (void)last;
    connection->retired = true;
    if (connection->user != NULL)
        connection->user->went_away(connection->owner, code, is_too_many_pings(debug));
}

static void head_went(void *user, void *arg)
{
    struct h2_exchange *exchange = arg;

    (void)user;
    exchange->stream.sent = true;
    exchange->stream.head_waits = false;
    if (exchange->stream.blocked) /* it had to wait for a stream: its user does not know yet */
        h2_exchange_has_news(exchange);
}

static void reset_goes(void *user)
{
    struct h2_connection *connection = user;

    if (connection->user != NULL)
        connection->user->resets(connection->owner);
}

const struct h2_events h2_exchange_events = {
    .begun = begun,
    .head = head_begins,
    .field = field,
    .head_done = head_done,
    .data = data,
    .ended = ended,
    .closed = closed,
    .give = h2_exchange_give,
    .goaway = goes_away,
    .went = head_went,
    .resets = reset_goes,
};
