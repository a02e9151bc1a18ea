/*
 * Bytes in both directions: the request to the upstream, the response to the caller. What stops a call here is returned
 * as a fault, of a stream or of ours, NULL if nothing does; call_pump and call_go_on_after alone do what follows from
 * it. Only a broken invariant ends a call by itself, and whoever goes on after a move asks for that.
 */
#include "base/invariant.h"
#include "call/call.h"
#include "call/call_grpc.h"
#include "call/call_progress.h"
#include "call/call_tunnel.h"
#include "call/downstream.h"
#include "call/context.h"
#include "call/relay.h"
#include "call/try_limit.h"

/* Heads of responses, or parts of them, that a call takes in one turn, so that others get theirs. */
#define ROUNDS 8

static void request_is_sent(struct call *call)
{
    PRE(call->caller->ended || call->tunnel != NULL); /* all that has come is with the upstream */
    call_fsm_note_sent(&call->fsm, SENT_COMPLETE);
    try_note_uploaded(call->try);
    call_follow_phase(call);
}

void call_note_sent(struct call *call)
{
    const struct stream *exchange = call->try->exchange;

    if (!exchange->sent || exchange->refused)
        return;
    try_fsm_note_sent(&call->try->fsm, SENT_PARTIAL);
    call_fsm_note_sent(&call->fsm, SENT_PARTIAL);
}

static const struct stream_fault delivered = {.cause = CAUSE_NONE};

/* What a tunnel's caller sends behind the head waits until it is open. */
static bool has_content(const struct call *call)
{
    return (!call->caller->ended || call->caller->received != 0) && call->tunnel == NULL;
}

static enum relay_end relay_request(struct call *call)
{
    enum relay_end end;

    if (!has_content(call))
        return relay_head(call->caller, call->try->exchange);
    if (!call->has_retries)
        return relay_run(call->caller, call->try->exchange, NULL, NULL);
    end = relay_run(call_content(call), call->try->exchange, NULL, NULL);
    call_note_content(call);
    return end;
}

static const struct stream_fault *upload(struct call *call)
{
    enum relay_end end;

    if (call->try->uploaded || !try_fsm_is_exchanging(&call->try->fsm))
        return NULL;
    end = call->try->exchange->lost ? RELAY_SINK : relay_request(call); /* what went before counts */
    call_note_sent(call);
    switch (end) {
    case RELAY_DONE: request_is_sent(call); break;
    case RELAY_WAIT: break;
    case RELAY_AGAIN: stream_again(call->caller); break;
    case RELAY_SOURCE: return &call->caller->fault;
    case RELAY_SINK: break; /* it may have answered before: the response is looked for next */
    case RELAY_NOMEM: return &call_no_memory;
    }
    return NULL;
}

/* True: there is more now. */
static bool receive_response(struct call *call, const struct stream_fault **fault)
{
    enum stream_result result = stream_receive(call->try->exchange);

    if (result == STREAM_LOST || result == STREAM_BAD)
        *fault = &call->try->exchange->fault;
    else if (result == STREAM_NOMEM)
        *fault = &call_no_memory;
    return result == STREAM_OK;
}

/* The upstream has nothing more to give: the try is over, though the caller may still read. */
static bool finish_try(struct call *call)
{
    call_try_over(call, CAUSE_NONE);
    call_fsm_set_begin(&call->fsm, NS_NEVER); /* there may be no content at all */
    return try_finish(call->try, call->caller->persistent);
}

/* The upstream may have nothing more to give, though the caller has not taken all of it. */
static void finish_early(struct call *call)
{
    bool is_here =
        call->caller->blocked && call->fsm.state == CALL_RESPONDING && stream_has_all(call->try->exchange);

    if (is_here && finish_try(call) && call_move(call, CALL_DELIVERING))
        call_set_timer(call);
}

/* Of calls that want to know what goes by. */
static void watch(void *arg, const struct stream_piece *piece)
{
    struct call *call = arg;

    if (call->progress != NULL)
        call_note_progress(call, piece);
    if (call->grpc != NULL)
        call_note_grpc_trailers(call, piece->trailers);
}

/* All of the response has gone. */
static const struct stream_fault *complete(struct call *call)
{
    return call->fsm.state == CALL_DELIVERING || finish_try(call) ? &delivered : NULL;
}

/* What was held back goes first. False: the rest can't follow yet, or there is none. */
static bool deliver_held(struct call *call, const struct stream_fault **fault)
{
    bool is_last;

    switch (call_send_held(call, &is_last)) {
    case STREAM_OK:
        if (is_last)
            *fault = complete(call);
        return !is_last;
    case STREAM_WAIT:
        call->try->exchange->paused = true;
        finish_early(call);
        break;
    case STREAM_NOMEM: *fault = &call_no_memory; break;
    default: *fault = &call_caller_left; break;
    }
    return false;
}

