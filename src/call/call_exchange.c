/* Bytes in both directions: the request to the upstream, the response to the caller. */
#include <string.h>

#include "base/mem.h"
#include "core/budget.h"
#include "call/call.h"
#include "call/downstream.h"
#include "call/context.h"
#include "call/upstream.h"
#include "runtime/tls_transport.h"

/* Rounds of reading and writing that a call gets in one turn, so that others get theirs. */
#define ROUNDS 8

/*
 * Content of which more than a usual block is still to come is read into large ones. ST_AGAIN leaves no empty block
 * behind.
 */
static enum status read_into(struct call_context *context, struct transport *transport, struct buffer *buffer,
                             uint32_t max, bool in_bulk)
{
    enum status status;
    size_t len;

    if (!transport->can_read)
        return ST_AGAIN;
    status = in_bulk ? buffer_open_large(&context->loop->spare_buffers, buffer)
                     : buffer_open(&context->loop->spare_buffers, buffer);
    if (status == ST_OK)
        status = buffer_make_room(&context->loop->spare_buffers, buffer, max);
    if (status != ST_OK)
        return status;
    status = transport_read(transport, buffer->data + buffer->end, buffer->cap - buffer->end, &len);
    if (status == ST_OK)
        buffer->end += (uint32_t)len;
    else
        buffer_close_if_empty(&context->loop->spare_buffers, buffer);
    return status;
}

