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
    stream->begun =
        buffer_len(&exchange->heads) != 0 || exchange->head_comes; /* of which there may be no field */
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
    if (len == 0 || exchange->connection == NULL || exchange->has_ended || exchange->closed)
        return;
    h2_session_consume(exchange->connection->session, exchange->id, len);
    h2_connection_wants_turn(exchange->connection);
}

static void fail_by_end(struct h2_exchange *exchange)
{
    char why[1];

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
}

/* A response that is whole stays so. */
static void note_loss(struct h2_member *member, enum status why)
{
    struct h2_exchange *exchange = CONTAINER_OF(member, struct h2_exchange, member);

    h2_exchange_has_news(exchange);
    exchange->stream.lost = true;
    if (exchange->has_ended)
        return;
    switch (why) {
    case ST_NOMEM: h2_exchange_fail_for_memory(exchange); break;
    case ST_BAD: h2_exchange_fail_for_breach(exchange, "what came is not HTTP/2, or breaks its rules"); break;
    default: fail_by_end(exchange); break;
    }
}

/* The connection reads by itself: here is only what has come. */
static enum stream_result receive(struct stream *stream)
{
    struct h2_exchange *exchange = of(stream);

    stream->paused = false;
    if (exchange->news) {
        exchange->news = false;
        if (exchange->failure == STREAM_OK || buffer_len(&exchange->in) != 0 || exchange->whole_heads != 0)
            return STREAM_OK;
    }
    return exchange->failure != STREAM_OK ? exchange->failure : STREAM_WAIT;
}

static bool has_all(struct stream *stream)
{
    struct h2_exchange *exchange = of(stream);

    return exchange->has_ended && exchange->failure == STREAM_OK && !breaks_its_length(exchange);
}

static void detach(struct h2_exchange *exchange)
{
    list_remove(&exchange->member.node);
    list_remove(&exchange->member.to_tell);
    *exchange->at = NULL;
    exchange->connection = NULL;
}

void h2_exchange_lose(struct h2_exchange *exchange)
{
    PRE(exchange->connection != NULL);
    if (exchange->id != 0 && !exchange->closed)
        h2_session_forget(exchange->connection->session, exchange->id);
    detach(exchange);
}

static void leave(struct h2_member *member)
{
    h2_exchange_lose(CONTAINER_OF(member, struct h2_exchange, member));
}

static bool is_blocked(const struct h2_member *member)
{
    return CONTAINER_OF(member, struct h2_exchange, member)->stream.blocked;
}

static bool is_awaited(const struct h2_member *member)
{
    const struct h2_exchange *exchange = CONTAINER_OF(member, struct h2_exchange, member);

    return !exchange->has_ended && !exchange->closed;
}

const struct h2_member_ops h2_exchange_ops = {
    .is_blocked = is_blocked, .is_awaited = is_awaited, .note_loss = note_loss, .leave = leave};

bool h2_exchange_is_closed(const struct h2_exchange *exchange)
{
    return exchange->closed || exchange->id == 0;
}

/* A request that goes no further is ended where it is; nothing is wrong with that (RFC 9113 8.1). */
bool h2_exchange_cut(struct h2_exchange *exchange)
{
    struct h2_connection *connection = exchange->connection;
    bool resets = !h2_exchange_is_closed(exchange) && connection->lost == ST_OK;

    if (resets)
        h2_session_reset(connection->session, exchange->id,
                         exchange->has_ended && exchange->failure == STREAM_OK ? H2_NO_ERROR : H2_CANCEL);
    h2_exchange_lose(exchange);
    if (resets) {
        h2_connection_pull(connection);
        h2_connection_wants_turn(connection);
    }
    return resets;
}

static bool let_go(struct stream *stream)
{
    struct h2_exchange *exchange = of(stream);

    PRE(exchange->connection != NULL);
    (void)h2_exchange_cut(exchange);
    return exchange->has_ended;
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
    list_init(&exchange->member.node);
    list_init(&exchange->member.to_tell);
    return exchange;
}

void h2_exchange_begin(struct h2_exchange *exchange, struct h2_connection *connection,
                       const struct h2_exchange_terms *terms)
{
    PRE(exchange->connection == NULL && !exchange->open && *terms->at == NULL);
    exchange->waits_for_settings = exchange->stream.refused;
    exchange->connection = connection;
    list_push_back(&connection->members, &exchange->member.node);
    exchange->member.owner = terms->owner;
    exchange->at = terms->at;
    *exchange->at = exchange;
    exchange->method = terms->method;
    exchange->rules = terms->rules;
    exchange->head_max = terms->head_max;
    exchange->head_cap = terms->head_cap;
    exchange->window = terms->window;
    exchange->is_https = terms->is_https;
    exchange->id = 0;
    exchange->again_at = 0;
    exchange->end_given = exchange->closed = exchange->news = exchange->head_comes = false;
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
    if (exchange->connection != NULL)
        h2_exchange_lose(exchange);
    buffer_close(&exchange->loop->spare_buffers, &exchange->heads);
    buffer_close(&exchange->loop->spare_buffers, &exchange->in);
    mem_free(exchange->trailers);
    mem_free(exchange->kept);
    mem_free(exchange);
}
