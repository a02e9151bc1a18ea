#include "wire/h1_exchange.h"

#include "base/invariant.h"
#include "base/list.h"
#include "http/h1_head.h"
#include "http/outgoing.h"
#include "http/upgrade.h"
#include "runtime/loop.h"
#include "runtime/tls_transport.h"
#include "wire/h1_receive.h"
#include "wire/h1_send.h"

static struct h1_exchange *of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct h1_exchange, stream);
}

static enum stream_result fail(struct h1_exchange *exchange, enum stream_result result, enum cause cause,
                               const char *detail, struct span odd)
{
    exchange->stream.fault =
        (struct stream_fault){.cause = cause, .detail = detail, .odd = odd, .closed = result == STREAM_LOST};
    return result;
}

/* ---- what comes ---------------------------------------------------------------------------------------- */

/* Behind an interim response waits the next head; behind the last one comes content. */
static void begin_what_follows(struct h1_exchange *exchange, const struct http1_head *head)
{
    if (exchange->scan.start != 0)
        exchange->unclean = true;
    exchange->scan = (struct http1_scan){.is_response = true};
    if (http1_is_interim(head->code)) {
        exchange->unclean |= !head->keep_alive;
        exchange->stream.begun = buffer_len(&exchange->in) != 0;
        return;
    }
    h1_reader_open(&exchange->reader, true, head->code == 101 ? HTTP1_UNTIL_CLOSE : head->framing,
                   head->content_length);
    exchange->stream.begun = false;
}

/* Only what was asked for can be relayed. */
static bool is_another_switch(const struct h1_exchange *exchange)
{
    return exchange->parsed->code == 101 && !upgrade_is_granted(exchange->parsed, *exchange->upgrade);
}

static enum stream_result read_head(struct stream *stream, struct http1_head **head)
{
    struct h1_exchange *exchange = of(stream);
    struct h1_fault fault;
    size_t end;

    PRE(!exchange->reader.open);
    if (buffer_len(&exchange->in) == 0)
        return STREAM_WAIT;
    exchange->parsed->upgrade = exchange->upgrade != NULL ? *exchange->upgrade : SPAN_LIT("");
    switch (h1_head_read_response(&exchange->scan, buffer_span(&exchange->in), exchange->head_max,
                                  exchange->method, exchange->parsed, &end, &fault)) {
    case HTTP1_MORE: return STREAM_WAIT;
    case HTTP1_DONE: break;
    case HTTP1_BAD: return fail(exchange, STREAM_BAD, fault.cause, fault.detail, fault.odd);
    }
    if (http1_is_interim(exchange->parsed->code) && ++exchange->interims > STREAM_INTERIMS_MAX)
        return fail(exchange, STREAM_BAD, CAUSE_HTTP_PROTOCOL, "too many interim responses", SPAN_LIT(""));
    if (is_another_switch(exchange))
        return fail(exchange, STREAM_BAD, CAUSE_HTTP_PROTOCOL,
                    "a switch to another protocol than the one that was asked for",
                    (struct span){buffer_span(&exchange->in).ptr, end});
    buffer_consume(&exchange->in, end);
    *head = exchange->parsed;
    begin_what_follows(exchange, *head);
    return STREAM_OK;
}

static bool read_start(struct stream *stream, struct stream_start *start)
{
    struct h1_exchange *exchange = of(stream);

    return !exchange->reader.open && buffer_len(&exchange->in) != 0 &&
           http1_read_status(buffer_span(&exchange->in), &start->code);
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

    PRE(reader->open);
    if (!h1_peek(reader, &exchange->in, is_first, piece))
        return broken(exchange, "the response's content breaks its framing");
    stream->received = reader->content_bytes;
    stream->ended = reader->ended;
    return piece->data.len != 0 || piece->last ? STREAM_OK : STREAM_WAIT;
}

static void take(struct stream *stream, size_t len)
{
    struct h1_exchange *exchange = of(stream);

    PRE(len <= exchange->reader.data);
    buffer_consume(&exchange->in, h1_reader_take(&exchange->reader, len));
    if (stream->tunnels) /* which may be silent for long */
        buffer_close_if_empty(&exchange->loop->spare_buffers, &exchange->in);
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
    if (stream->paused)
        exchange->transport->can_read = true;
    stream->paused = false;
    status = h1_receive(exchange->transport, &exchange->in, &exchange->reader, exchange->head_cap);
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

static void send_head(struct stream *stream, struct outgoing *request, struct span name, struct span value)
{
    struct h1_exchange *exchange = of(stream);

    exchange->writer.head = outgoing_close(request, name, value);
    exchange->writer.framing = request->framing;
    if (request->framing != HTTP1_NO_CONTENT)
        transport_bound_unsent(exchange->transport);
    stream->head_waits = true;
}

static enum stream_result send_piece(struct stream *stream, const struct stream_piece *piece, size_t *taken)
{
    struct h1_exchange *exchange = of(stream);
    enum stream_result result;

    PRE(exchange->transport != NULL && !stream->lost);
    result = h1_send(stream, &exchange->writer, exchange->transport, piece, taken);
    /* It may have answered before it closed: that is to be looked for. */
    if (result == STREAM_LOST)
        exchange->transport->can_read = true;
    else if (result == STREAM_OK && piece->last && stream->tunnels)
        transport_end_write(exchange->transport);
    return result;
}

/* What came while nobody received may have raised its event long ago. */
static void tunnel(struct stream *stream)
{
    struct h1_exchange *exchange = of(stream);

    PRE(exchange->transport != NULL && !stream->tunnels);
    stream->tunnels = true;
    if (!exchange->reader.open)
        h1_reader_open(&exchange->reader, true, HTTP1_UNTIL_CLOSE, 0);
    exchange->writer.framing = HTTP1_UNTIL_CLOSE;
    exchange->writer.ended = false;
    exchange->unclean = true;
    exchange->transport->can_read = true;
    transport_bound_unsent(exchange->transport);
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

const struct stream_ops h1_exchange_ops = {
    .protocol = "http/1.1",
    .head = read_head,
    .peek = peek,
    .take = take,
    .receive = receive,
    .read_start = read_start,
    .has_all = has_all,
    .send_head = send_head,
    .send = send_piece,
    .tunnel = tunnel,
    .let_go = let_go,
};

void h1_exchange_begin(struct h1_exchange *exchange, struct transport *transport,
                       const struct h1_terms *terms)
{
    PRE(exchange->stream.ops == &h1_exchange_ops && !exchange->stream.heard && !exchange->reader.open);
    exchange->transport = transport;
    exchange->method = terms->method;
    exchange->upgrade = terms->upgrade;
    exchange->writer.rules = terms->rules;
    exchange->head_max = terms->head_max;
    exchange->head_cap = terms->head_cap;
    exchange->stream.lost = false;
    exchange->stream.moved_ns = loop_now(exchange->loop);
    h1_writer_rewind(&exchange->writer);
}

void h1_exchange_take_over(struct h1_exchange *to, struct h1_exchange *from)
{
    PRE(from->transport != NULL);
    *to = *from;
    to->writer = (struct h1_writer){.head = SPAN_LIT("")};
    to->stream.head_waits = false;
    from->transport = NULL;
    from->in = (struct buffer){.data = NULL};
}
