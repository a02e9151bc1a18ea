/* A request and its response on a caller's connection over HTTP/2; its head comes by wire/h2_caller_head. */
#include <string.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "http/forward.h"
#include "http/h1_head.h"
#include "http/h2_head.h"
#include "wire/caller.h"
#include "wire/h2_caller_head.h"

static struct h2_stream *of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct h2_stream, stream);
}

static struct buffer_spares *spares_of(struct h2_stream *stream)
{
    return &stream->caller->common->loop->spare_buffers;
}

enum stream_result h2_stream_fail(struct h2_stream *stream, enum stream_result result, enum cause cause,
                                  const char *detail)
{
    stream->stream.fault = (struct stream_fault){.cause = cause, .detail = detail};
    return result;
}

/* ---- events: what comes is noted ----------------------------------------------------------------------- */

static const struct stream_ops ops;

static void *begun(void *user, int32_t id)
{
    struct h2_caller *caller = user;
    struct h2_stream *stream = slab_take_zeroed(&caller->common->loop->slab, sizeof(*stream));

    if (stream == NULL)
        return NULL;
    stream->stream = (struct stream){.ops = &ops, .heard = true, .begun = true, .carries_grpc = true};
    stream->stream.moved_ns = loop_now(caller->common->loop);
    stream->caller = caller;
    stream->id = id;
    if (!h2_caller_add(stream))
        h2_stream_refuse(stream, CAUSE_CONNECTIONS, NULL);
    return stream;
}

static void head_begins(void *user, void *arg)
{
    (void)user;
    (void)arg;
}

static bool data(void *user, void *arg, struct span bytes)
{
    struct h2_caller *caller = user;
    struct h2_stream *stream = arg;
    struct buffer *in = &stream->in;

    if (buffer_reserve(spares_of(stream), in, bytes.len, BUFFER_LARGE) != ST_OK)
        return false;
    memcpy(in->data + in->end, bytes.ptr, bytes.len);
    in->end += (uint32_t)bytes.len;
    stream->stream.moved_ns = loop_now(caller->common->loop);
    stream->came = true;
    h2_caller_note(stream);
    return true;
}

static void ended(void *user, void *arg)
{
    struct h2_caller *caller = user;
    struct h2_stream *stream = arg;

    PRE(!stream->has_ended && caller->incomplete > 0);
    caller->incomplete--;
    stream->has_ended = stream->came = true;
    h2_caller_note(stream);
}

/* It is lost for what its request is: a head may have been refused before, or may be what ends the connection. */
static void blame(struct h2_stream *stream, const char *detail)
{
    enum cause cause = CAUSE_BAD_REQUEST;

    if (h2_session_choked_on(stream->caller->session, stream->id)) {
        cause = CAUSE_HEAD_TOO_LARGE;
        detail = "a field is longer than 64 KiB";
    } else if (stream->refused != CAUSE_NONE) {
        cause = stream->refused;
        detail = stream->refused_detail;
    }
    (void)h2_stream_fail(stream, STREAM_BAD, stream->head_given ? CAUSE_BAD_REQUEST : cause, detail);
}

void h2_stream_lose(struct h2_stream *stream)
{
    stream->closed = true;
    stream->stream.lost = true;
    (void)h2_stream_fail(stream, STREAM_LOST, CAUSE_CALLER_GONE, NULL);
    if (!stream->head_is_whole && h2_session_is_broken(stream->caller->session))
        blame(stream, "what came is not HTTP/2, or breaks its rules");
}

static void closed(void *user, void *arg, uint32_t code, bool by_peer)
{
    struct h2_caller *caller = user;
    struct h2_stream *stream = arg;

    stream->closed = true;
    if (stream->end_given && stream->has_ended && code == H2_NO_ERROR)
        return; /* in order; the user may not know yet */
    h2_stream_lose(stream);
    if (!by_peer) {
        caller->breaches++;
        blame(stream, "the request breaks the rules of HTTP/2");
    }
    h2_caller_note(stream);
}

