#include "wire/h1_exchange.h"

#include "base/invariant.h"
#include "base/list.h"
#include "http/h1_head.h"
#include "runtime/loop.h"
#include "runtime/tls_transport.h"
#include "wire/h1_send.h"

static struct h1_exchange *of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct h1_exchange, stream);
}

static enum stream_result fail(struct h1_exchange *exchange, enum stream_result result, enum cause cause,
                               const char *detail, struct span odd)
{
    exchange->stream.fault = (struct stream_fault){cause, detail, odd};
    return result;
}

/* ---- what comes ---------------------------------------------------------------------------------------- */

/* Behind an interim response waits the next head; behind the last one comes content. */
static void begin_what_follows(struct h1_exchange *exchange, const struct http1_head *head)
{
    if (exchange->scan.start != 0)
        exchange->unclean = true;
    exchange->scan = (struct http1_scan){.is_response = true};
    if (head->code < 200) {
        exchange->unclean |= !head->keep_alive;
        exchange->stream.begun = buffer_len(&exchange->in) != 0;
        return;
    }
    h1_reader_open(&exchange->reader, true, head->framing, head->content_length);
    exchange->stream.begun = false;
}

static enum stream_result read_head(struct stream *stream, struct http1_head **head)
{
    struct h1_exchange *exchange = of(stream);
    struct h1_fault fault;
    size_t end;

    PRE(!exchange->reader.open);
    if (buffer_len(&exchange->in) == 0)
        return STREAM_WAIT;
    switch (h1_head_read_response(&exchange->scan, buffer_span(&exchange->in), exchange->head_max,
                                  exchange->method, exchange->parsed, &end, &fault)) {
    case HTTP1_MORE: return STREAM_WAIT;
    case HTTP1_DONE: break;
    case HTTP1_BAD: return fail(exchange, STREAM_BAD, fault.cause, fault.detail, fault.odd);
    }
    buffer_consume(&exchange->in, end);
    *head = exchange->parsed;
    begin_what_follows(exchange, *head);
    return STREAM_OK;
}

static bool read_code(struct stream *stream, uint16_t *code)
{
    struct h1_exchange *exchange = of(stream);

    return !exchange->reader.open && buffer_len(&exchange->in) != 0 &&
           http1_read_status(buffer_span(&exchange->in), code);
}

static enum stream_result broken(struct h1_exchange *exchange, const char *detail)
{
    return fail(exchange, STREAM_BAD, CAUSE_HTTP_PROTOCOL, detail,
                h1_reader_fault(&exchange->reader, buffer_span(&exchange->in)));
}

static enum stream_result peek(struct stream *stream, bool is_first, struct stream_piece *piece)
{
    struct h1_exchange *exchange = of(stream);
    struct h1_reader *reader = &exchange->reader;
    enum http1_status status = HTTP1_MORE;

    PRE(reader->open);
    piece->trailers = (struct span){0};
    if (reader->data == 0 && !reader->ended) {
        while (status == HTTP1_MORE)
            status = h1_reader_decode(reader, buffer_span(&exchange->in), &piece->trailers);
        buffer_consume(&exchange->in, h1_reader_take(reader, 0));
        if (status == HTTP1_BAD ||
            (is_first && !reader->ended && h1_reader_is_broken(reader, buffer_span(&exchange->in))))
            return broken(exchange, "the response's content breaks its framing");
        stream->received = reader->content_bytes;
    }
    piece->data = h1_reader_data(reader, buffer_span(&exchange->in));
    piece->last = reader->ended;
    return piece->data.len != 0 || piece->last ? STREAM_OK : STREAM_WAIT;
}

static void take(struct stream *stream, size_t len)
{
    struct h1_exchange *exchange = of(stream);

    PRE(len <= exchange->reader.data);
    buffer_consume(&exchange->in, h1_reader_take(&exchange->reader, len));
}

/* Content of which more than a usual block is still to come is received into large ones. No empty block is kept. */
static enum status receive_some(struct h1_exchange *exchange)
{
    struct buffer_spares *spares = &exchange->loop->spare_buffers;
    struct buffer *in = &exchange->in;
    enum status status;
    size_t len;

    if (!exchange->transport->can_read)
        return ST_AGAIN;
    status = h1_reader_is_in_bulk(&exchange->reader, BUFFER_SIZE) ? buffer_open_large(spares, in)
                                                                  : buffer_open(spares, in);
    if (status == ST_OK)
        status = buffer_make_room(spares, in, exchange->reader.open ? BUFFER_LARGE : exchange->head_cap);
    if (status != ST_OK)
        return status;
    status = transport_read(exchange->transport, in->data + in->end, in->cap - in->end, &len);
    if (status == ST_OK)
        in->end += (uint32_t)len;
    else
        buffer_close_if_empty(spares, in);
    return status;
}

/*
 * A reset that came along with the bytes of a short read raised its event with them and raises no other: whoever needs
 * more asks once again before it waits.
 */
static bool may_hide_a_reset(struct h1_exchange *exchange)
{
    bool begun = exchange->reader.open || buffer_len(&exchange->in) != 0;

    return begun && exchange->stream.moved_ns == loop_now(exchange->loop);
}

