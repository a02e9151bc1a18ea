/* Bytes in both directions: the request to the upstream, the response to the caller. */
#include "base/invariant.h"
#include "core/budget.h"
#include "call/call.h"
#include "call/downstream.h"
#include "call/context.h"
#include "call/relay.h"
#include "call/upstream.h"

/* Heads of responses, or parts of them, that a call takes in one turn, so that others get theirs. */
#define ROUNDS 8

static void request_is_sent(struct call *call)
{
    PRE(!call->uploaded && call->caller->ended); /* all that has come is with the upstream */
    call->uploaded = true;
    call_fsm_note_sent(&call->fsm, SENT_COMPLETE);
    if (call->fsm.state == CALL_SENDING)
        call_move(call, CALL_WAITING);
}

/* The source of content has failed, as it says; `odd` is for the log, which has an upstream's bytes alone. */
static void end_by(struct call *call, const struct stream *source)
{
    const struct stream_fault *fault = &source->fault;

    call_end_over(call, fault->cause, fault->detail, fault->odd);
}

static void upload(struct call *call)
{
    enum relay_end end;

    if (call->uploaded || call->exchange->lost)
        return;
    end = relay_run(call->caller, call->exchange, NULL, NULL);
    if (call->exchange->sent)
        call_fsm_note_sent(&call->fsm, SENT_PARTIAL);
    switch (end) {
    case RELAY_DONE: request_is_sent(call); break;
    case RELAY_WAIT: break;
    case RELAY_AGAIN: stream_again(call->caller); break;
    case RELAY_SOURCE: end_by(call, call->caller); break;
    case RELAY_SINK: break; /* it may have answered before: the response is looked for next */
    case RELAY_NOMEM: call_end(call, CAUSE_INTERNAL, NULL); break;
    }
}

/* False: nothing more can be received now, or the call is over. */
static bool receive_response(struct call *call)
{
    switch (stream_receive(call->exchange)) {
    case STREAM_OK: return true;
    case STREAM_WAIT: return false;
    case STREAM_NOMEM: call_end(call, CAUSE_INTERNAL, NULL); return false;
    case STREAM_LOST:
        if (call_replace_connection(call))
            return false;
        break;
    default: break;
    }
    end_by(call, call->exchange);
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

/* The upstream may have nothing more to give, though the caller has not taken all of it. */
static void release_early(struct call *call)
{
    if (call->caller->blocked && call->fsm.state == CALL_STREAMING && stream_has_all(call->exchange))
        release_upstream(call);
}

static void note_progress(void *arg, const struct stream_piece *piece)
{
    call_note_progress(arg, piece);
}

static void deliver(struct call *call)
{
    switch (relay_run(call->exchange, call->caller, call->progress != NULL ? note_progress : NULL, call)) {
    case RELAY_DONE: response_is_delivered(call); break;
    case RELAY_WAIT: release_early(call); break;
    case RELAY_AGAIN: stream_again(call->caller); break;
    case RELAY_SOURCE: end_by(call, call->exchange); break;
    case RELAY_SINK: call_caller_gone(call); break;
    case RELAY_NOMEM: call_end(call, CAUSE_INTERNAL, NULL); break;
    }
}

/* Is there no response yet, but for interim ones? */
static bool awaits_response(const struct call *call)
{
    return call->fsm.state == CALL_SENDING || call->fsm.state == CALL_WAITING;
}

/* False: nothing more can be done for it now, or the call is over. */
static bool look_for_response(struct call *call)
{
    if (call->caller->head_waits && !call_deliver_interim(call))
        return false;
    if (call->exchange->begun && call_take_response_head(call))
        return true;
    return !call_is_over(call) && receive_response(call);
}

static void download(struct call *call)
{
    for (int round = 0; awaits_response(call); round++) {
        if (round == ROUNDS) {
            stream_again(call->caller);
            return;
        }
        if (!look_for_response(call))
            return;
    }
    if (call->fsm.state == CALL_STREAMING || call->fsm.state == CALL_DELIVERING)
        deliver(call);
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
        if (!call->caller->blocked)
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

void call_caller_ready(struct stream *caller)
{
    struct call *call = caller->user;

    PRE(call->caller == caller && !call_is_over(call));
    if (call->fsm.state == CALL_READING)
        call_read_head(call);
    else if (caller->lost)
        call_caller_gone(call);
    else if (is_exchanging(call))
        call_pump(call);
    POST(call_is_over(call) || call_is_sound(call));
}