static void goes_away(void *user, int32_t last, uint32_t code, struct span debug)
{
    (void)debug;
    (void)last;
    (void)code;
    h2_caller_wants_turn(user);
}

const struct h2_events h2_caller_events = {
    .begun = begun,
    .head = head_begins,
    .field = h2_stream_take_field,
    .head_done = h2_stream_head_done,
    .data = data,
    .ended = ended,
    .closed = closed,
    .give = h2_stream_give,
    .goaway = goes_away,
};

/* ---- for the stream's user ----------------------------------------------------------------------------- */

static enum stream_result read_head(struct stream *stream, struct http1_head **head)
{
    struct h2_stream *own = of(stream);
    struct span bytes = buffer_span(&own->head), whole;
    struct http1_scan scan = {0};
    struct h1_fault fault = {.cause = CAUSE_NONE};
    size_t end;

    PRE(!own->head_given);
    if (stream->lost)
        return stream->fault.cause == CAUSE_CALLER_GONE ? STREAM_LOST : STREAM_BAD;
    if (!own->head_is_whole)
        return STREAM_WAIT;
    if (own->refused != CAUSE_NONE)
        return h2_stream_fail(own, STREAM_BAD, own->refused, own->refused_detail);
    if (own->caller->base->takes_connect)
        return h2_stream_fail(own, STREAM_BAD, CAUSE_VERSION, "a forward proxy takes requests by HTTP/1.1");
    *head = own->caller->common->parsed;
    (*head)->takes_connect = false;
    if (http1_scan(&scan, bytes, &whole, &end) != HTTP1_DONE)
        return h2_stream_fail(own, STREAM_BAD, CAUSE_BAD_REQUEST, "a field holds what no head can hold");
    fault.cause = http1_parse_request(whole, *head, &fault.detail);
    if (fault.cause != CAUSE_NONE)
        return h2_stream_fail(own, STREAM_BAD, fault.cause, fault.detail);
    buffer_consume(&own->head, end);
    own->head_given = true;
    stream->wants_tunnel = h2_tunnel_is_asked_for(own);
    stream->begun = false;
    stream->ended = own->has_ended && buffer_len(&own->in) == 0 && buffer_len(&own->head) == 0;
    return STREAM_OK;
}

static bool read_start(struct stream *stream, struct stream_start *start)
{
    struct h2_stream *own = of(stream);

    if (own->head_given || (!own->has_line && !own->is_grpc))
        return false;
    if (own->has_line)
        http1_request_words(buffer_span(&own->head), &start->method, &start->target);
    if (own->is_grpc)
        start->grpc_type = h2_stream_find_grpc_type(own);
    return true;
}

static enum stream_result peek(struct stream *stream, bool is_first, struct stream_piece *piece)
{
    struct h2_stream *own = of(stream);

    (void)is_first;
    PRE(own->head_given);
    *piece = (struct stream_piece){.data = buffer_span(&own->in)};
    if (stream->lost && stream->fault.cause != CAUSE_CALLER_GONE)
        return STREAM_BAD;
    piece->last = own->has_ended;
    stream->ended = piece->last;
    if (piece->last && own->refused != CAUSE_NONE)
        return h2_stream_fail(own, STREAM_BAD, CAUSE_CONTENT_BROKEN, "the trailer section is too long");
    if (piece->last && !own->trailers_shown) {
        piece->trailers = buffer_span(&own->head);
        own->trailers_shown = true;
    }
    return piece->data.len != 0 || piece->last ? STREAM_OK : STREAM_WAIT;
}

static void take(struct stream *stream, size_t len)
{
    struct h2_stream *own = of(stream);

    buffer_consume(&own->in, len);
    stream->received += len;
    buffer_close_if_empty(spares_of(own), &own->in);
    if (len == 0 || own->has_ended || own->closed)
        return;
    h2_session_consume(own->caller->session, own->id, len);
    h2_caller_wants_turn(own->caller);
}