/* False: no more of the request can be had now, or the call is over. */
static bool read_request(struct call *call)
{
    struct downstream *downstream = call->downstream;

    switch (read_into(call->context, &downstream->transport, &downstream->in, BUFFER_LARGE,
                      h1_reader_is_in_bulk(&call->up.reader, BUFFER_SIZE))) {
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

static void request_is_sent(struct call *call)
{
    call->uploaded = true;
    call_fsm_note_sent(&call->fsm, SENT_COMPLETE);
    call->upload_waits = false;
    buffer_close_if_empty(&call->context->loop->spare_buffers, &call->downstream->in);
    if (call->fsm.state == CALL_SENDING)
        call_move(call, CALL_WAITING);
}

/* False: nothing more to do for the upload now, or the call is over. */
static bool upload_some(struct call *call)
{
    bool progress = false;
    enum flow_result result =
        flow_pump(&call->up, &call->downstream->in, &call->upstream->transport, &progress);

    if (progress) {
        call_fsm_note_sent(&call->fsm, SENT_PARTIAL);
        call->moved_ns = loop_now(call->context->loop);
    }
    /* The upstream's time to take more begins when we begin to wait for it. */
    if (result == FLOW_BLOCKED && !call->upload_waits)
        call->moved_ns = loop_now(call->context->loop);
    call->upload_waits = result == FLOW_BLOCKED;
    switch (result) {
    case FLOW_STARVED: return read_request(call);
    case FLOW_DONE: request_is_sent(call); break;
    case FLOW_BLOCKED: break;
    case FLOW_REFUSED:
        /* It may have answered before it closed: the response is looked for next. */
        call->upload_refused = true;
        call->upstream->transport.can_read = true;
        break;
    case FLOW_BROKEN: call_end(call, CAUSE_CONTENT_BROKEN, NULL); break;
    case FLOW_NOMEM: call_end(call, CAUSE_INTERNAL, NULL); break;
    }
    return false;
}

static void upload(struct call *call)
{
    for (int round = 0; round < ROUNDS; round++) {
        if (call->upstream == NULL || call->upload_refused || call->uploaded || !upload_some(call))
            return;
    }
    downstream_resume_later(call->downstream);
}

/* An alert, or a renegotiation that was refused, is why there is no response. */
static bool broke_tls(const struct call *call)
{
    char why[1];

    return tls_transport_why(&call->upstream->transport, why, sizeof(why));
}

/* The upstream has closed or reset the connection before it gave a response. */
static void lost_before_response(struct call *call)
{
    if (call_replace_connection(call))
        return;
    if (buffer_len(&call->response) != 0)
        call_end_over(call, CAUSE_INCOMPLETE,
                      "the upstream closed the connection in the middle of the response head",
                      http1_odd_line(&call->scan, buffer_span(&call->response), SIZE_MAX));
    else
        call_end(call, broke_tls(call) ? CAUSE_TLS_PROTOCOL : CAUSE_TERMINATED, NULL);
}

/* The upstream has ended its side, or reset. */
static bool response_ended(struct call *call, bool in_order)
{
    enum flow_result result = FLOW_BROKEN;

    if (call->fsm.state != CALL_STREAMING) {
        lost_before_response(call);
        return false;
    }
    call->reusable = false;
    if (in_order)
        result = flow_source_ended(&call->down);
    if (result == FLOW_DONE)
        return true;
    call_end(call, result == FLOW_NOMEM ? CAUSE_INTERNAL : CAUSE_INCOMPLETE, NULL);
    return false;
}

/*
 * A short read counts as having emptied the socket. But a reset that came along with those bytes raised its event
 * with them and raises no other: whoever needs more asks once again before he waits.
 */
static bool may_hide_a_reset(const struct call *call)
{
    bool begun = call->fsm.state == CALL_STREAMING || buffer_len(&call->response) != 0;

    return begun && call->moved_ns == loop_now(call->context->loop);
}

/* False: nothing more can be read now, or the call is over. */
static bool read_response(struct call *call)
{
    struct call_context *context = call->context;
    bool in_head = call->fsm.state != CALL_STREAMING;
    uint32_t max = in_head ? (uint32_t)context->text_cap : BUFFER_LARGE;
    enum status status;

    if (may_hide_a_reset(call))
        call->upstream->transport.can_read = true;
    status = read_into(context, &call->upstream->transport, &call->response, max,
                       h1_reader_is_in_bulk(&call->down.reader, BUFFER_SIZE));
    switch (status) {
    case ST_OK:
        call->heard = true;
        call->moved_ns = loop_now(context->loop);
        return true;
    case ST_AGAIN:
        if (!call->upload_refused || in_head == false)
            return false;
        lost_before_response(call);
        return false;
    case ST_NOMEM: call_end(call, CAUSE_INTERNAL, NULL); return false;
    case ST_LIMIT:
        call_end_over(call, CAUSE_HTTP_PROTOCOL, "a chunk's head or the trailer section is too long",
                      h1_reader_fault(&call->down.reader, buffer_span(&call->response)));
        return false;
    default: return response_ended(call, status == ST_EOF);
    }
}

/*
 * The upstream has nothing more to give (what it gave beyond its response is in `end`): its connection and the permit
 * go back, though the caller may still read.
 */
static void release_upstream(struct call *call, struct h1_rest end)
{
    if (!call->uploaded || end.extra != 0 || end.odd || call->upstream->transport.peer_ended)
        call->reusable = false;
    call->released_ns = loop_now(call->context->loop);
    if (call_move(call, CALL_DELIVERING))
        call_set_timer(call);
}

static void response_is_delivered(struct call *call)
{
    if (call->fsm.state == CALL_STREAMING)
        release_upstream(call, (struct h1_rest){buffer_len(&call->response), call->down.reader.content.odd});
    if (!call_is_over(call))
        call_end(call, CAUSE_NONE, NULL);
}

/* False: nothing more to do for the response now, or the call is over. */
static bool deliver_some(struct call *call)
{
    bool progress = false;
    enum flow_result result =
        flow_pump(&call->down, &call->response, &call->downstream->transport, &progress);
    struct h1_rest end;

    /* What came while nobody read, a reset too, may have raised its event long ago. */
    if (call->delivery_waits && result == FLOW_STARVED)
        call->upstream->transport.can_read = true;
    call->delivery_waits = result == FLOW_BLOCKED;
    if (!call_keep_unsent_head(call))
        result = FLOW_NOMEM;
    switch (result) {
    case FLOW_STARVED: return read_response(call);
    case FLOW_DONE: response_is_delivered(call); break;
    case FLOW_BLOCKED:
        if (call->fsm.state == CALL_STREAMING &&
            h1_reader_has_all(&call->down.reader, buffer_span(&call->response), &end))
            release_upstream(call, end);
        break;
    case FLOW_REFUSED: call_caller_gone(call); break;
    case FLOW_BROKEN:
        call_end_over(call, CAUSE_HTTP_PROTOCOL, "the response's content breaks its framing",
                      h1_reader_fault(&call->down.reader, buffer_span(&call->response)));
        break;
    case FLOW_NOMEM: call_end(call, CAUSE_INTERNAL, NULL); break;
    }
    return false;
}

static bool download_some(struct call *call)
{
    if (call->fsm.state == CALL_STREAMING || call->fsm.state == CALL_DELIVERING)
        return deliver_some(call);
    if (call->fsm.state != CALL_SENDING && call->fsm.state != CALL_WAITING)
        return false;
    if (!call_deliver_interim(call))
        return false;
    if (buffer_len(&call->response) != 0 && call_take_response_head(call))
        return true;
    return !call_is_over(call) && read_response(call);
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
    int64_t idle_end_ns = budget_end(call->moved_ns, route->idle_ns);

    call_fsm_set_limit(&call->fsm, NS_NEVER, CAUSE_NONE);
    switch (call->fsm.state) {
    case CALL_SENDING:
        if (call->upload_waits)
            call_fsm_set_limit(&call->fsm, idle_end_ns, CAUSE_IDLE_LIMIT);
        break;
    case CALL_WAITING:
        if (buffer_len(&call->response) != 0)
            call_fsm_set_limit(&call->fsm, idle_end_ns, CAUSE_IDLE_LIMIT);
        else
            call_fsm_set_limit(&call->fsm, budget_end(call->fsm.phase_since_ns, route->first_byte_ns),
                               CAUSE_FIRST_BYTE_LIMIT);
        break;
    case CALL_STREAMING:
        if (!call->delivery_waits)
            call_fsm_set_limit(&call->fsm, idle_end_ns, CAUSE_IDLE_LIMIT);
        break;
    default: return;
    }
    call_set_timer(call);
}

void call_pump(struct call *call)
{
    upload(call);
    if (call_is_over(call))
        return;
    download(call);
    if (!call_is_over(call) && call->fsm.state != CALL_CONNECTING)
        set_limit(call);
}

/* States in which bytes move. */
static bool is_exchanging(const struct call *call)
{
    return call->fsm.state >= CALL_SENDING && call->fsm.state <= CALL_DELIVERING;
}

/* News of a caller from whom nothing is being read: he has sent another request, or ended his side, or is gone. */
bool call_caller_has_left(struct call *call)
{
    struct transport *transport = &call->downstream->transport;
    bool unheard = transport->can_read && (call->up.reader.ended || call->upload_waits);

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
