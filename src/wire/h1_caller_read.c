/* What comes from a caller over HTTP/1.1: a request's head, its content, a tunnel's bytes; and whether it is there. */
#include "base/invariant.h"
#include "base/list.h"
#include "http/h1_head.h"
#include "wire/caller.h"
#include "wire/h1_caller.h"
#include "wire/h1_receive.h"

static struct h1_caller *of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct h1_caller, stream);
}

static enum stream_result has_gone(struct h1_caller *caller)
{
    caller->stream.lost = true;
    return h1_caller_fail(caller, STREAM_LOST, CAUSE_CALLER_GONE, NULL);
}

/* By such news, it has sent another request, or ended its side, or left for good. */
static bool has_left(struct h1_caller *caller)
{
    struct transport *transport = &caller->transport;
    bool unread = transport->can_read && (caller->stream.ended || caller->stream.paused);

    if (caller->turn.caller_ended || !(transport->peer_ended || unread))
        return false;
    if (caller->stream.tunnels) /* what it said before is still to be passed on */
        return caller->stream.paused && transport_was_reset(transport);
    if (transport_peer_is_gone(transport))
        return true;
    caller->turn.caller_ended = transport->peer_ended;
    return false;
}

void h1_caller_look_for_end(struct h1_caller *caller)
{
    if (has_left(caller))
        (void)has_gone(caller);
}

static void begin_content(struct h1_caller *caller, const struct http1_head *head)
{
    struct h1_turn *turn = &caller->turn;
    struct stream *stream = &caller->stream;

    turn->minor = head->minor;
    turn->expects_continue = head->expect_continue;
    h1_reader_open(&turn->reader, false, head->framing, head->content_length);
    stream->ended = turn->reader.ended;
    stream->begun = false;
    stream->persistent = head->keep_alive && !caller->winding_down;
    h1_caller_look_for_end(caller);
}

enum stream_result h1_caller_read_head(struct stream *stream, struct http1_head **head)
{
    struct h1_caller *caller = of(stream);
    struct h1_turn *turn = &caller->turn;
    struct h1_fault fault;
    size_t end;

    PRE(caller->in_use && !turn->reader.open);
    *head = caller->common->parsed;
    (*head)->takes_connect = caller->takes_connect;
    switch (h1_head_read_request(&turn->scan, buffer_span(&caller->in), caller->common->request_head_max,
                                 *head, &end, &fault)) {
    case HTTP1_MORE:
        if (turn->has_told_line || !h1_head_read_request_line(&turn->scan, buffer_span(&caller->in), *head))
            return STREAM_WAIT;
        turn->has_told_line = true;
        return STREAM_LINE;
    case HTTP1_DONE: break;
    case HTTP1_BAD: return h1_caller_fail(caller, STREAM_BAD, fault.cause, fault.detail);
    }
    buffer_consume(&caller->in, end);
    begin_content(caller, *head);
    return STREAM_OK;
}

bool h1_caller_read_start(struct stream *stream, struct stream_start *start)
{
    struct h1_caller *caller = of(stream);
    struct span bytes = buffer_span(&caller->in);
    uint32_t at = caller->turn.scan.start;

    if (caller->turn.reader.open || bytes.len <= at)
        return false;
    http1_request_words((struct span){bytes.ptr + at, bytes.len - at}, &start->method, &start->target);
    return true;
}

enum stream_result h1_caller_peek(struct stream *stream, bool is_first, struct stream_piece *piece)
{
    struct h1_caller *caller = of(stream);
    struct h1_reader *reader = &caller->turn.reader;

    PRE(reader->open);
    if (!h1_peek(reader, &caller->in, is_first, piece))
        return h1_caller_fail(caller, STREAM_BAD, CAUSE_CONTENT_BROKEN, NULL);
    stream->received = reader->content_bytes;
    stream->ended = reader->ended;
    return piece->data.len != 0 || piece->last ? STREAM_OK : STREAM_WAIT;
}

void h1_caller_take(struct stream *stream, size_t len)
{
    struct h1_caller *caller = of(stream);

    PRE(len <= caller->turn.reader.data);
    buffer_consume(&caller->in, h1_reader_take(&caller->turn.reader, len));
    if (stream->ended || stream->tunnels)
        buffer_close_if_empty(&caller->common->loop->spare_buffers, &caller->in);
}

enum stream_result h1_caller_receive(struct stream *stream)
{
    struct h1_caller *caller = of(stream);

    PRE(caller->in_use);
    stream->paused = false;
    switch (h1_receive(&caller->transport, &caller->in, &caller->turn.reader,
                       (uint32_t)caller->common->text_cap)) {
    case ST_OK: stream->moved_ns = loop_now(caller->common->loop); return STREAM_OK;
    case ST_AGAIN: return STREAM_WAIT;
    case ST_NOMEM: return STREAM_NOMEM;
    case ST_LIMIT:
        return h1_caller_fail(caller, STREAM_BAD, CAUSE_CONTENT_BROKEN,
                              "a chunk's head or the trailer section is too long");
    case ST_EOF:
        if (stream->tunnels && h1_reader_end(&caller->turn.reader))
            return STREAM_OK;
        return has_gone(caller);
    default: return has_gone(caller);
    }
}

/* The request had no content. What came behind its head lies in the buffer, or raised its event long ago. */
void h1_caller_tunnel(struct stream *stream)
{
    struct h1_caller *caller = of(stream);

    PRE(caller->in_use && caller->turn.reader.ended && !stream->tunnels);
    stream->tunnels = true;
    stream->persistent = stream->ended = false;
    h1_reader_open(&caller->turn.reader, false, HTTP1_UNTIL_CLOSE, 0);
    caller->turn.writer.framing = HTTP1_UNTIL_CLOSE;
    caller->turn.writer.ended = false;
    caller->transport.can_read = true;
}

bool h1_caller_has_all(struct stream *stream)
{
    struct h1_caller *caller = of(stream);
    struct h1_rest rest;

    return h1_reader_has_all(&caller->turn.reader, buffer_span(&caller->in), &rest);
}

void h1_caller_discard(struct stream *stream)
{
    struct h1_caller *caller = of(stream);
    struct h1_reader *reader = &caller->turn.reader;

    if (!reader->open)
        return;
    buffer_consume(&caller->in, h1_reader_discard(reader, buffer_span(&caller->in)));
    stream->ended = reader->ended;
}

/* Of a tunnel, once all that it has said is passed on: nobody is there to hear the rest. */
static bool has_left_tunnel(const struct h1_caller *caller)
{
    bool all_is_said = caller->turn.reader.ended && buffer_len(&caller->in) == 0;

    return all_is_said ? transport_peer_is_gone(&caller->transport) : transport_was_reset(&caller->transport);
}

bool h1_caller_is_gone(struct stream *stream)
{
    const struct h1_caller *caller = of(stream);
    const struct transport *transport = &caller->transport;

    if (stream->tunnels)
        return has_left_tunnel(caller);
    return transport_has_hung_up(transport) ||
           ((transport->peer_ended || stream->paused) && transport_peer_is_gone(transport));
}