/* The connection is over before the message's head was whole. An alert may be why, or a refused renegotiation. */
static enum stream_result lost_before_head(struct h1_exchange *exchange)
{
    char why[1];

    if (buffer_len(&exchange->in) != 0)
        return fail(exchange, STREAM_LOST, CAUSE_INCOMPLETE,
                    "the upstream closed the connection in the middle of the response head",
                    http1_odd_line(&exchange->scan, buffer_span(&exchange->in), SIZE_MAX));
    return fail(exchange, STREAM_LOST,
                tls_transport_why(exchange->transport, why, sizeof(why)) ? CAUSE_TLS_PROTOCOL
                                                                         : CAUSE_TERMINATED,
                NULL, SPAN_LIT(""));
}

/* The peer has ended its side, or reset. */
static enum stream_result connection_ended(struct h1_exchange *exchange, bool in_order)
{
    if (!exchange->reader.open)
        return lost_before_head(exchange);
    exchange->unclean = true;
    if (in_order && h1_reader_end(&exchange->reader))
        return STREAM_OK;
    return fail(exchange, STREAM_LOST, CAUSE_INCOMPLETE, NULL, SPAN_LIT(""));
}

static enum stream_result receive(struct stream *stream)
{
    struct h1_exchange *exchange = of(stream);
    enum status status;

    PRE(exchange->transport != NULL);
    /* What came while nobody received, a reset too, may have raised its event long ago. */
    if (stream->paused || may_hide_a_reset(exchange))
        exchange->transport->can_read = true;
    stream->paused = false;
    status = receive_some(exchange);
    switch (status) {
    case ST_OK:
        stream->heard = true;
        stream->begun = !exchange->reader.open;
        stream->moved_ns = loop_now(exchange->loop);
        return STREAM_OK;
    case ST_AGAIN: return stream->lost && !exchange->reader.open ? lost_before_head(exchange) : STREAM_WAIT;
    case ST_NOMEM: return STREAM_NOMEM;
    case ST_LIMIT: return broken(exchange, "a chunk's head or the trailer section is too long");
    default: return connection_ended(exchange, status == ST_EOF);
    }
}

static bool has_all(struct stream *stream)
{
    struct h1_exchange *exchange = of(stream);
    struct h1_rest rest;

    return h1_reader_has_all(&exchange->reader, buffer_span(&exchange->in), &rest);
}

/* ---- what goes ----------------------------------------------------------------------------------------- */

static void send_head(struct stream *stream, struct span head, enum http1_framing framing)
{
    struct h1_exchange *exchange = of(stream);

    exchange->writer.head = head;
    exchange->writer.framing = framing;
    stream->head_waits = true;
}

static enum stream_result send_piece(struct stream *stream, const struct stream_piece *piece, size_t *taken)
{
    struct h1_exchange *exchange = of(stream);
    bool progress = false;
    enum stream_result result;

    PRE(exchange->transport != NULL && !stream->lost);
    result = h1_send(&exchange->writer, exchange->transport, piece, taken, &progress);
    if (progress)
        stream->sent = true;
    stream->head_waits = exchange->writer.head.len != 0;
    /* The peer's time to take more begins when we begin to wait for it. */
    if (progress || (result == STREAM_WAIT && !stream->blocked))
        stream->moved_ns = loop_now(exchange->loop);
    stream->blocked = result == STREAM_WAIT;
    if (result != STREAM_LOST)
        return result;
    /* It may have answered before it closed: that is to be looked for. */
    stream->lost = true;
    exchange->transport->can_read = true;
    return STREAM_LOST;
}

static bool let_go(struct stream *stream)
{
    struct h1_exchange *exchange = of(stream);
    const struct transport *transport = exchange->transport;
    struct h1_rest rest;

    PRE(transport != NULL);
    exchange->transport = NULL;
    if (exchange->unclean || transport->peer_ended)
        return false;
    return h1_reader_has_all(&exchange->reader, buffer_span(&exchange->in), &rest) && rest.extra == 0 &&
           !rest.odd;
}

static const struct stream_ops ops = {
    .protocol = "http/1.1",
    .head = read_head,
    .peek = peek,
    .take = take,
    .receive = receive,
    .read_code = read_code,
    .has_all = has_all,
    .send_head = send_head,
    .send = send_piece,
    .let_go = let_go,
};

void h1_exchange_init(struct h1_exchange *exchange, struct loop *loop, struct http1_head *parsed)
{
    exchange->stream.ops = &ops;
    exchange->loop = loop;
    exchange->parsed = parsed;
    exchange->scan.is_response = true;
}

void h1_exchange_begin(struct h1_exchange *exchange, struct transport *transport,
                       const struct h1_terms *terms)
{
    PRE(exchange->stream.ops == &ops && !exchange->stream.heard && !exchange->reader.open);
    exchange->transport = transport;
    exchange->method = terms->method;
    exchange->writer.rules = terms->rules;
    exchange->head_max = terms->head_max;
    exchange->head_cap = terms->head_cap;
    exchange->stream.lost = false;
    exchange->stream.moved_ns = loop_now(exchange->loop);
    h1_writer_rewind(&exchange->writer);
}

void h1_exchange_fini(struct h1_exchange *exchange)
{
    buffer_close(&exchange->loop->spare_buffers, &exchange->in);
    h1_writer_fini(&exchange->writer);
}
