#include "wire/h2_exchange.h"

#include "base/invariant.h"
#include "base/list.h"
#include "base/mem.h"
#include "http/h1_head.h"
#include "runtime/loop.h"
#include "runtime/tls_transport.h"

/* Without a block there are none. */
static struct span bytes_of(const struct buffer *buffer)
{
    return buffer_len(buffer) != 0 ? buffer_span(buffer) : SPAN_LIT("");
}

static struct h2_exchange *of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct h2_exchange, stream);
}

/* ---- what comes, for the stream's user ----------------------------------------------------------------- */

static enum stream_result read_head(struct stream *stream, struct http1_head **head)
{
    struct h2_exchange *exchange = of(stream);
    struct h1_fault fault = {CAUSE_HTTP_PROTOCOL, NULL, SPAN_LIT("")};
    size_t end;

    PRE(!exchange->open);
    if (exchange->whole_heads == 0)
        return STREAM_WAIT;
    if (h1_head_read_response(&exchange->scan, buffer_span(&exchange->heads), exchange->head_cap,
                              exchange->method, exchange->parsed, &end, &fault) != HTTP1_DONE) {
        stream->fault = (struct stream_fault){.cause = fault.cause, .detail = fault.detail, .odd = fault.odd};
        return STREAM_BAD;
    }
    buffer_consume(&exchange->heads, end);
    exchange->scan = (struct http1_scan){.is_response = true};
    exchange->whole_heads--;
    *head = exchange->parsed;
    (*head)->keep_alive = true; /* the end of a response is not the connection's here */
    stream->begun = buffer_len(&exchange->heads) != 0;
    if ((*head)->code < 200)
        return STREAM_OK;
    exchange->open = true;
    stream->begun = false;
    if (exchange->again_at == exchange->kept_len) { /* else it is being sent once more */
        mem_free(exchange->kept);
        exchange->kept = NULL;
    }
    exchange->length = (*head)->framing == HTTP1_LENGTH       ? (*head)->content_length
                       : (*head)->framing == HTTP1_NO_CONTENT ? 0
                                                              : UINT64_MAX;
    return STREAM_OK;
}

static bool read_start(struct stream *stream, struct stream_start *start)
{
    struct h2_exchange *exchange = of(stream);

    return !exchange->open && buffer_len(&exchange->heads) != 0 &&
           http1_read_status(buffer_span(&exchange->heads), &start->code);
}

/* What came is not what the head has said (RFC 9113 8.1.1). */
static bool breaks_its_length(const struct h2_exchange *exchange)
{
    return exchange->length != UINT64_MAX &&
           (exchange->came > exchange->length || (exchange->has_ended && exchange->came != exchange->length));
}

static enum stream_result peek(struct stream *stream, bool is_first, struct stream_piece *piece)
{
    struct h2_exchange *exchange = of(stream);

    PRE(exchange->open);
    *piece = (struct stream_piece){.data = bytes_of(&exchange->in)};
    if (breaks_its_length(exchange))
        h2_exchange_fail(exchange, STREAM_BAD, CAUSE_HTTP_PROTOCOL,
                         "the response's content is not as long as its head says");
    if (exchange->failure == STREAM_BAD && (is_first || piece->data.len == 0 || breaks_its_length(exchange)))
        return STREAM_BAD;
    stream->received = exchange->came;
    piece->last = exchange->has_ended && exchange->failure == STREAM_OK;
    stream->ended = piece->last;
    if (piece->last && exchange->has_trailers && !exchange->shown) {
        piece->trailers = bytes_of(&exchange->heads);
        exchange->shown = true;
    }
    return piece->data.len != 0 || piece->last ? STREAM_OK : STREAM_WAIT;
}

static void take(struct stream *stream, size_t len)
{
    struct h2_exchange *exchange = of(stream);

    buffer_consume(&exchange->in, len);
    buffer_close_if_empty(&exchange->loop->spare_buffers, &exchange->in);
    if (len != 0 && exchange->connection != NULL && !exchange->has_ended && !exchange->closed)
        h2_session_consume(exchange->connection->session, exchange->id, len);
}

static enum stream_result connection_lost(struct h2_exchange *exchange)
{
    char why[1];

    exchange->stream.lost = true;
    if (exchange->stream.heard)
        h2_exchange_fail(
            exchange, STREAM_LOST, CAUSE_INCOMPLETE,
            exchange->open ? NULL : "the upstream closed the connection in the middle of the response head");
    else
        h2_exchange_fail(exchange, STREAM_LOST,
                         tls_transport_why(exchange->connection->transport, why, sizeof(why))
                             ? CAUSE_TLS_PROTOCOL
                             : CAUSE_TERMINATED,
                         NULL);
    return exchange->failure;
}

/* What a read of the connection means to its exchange. */
enum stream_result h2_exchange_after_read(struct h2_exchange *exchange, enum status status)
{
    switch (status) {
    case ST_OK: break;
    case ST_AGAIN: return STREAM_WAIT;
    case ST_NOMEM: return STREAM_NOMEM;
    case ST_BAD:
        exchange->stream.lost = true;
        h2_exchange_fail(exchange, STREAM_BAD, CAUSE_HTTP_PROTOCOL,
                         "what came is not HTTP/2, or breaks its rules");
        break;
    default: return connection_lost(exchange);
    }
    return STREAM_OK;
}

