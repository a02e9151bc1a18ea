/* Bytes in both directions: the request to the upstream, the response to the caller. */
#include <string.h>

#include "base/invariant.h"
#include "core/budget.h"
#include "call/call.h"
#include "call/downstream.h"
#include "call/context.h"
#include "call/upstream.h"
#include "wire/h1_send.h"

/* Rounds of reading and writing that a call gets in one turn, so that others get theirs. */
#define ROUNDS 8

/*
 * More of the request. Content of which more than a usual block is still to come is read into large ones. ST_AGAIN
 * leaves no empty block behind.
 */
static enum status read_some(struct call *call)
{
    struct buffer_spares *spares = &call->context->loop->spare_buffers;
    struct transport *transport = &call->downstream->transport;
    struct buffer *in = &call->downstream->in;
    enum status status;
    size_t len;

    if (!transport->can_read)
        return ST_AGAIN;
    status = h1_reader_is_in_bulk(&call->request, BUFFER_SIZE) ? buffer_open_large(spares, in)
                                                               : buffer_open(spares, in);
    if (status == ST_OK)
        status = buffer_make_room(spares, in, BUFFER_LARGE);
    if (status != ST_OK)
        return status;
    status = transport_read(transport, in->data + in->end, in->cap - in->end, &len);
    if (status == ST_OK)
        in->end += (uint32_t)len;
    else
        buffer_close_if_empty(spares, in);
    return status;
}

/* False: no more of the request can be had now, or the call is over. */
static bool read_request(struct call *call)
{
    switch (read_some(call)) {
    case ST_OK: return true;
    case ST_AGAIN: break;
    case ST_NOMEM: call_end(call, CAUSE_INTERNAL, NULL); break;
    case ST_LIMIT:
        call_end(call, CAUSE_CONTENT_BROKEN, "a chunk's head or the trailer section is too long");
        break;
    default: call_caller_gone(call); break;
    }
    return false;
}

/* What there is of the request's content. False: its framing is broken. */
static bool peek_request(struct call *call, bool is_first, struct stream_piece *piece)
{
    struct h1_reader *reader = &call->request;
    struct buffer *in = &call->downstream->in;
    enum http1_status status = HTTP1_MORE;

    piece->trailers = (struct span){0};
    if (reader->data == 0 && !reader->ended) {
        while (status == HTTP1_MORE)
            status = h1_reader_decode(reader, buffer_span(in), &piece->trailers);
        buffer_consume(in, h1_reader_take(reader, 0));
        if (status == HTTP1_BAD ||
            (is_first && !reader->ended && h1_reader_is_broken(reader, buffer_span(in))))
            return false;
    }
    piece->data = h1_reader_data(reader, buffer_span(in));
    piece->last = reader->ended;
    return true;
}

/* OK: all of it has gone. WAIT: the upstream takes no more now, or else, if *starved, the caller has to give more. */
static enum stream_result relay_request(struct call *call, bool *starved)
{
    struct stream *exchange = call->exchange;
    enum stream_result result = STREAM_OK;
    struct stream_piece piece;
    size_t taken;

    for (*starved = false; result == STREAM_OK;) {
        if (!peek_request(call, exchange->head_waits, &piece))
            return STREAM_BAD;
        result = stream_send(exchange, &piece, &taken);
        buffer_consume(&call->downstream->in, h1_reader_take(&call->request, taken));
        if (result == STREAM_OK && piece.last)
            return STREAM_OK;
        if (result == STREAM_OK && piece.data.len == 0) {
            *starved = true;
            return STREAM_WAIT;
        }
    }
    return result;
}

static void request_is_sent(struct call *call)
{
    PRE(!call->uploaded && call->request.ended); /* all that has come is with the upstream */
    call->uploaded = true;
    call_fsm_note_sent(&call->fsm, SENT_COMPLETE);
    buffer_close_if_empty(&call->context->loop->spare_buffers, &call->downstream->in);
    if (call->fsm.state == CALL_SENDING)
        call_move(call, CALL_WAITING);
}