static const struct stream_fault *deliver(struct call *call)
{
    struct stream *exchange = call->try->exchange;
    const struct stream_fault *fault = NULL;
    bool is_watched = call->progress != NULL || call->grpc != NULL;

    if (call_has_held(call) && !deliver_held(call, &fault))
        return fault;
    switch (relay_run(exchange, call->caller, is_watched ? watch : NULL, call)) {
    case RELAY_DONE: return complete(call);
    case RELAY_WAIT: finish_early(call); break;
    case RELAY_AGAIN: stream_again(call->caller); break;
    case RELAY_SOURCE: return &exchange->fault;
    case RELAY_SINK: return &call_caller_left;
    case RELAY_NOMEM: return &call_no_memory;
    }
    return NULL;
}

/* Is there no response yet, but for interim ones? */
static bool awaits_response(const struct call *call)
{
    return call->fsm.state == CALL_TRYING && try_fsm_is_exchanging(&call->try->fsm) && !call_holds(call);
}

/* False: nothing more can be done for it now. */
static bool look_for_response(struct call *call, const struct stream_fault **fault)
{
    if (call->caller->head_waits)
        *fault = call_deliver_interim(call);
    if (*fault == NULL && call->try->exchange->begun && call_take_response_head(call, fault))
        return true;
    return *fault == NULL && awaits_response(call) && receive_response(call, fault);
}

static const struct stream_fault *download(struct call *call)
{
    const struct stream_fault *fault = NULL;

    for (int round = 0; awaits_response(call); round++) {
        if (round == ROUNDS) {
            stream_again(call->caller);
            return NULL;
        }
        if (!look_for_response(call, &fault))
            return fault;
    }
    if (call_holds(call))
        fault = call_hold_back(call);
    if (fault != NULL)
        return fault;
    return call->fsm.state == CALL_RESPONDING || call->fsm.state == CALL_DELIVERING ? deliver(call) : NULL;
}

/* Is it in a state in which bytes move? */
static bool is_moving(const struct call *call)
{
    return try_fsm_is_exchanging(&call->try->fsm) || call->fsm.state == CALL_DELIVERING;
}

static void set_limit(struct call *call)
{
    struct try *try = call->try;

    if (call->progress != NULL) {
        call_limit_by_progress(call);
    } else {
        if (try->exchange->received != 0)
            call_fsm_set_begin(&call->fsm, NS_NEVER);
        try_set_limit(try, call->caller->blocked); /* a caller that is slow costs the upstream no time */
    }
    call_set_timer(call);
}

/* A response may turn the exchange into a tunnel. */
static const struct stream_fault *move_bytes(struct call *call)
{
    const struct stream_fault *fault = NULL;

    if (call->fsm.state != CALL_TUNNEL)
        fault = upload(call);
    if (fault == NULL && call->fsm.state != CALL_TUNNEL)
        fault = download(call);
    return fault == NULL && call->fsm.state == CALL_TUNNEL ? call_pump_tunnel(call) : fault;
}

void call_pump(struct call *call)
{
    const struct stream_fault *fault = move_bytes(call);

    if (fault == NULL && call->fsm.state != CALL_TUNNEL && try_fsm_is_exchanging(&call->try->fsm))
        set_limit(call);
    else if (fault != NULL && call->fsm.state != CALL_TUNNEL && fault == &call->try->exchange->fault)
        try_fail(call->try, fault);
    else if (fault != NULL)
        call_end(call, fault->cause, fault->detail);
}

void call_go_on_after(struct call *call, const struct stream_fault *fault)
{
    if (fault != NULL)
        call_end(call, fault->cause, fault->detail);
    else if (!call_is_over(call))
        call_pump(call);
}

void call_try_ready(struct try *try)
{
    struct call *call = call_of_event(try);

    call_pump(call);
    POST(call_is_over(call) || call_is_sound(call));
}

/* What a turn was too short for may be the one's or the other's. */
static void pump_both(struct call *call)
{
    if (is_moving(call))
        call_pump(call);
    if (call_is_over(call))
        return;
    if (call->rival != NULL)
        call_turn_to_rival(call);
    if (is_moving(call))
        call_pump(call);
}

void call_caller_ready(struct stream *caller)
{
    struct call *call = caller->user;

    PRE(call->caller == caller && call->counted && !call_is_over(call));
    if (caller->lost)
        call_caller_gone(call);
    else if (call->rival != NULL)
        pump_both(call);
    else if (is_moving(call))
        call_pump(call);
    POST(call_is_over(call) || call_is_sound(call));
}