static enum stream_result receive(struct stream *stream)
{
    struct h2_exchange *exchange = of(stream);
    struct h2_connection *connection = exchange->connection;
    enum stream_result result;
    enum status status;

    stream->paused = false;
    if (exchange->news) {
        exchange->news = false;
        if (exchange->failure == STREAM_OK || buffer_len(&exchange->in) != 0 || exchange->whole_heads != 0)
            return STREAM_OK;
    }
    if (exchange->failure != STREAM_OK)
        return exchange->failure;
    PRE(connection != NULL);
    status = h2_connection_flush(connection); /* windows that were opened meanwhile */
    if (status == ST_NOMEM)
        return STREAM_NOMEM;
    /* A reset that came along with the bytes of a short read raises no event of its own. */
    if (stream->heard && stream->moved_ns == loop_now(exchange->loop))
        connection->transport->can_read = true;
    result = h2_exchange_after_read(exchange, h2_connection_receive(connection));
    /* No event of the socket tells of a window. */
    if (result == STREAM_OK && stream->blocked && list_is_alone(&exchange->again.node) &&
        h2_session_may_give(connection->session, exchange->id))
        loop_defer(exchange->loop, &exchange->again);
    return result;
}

static bool has_all(struct stream *stream)
{
    struct h2_exchange *exchange = of(stream);

    return exchange->has_ended && exchange->failure == STREAM_OK && !breaks_its_length(exchange);
}

static void detach(struct h2_exchange *exchange)
{
    struct h2_connection *connection = exchange->connection;

    loop_undefer(&exchange->again);
    if (exchange->id != 0 && !exchange->closed)
        h2_session_forget(connection->session, exchange->id);
    connection->exchange_at = NULL;
    exchange->connection = NULL;
}

/* A request that goes no further is ended where it is; nothing is wrong with that (RFC 9113 8.1). */
static bool let_go(struct stream *stream)
{
    struct h2_exchange *exchange = of(stream);
    struct h2_connection *connection = exchange->connection;

    PRE(connection != NULL);
    if (!exchange->closed)
        h2_session_reset(connection->session, exchange->id, H2_NO_ERROR);
    detach(exchange);
    return exchange->has_ended && h2_connection_rest(connection);
}

static const struct stream_ops ops = {
    .protocol = "h2",
    .head = read_head,
    .peek = peek,
    .take = take,
    .receive = receive,
    .read_start = read_start,
    .has_all = has_all,
    .send_head = h2_exchange_send_head,
    .send = h2_exchange_send,
    .let_go = let_go,
};

static void try_again(struct mail *mail)
{
    struct h2_exchange *exchange = CONTAINER_OF(mail, struct h2_exchange, again);

    if (exchange->connection != NULL)
        exchange->connection->transport->on_ready(exchange->connection->transport);
}

/* ---- its life ------------------------------------------------------------------------------------------ */

struct h2_exchange *h2_exchange_new(struct loop *loop, struct http1_head *parsed)
{
    struct h2_exchange *exchange = mem_zalloc(sizeof(*exchange));

    if (exchange == NULL)
        return NULL;
    exchange->stream.ops = &ops;
    exchange->loop = loop;
    exchange->parsed = parsed;
    exchange->scan.is_response = true;
    exchange->length = UINT64_MAX;
    mail_init(&exchange->again, try_again);
    return exchange;
}

void h2_exchange_begin(struct h2_exchange *exchange, struct h2_connection *connection,
                       const struct h2_exchange_terms *terms)
{
    PRE(connection->exchange_at == NULL && exchange->connection == NULL && !exchange->open);
    exchange->waits_for_settings = exchange->stream.refused;
    exchange->connection = connection;
    connection->exchange_at = &exchange->connection;
    exchange->method = terms->method;
    exchange->rules = terms->rules;
    exchange->head_max = terms->head_max;
    exchange->head_cap = terms->head_cap;
    exchange->window = terms->window;
    exchange->is_https = terms->is_https;
    exchange->id = 0;
    exchange->again_at = 0;
    exchange->end_given = exchange->closed = exchange->news = false;
    exchange->failure = STREAM_OK;
    exchange->stream.fault = (struct stream_fault){.cause = CAUSE_NONE};
    exchange->stream.heard = exchange->stream.lost = exchange->stream.refused = exchange->stream.sent = false;
    exchange->stream.blocked = false;
    exchange->stream.moved_ns = loop_now(exchange->loop);
}

bool h2_exchange_is_whole(const struct h2_exchange *exchange)
{
    return !exchange->open && exchange->sent_bytes == exchange->kept_len;
}

void h2_exchange_free(struct h2_exchange *exchange)
{
    loop_undefer(&exchange->again);
    if (exchange->connection != NULL)
        detach(exchange);
    buffer_close(&exchange->loop->spare_buffers, &exchange->heads);
    buffer_close(&exchange->loop->spare_buffers, &exchange->in);
    mem_free(exchange->trailers);
    mem_free(exchange->kept);
    mem_free(exchange);
}