/* False: nothing more to do for the upload now, or the call is over. */
static bool upload_some(struct call *call)
{
    bool starved;
    enum stream_result result = relay_request(call, &starved);

    if (call->exchange->sent)
        call_fsm_note_sent(&call->fsm, SENT_PARTIAL);
    switch (result) {
    case STREAM_OK: request_is_sent(call); break;
    case STREAM_WAIT: return starved && read_request(call);
    case STREAM_LOST: break; /* it may have answered before: the response is looked for next */
    case STREAM_BAD: call_end(call, CAUSE_CONTENT_BROKEN, NULL); break;
    case STREAM_NOMEM: call_end(call, CAUSE_INTERNAL, NULL); break;
    }
    return false;
}

static void upload(struct call *call)
{
    for (int round = 0; round < ROUNDS; round++) {
        if (call->upstream == NULL || call->exchange->lost || call->uploaded || !upload_some(call))
            return;
    }
    downstream_resume_later(call->downstream);
}

/* False: nothing more can be received now, or the call is over. */
static bool receive_response(struct call *call)
{
    const struct stream_fault *fault = &call->exchange->fault;
    bool in_head = call->fsm.state != CALL_STREAMING;

    switch (stream_receive(call->exchange)) {
    case STREAM_OK: return true;
    case STREAM_WAIT: return false;
    case STREAM_NOMEM: call_end(call, CAUSE_INTERNAL, NULL); return false;
    case STREAM_LOST:
        if (in_head && call_replace_connection(call))
            return false;
        break;
    case STREAM_BAD: break;
    }
    call_end_over(call, fault->cause, fault->detail, fault->odd);
    return false;
}

/*
 * The upstream has nothing more to give: its connection and the permit go back, though the caller may still read.
 */
static void release_upstream(struct call *call)
{
    if (!stream_let_go(call->exchange) || !call->uploaded)
        call->reusable = false;
    PRE(call->fsm.state == CALL_STREAMING && call->granted_ns != 0);
    call->released_ns = loop_now(call->context->loop);
    call_try_over(call, CAUSE_NONE);
    call_fsm_set_begin(&call->fsm, NS_NEVER); /* there may be no content at all */
    if (call_move(call, CALL_DELIVERING))
        call_set_timer(call);
}

static void response_is_delivered(struct call *call)
{
    if (call->fsm.state == CALL_STREAMING)
        release_upstream(call);
    if (!call_is_over(call))
        call_end(call, CAUSE_NONE, NULL);
}

/* OK: all of it has gone. WAIT: the caller takes no more now, or else, if *starved, the upstream has to give more. */
static enum stream_result relay_response(struct call *call, bool *starved)
{
    struct transport *to = &call->downstream->transport;
    enum stream_result result = STREAM_OK;
    struct stream_piece piece;
    bool progress;
    size_t taken;

    for (*starved = false; result == STREAM_OK;) {
        if (stream_peek(call->exchange, call->response.head.len != 0, &piece) == STREAM_BAD)
            return STREAM_BAD;
        if (call->progress != NULL)
            call_note_progress(call, &piece);
        result = h1_send(&call->response, to, &piece, &taken, &progress);
        stream_take(call->exchange, taken);
        if (result == STREAM_OK && piece.last)
            return STREAM_OK;
        if (result == STREAM_OK && piece.data.len == 0) {
            *starved = true;
            return STREAM_WAIT;
        }
    }
    return result;
}