/* The connection reads by itself: all that has come is here. */
static enum stream_result receive(struct stream *stream)
{
    struct h2_stream *own = of(stream);
    bool came = own->came;

    own->came = false;
    stream->paused = false;
    if (came)
        return STREAM_OK;
    if (stream->lost)
        return stream->fault.cause == CAUSE_CALLER_GONE ? STREAM_LOST : STREAM_BAD;
    return STREAM_WAIT;
}

static bool has_all(struct stream *stream)
{
    return of(stream)->has_ended;
}

static void discard(struct stream *stream)
{
    struct h2_stream *own = of(stream);

    take(stream, buffer_len(&own->in));
    stream->ended = own->has_ended;
}

static bool is_gone(struct stream *stream)
{
    const struct transport *transport = of(stream)->caller->transport;

    return transport_has_hung_up(transport) || transport->peer_ended;
}

/* Content is bytes as ever, in both directions. */
static void tunnel(struct stream *stream)
{
    stream->tunnels = true;
    stream->ended = false;
}

static void again(struct stream *stream)
{
    h2_caller_note(of(stream));
}

static void free_deferred(struct deferred_free *deferred_free)
{
    struct h2_stream *stream = CONTAINER_OF(deferred_free, struct h2_stream, deferred_free);

    slab_give(&stream->caller->common->loop->slab, stream, sizeof(*stream));
}

/* The user, if it has one, knows it no more. */
static void end_use(struct h2_stream *stream)
{
    struct h2_caller *caller = stream->caller;

    if (!stream->closed)
        h2_session_forget(caller->session, stream->id);
    buffer_close(spares_of(stream), &stream->head);
    buffer_close(spares_of(stream), &stream->in);
    mem_free(stream->answer);
    mem_free(stream->trailers);
    mem_free(stream->tunnel);
    h2_caller_drop(stream);
    loop_free_later(caller->common->loop, &stream->deferred_free, free_deferred);
}

/* An early answer: the rest of the request is not wanted (RFC 9113 8.1). */
static void finish(struct stream *stream)
{
    struct h2_stream *own = of(stream);

    if (!own->closed && !own->has_ended)
        h2_session_reset(own->caller->session, own->id, H2_NO_ERROR);
    end_use(own);
}

/* CANCEL and NO_ERROR look to some clients like the end of a whole response. A head that does not come holds up all. */
static void cut(struct stream *stream)
{
    struct h2_stream *own = of(stream);

    if (!own->closed && !own->head_is_whole)
        own->caller->is_wild = true;
    if (!own->closed)
        h2_session_reset(own->caller->session, own->id,
                         stream->refused ? H2_REFUSED_STREAM : H2_INTERNAL_ERROR);
    end_use(own);
}

static const struct stream_ops ops = {
    .protocol = "h2",
    .head = read_head,
    .peek = peek,
    .take = take,
    .receive = receive,
    .read_start = read_start,
    .has_all = has_all,
    .discard = discard,
    .send_response = h2_stream_send_response,
    .drop_response = h2_stream_drop_response,
    .send = h2_stream_send,
    .tunnel = tunnel,
    .trail = h2_stream_trail,
    .again = again,
    .is_gone = is_gone,
    .finish = finish,
    .cut = cut,
};

static bool tell_first(struct h2_stream *stream)
{
    struct h2_caller *caller = stream->caller;

    stream->begun_told = true;
    if (!stream->stream.lost &&
        caller->common->user->begin(caller->base->owner, &stream->stream, stream->stream.moved_ns))
        return true;
    if (!stream->closed)
        h2_session_reset(caller->session, stream->id, H2_INTERNAL_ERROR);
    end_use(stream);
    return false;
}

void h2_stream_tell(struct h2_stream *stream)
{
    if (!stream->begun_told && !tell_first(stream))
        return;
    stream->stream.ready(&stream->stream);
    if (stream->head_given)
        buffer_close_if_empty(spares_of(stream), &stream->head);
}