/* False: nothing more to do for the response now, or the call is over. */
static bool deliver_some(struct call *call)
{
    const struct stream_fault *fault = &call->exchange->fault;
    bool starved;
    enum stream_result result = relay_response(call, &starved);

    call->exchange->paused |= call->delivery_waits;
    call->delivery_waits = result == STREAM_WAIT && !starved;
    if (!call_keep_unsent_head(call))
        result = STREAM_NOMEM;
    switch (result) {
    case STREAM_OK: response_is_delivered(call); break;
    case STREAM_WAIT:
        if (starved)
            return receive_response(call);
        if (call->fsm.state == CALL_STREAMING && stream_has_all(call->exchange))
            release_upstream(call);
        break;
    case STREAM_LOST: call_caller_gone(call); break;
    case STREAM_BAD: call_end_over(call, fault->cause, fault->detail, fault->odd); break;
    case STREAM_NOMEM: call_end(call, CAUSE_INTERNAL, NULL); break;
    }
    return false;
}

static bool download_some(struct call *call)
{
    if (call->fsm.state == CALL_STREAMING || call->fsm.state == CALL_DELIVERING)
        return deliver_some(call);
    if (call->fsm.state != CALL_SENDING && call->fsm.state != CALL_WAITING)
        return false;
    if (call->response.head.len != 0 && !call_deliver_interim(call))
        return false;
    if (call->exchange->begun && call_take_response_head(call))
        return true;
    return !call_is_over(call) && receive_response(call);
}

static void download(struct call *call)
{
    for (int round = 0; round < ROUNDS; round++) {
        if (!download_some(call))
            return;
    }
    if (call_keep_unsent_head(call))
        downstream_resume_later(call->downstream);
    else
        call_end(call, CAUSE_INTERNAL, NULL);
}

/* The limit that goes with what the call is waiting for. A caller who is slow costs the upstream no time. */
static void set_limit(struct call *call)
{
    const struct route_config *route = call->route;
    int64_t idle_end_ns = budget_end(call->exchange->moved_ns, route->idle_ns);

    call_fsm_set_limit(&call->fsm, NS_NEVER, CAUSE_NONE);
    if (call->exchange->received != 0)
        call_fsm_set_begin(&call->fsm, NS_NEVER);
    switch (call->fsm.state) {
    case CALL_SENDING:
        if (call->exchange->blocked)
            call_fsm_set_limit(&call->fsm, idle_end_ns, CAUSE_IDLE_LIMIT);
        break;
    case CALL_WAITING:
        if (call->exchange->begun)
            call_fsm_set_limit(&call->fsm, idle_end_ns, CAUSE_IDLE_LIMIT);
        else
            call_fsm_set_limit(&call->fsm, budget_end(call->fsm.phase_since_ns, route->first_byte_ns),
                               CAUSE_FIRST_BYTE_LIMIT);
        break;
    case CALL_STREAMING:
        if (!call->delivery_waits)
            call_fsm_set_limit(&call->fsm, idle_end_ns, CAUSE_IDLE_LIMIT);
        if (call->progress != NULL)
            call_limit_by_progress(call);
        break;
    default: return;
    }
    call_set_timer(call);
}

/* States in which bytes move. */
static bool is_exchanging(const struct call *call)
{
    return call->fsm.state >= CALL_SENDING && call->fsm.state <= CALL_DELIVERING;
}

void call_pump(struct call *call)
{
    PRE(is_exchanging(call));
    upload(call);
    if (call_is_over(call))
        return;
    download(call);
    if (!call_is_over(call) && call->fsm.state != CALL_CONNECTING)
        set_limit(call);
}

/* News of a caller from whom nothing is being read: he has sent another request, or ended his side, or is gone. */
bool call_caller_has_left(struct call *call)
{
    struct transport *transport = &call->downstream->transport;
    bool unheard = transport->can_read && (call->request.ended || call->exchange->blocked);

    if (call->caller_ended || !(transport->peer_ended || unheard))
        return false;
    if (transport_peer_is_gone(transport))
        return true;
    call->caller_ended = transport->peer_ended;
    return false;
}

void call_downstream_ready(struct call *call)
{
    if (call_caller_has_left(call))
        call_caller_gone(call);
    else if (is_exchanging(call))
        call_pump(call);
}
