/*
 * A stream that is held back (streams.commit: event). Its head lies with the caller's stream, handed over and not sent,
 * so that another response can still take its place; its content lies here, taken from the exchange, until the first
 * event is there. Then both go, and what follows is relayed as ever. Until then nothing has been delivered: what goes
 * wrong gets an answer of ours, or another try.
 *
 *   exchange --peek, take--> held: | blocks, but for comments | the block at hand … --first event--> caller
 *
 * What is held is bounded: at HOLD_MAX the head and all that is there go without an event. Comments before the first
 * event are thrown away, so that an API that says nothing else fills no memory.
 */
#include "call/call_progress.h"

#include <string.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "call/call.h"
#include "call/call_grpc.h"
#include "call/context.h"
#include "core/budget.h"

#define HOLD_MAX   65536u
#define HOLD_BEGIN 2048u
/* Reads in one turn, so that others get theirs. */
#define ROUNDS     8

static size_t room_of(const struct held_response *hold, size_t len)
{
    size_t room = HOLD_MAX - hold->len;

    return len < room ? len : room;
}

static bool make_room(struct held_response *hold, size_t len)
{
    size_t cap = hold->cap != 0 ? hold->cap : HOLD_BEGIN;
    char *bytes;

    while (cap < hold->len + len)
        cap *= 2;
    if (cap == hold->cap)
        return true;
    bytes = mem_realloc(hold->bytes, cap);
    if (bytes == NULL)
        return false;
    hold->bytes = bytes;
    hold->cap = (uint32_t)cap;
    return true;
}

static void keep(struct held_response *hold, struct span bytes)
{
    PRE(hold->len + bytes.len <= hold->cap);
    memcpy(hold->bytes + hold->len, bytes.ptr, bytes.len);
    hold->len += (uint32_t)bytes.len;
}

/* A part of a block, or the rest of it: `block` says what it was. Comments are not kept. */
static void keep_block(struct held_response *hold, struct span bytes, enum sse_block block)
{
    keep(hold, bytes);
    if (block == SSE_COMMENT)
        hold->len = hold->block_at;
    if (block != SSE_NONE)
        hold->block_at = hold->len;
}

/* Keeps content up to the first event, or as much as there is room for. Returns how much was taken. */
static size_t keep_some(struct call_progress *progress, struct span content, uint32_t *events)
{
    struct held_response *hold = &progress->hold;
    enum sse_block block = SSE_NONE;
    size_t taken = 0, room;

    if (!progress->reads_events) {
        taken = room_of(hold, content.len);
        keep(hold, (struct span){content.ptr, taken});
        *events = 1;
        return taken;
    }
    while (block != SSE_EVENT && (room = room_of(hold, content.len - taken)) != 0) {
        struct span rest = {content.ptr + taken, room};

        block = sse_next(&progress->sse, &progress->streams->events, &rest);
        keep_block(hold, (struct span){content.ptr + taken, room - rest.len}, block);
        taken += room - rest.len;
    }
    *events = block == SSE_EVENT;
    return taken;
}

/* Takes what there is room for of a piece, which is not empty. False: no memory. */
static bool take_piece(struct call *call, const struct stream_piece *piece, bool *is_whole)
{
    struct call_progress *progress = call->progress;
    struct stream *exchange = call->try->exchange;
    uint32_t events;
    size_t taken;

    if (!make_room(&progress->hold, room_of(&progress->hold, piece->data.len)))
        return false;
    taken = keep_some(progress, piece->data, &events);
    progress->seen = exchange->received - (piece->data.len - taken);
    if (taken != 0)
        progress_note(&progress->progress, &progress->terms, taken, events, loop_now(call->context->loop));
    stream_take(exchange, taken);
    *is_whole = taken == piece->data.len;
    return true;
}

/* The head and what is held are the caller's from now on. */
static void commit(struct call *call, const struct stream_piece *piece)
{
    struct held_response *hold = &call->progress->hold;

    hold->is_on = false;
    hold->last = piece->last;
    if (piece->last)
        hold->trailers = piece->trailers;
    if (piece->last && call->grpc != NULL)
        call_note_grpc_trailers(call, piece->trailers);
    call_adopt_response(call);
}

/* Takes what there is. If that is an event, the end, or more than is held back, it is the caller's. */
static const struct stream_fault *take_some(struct call *call)
{
    struct call_progress *progress = call->progress;
    struct stream_piece piece;
    bool is_whole = true;

    if (stream_peek(call->try->exchange, true, &piece) == STREAM_BAD)
        return &call->try->exchange->fault;
    if (piece.data.len != 0 && !take_piece(call, &piece, &is_whole))
        return &call_no_memory;
    piece.last = piece.last && is_whole;
    if (piece.last || !is_whole || progress->progress.events != 0)
        commit(call, &piece);
    return NULL;
}

const struct stream_fault *call_hold_back(struct call *call)
{
    struct stream *exchange = call->try->exchange;

    PRE(call_holds(call));
    for (int round = 0; round < ROUNDS; round++) {
        const struct stream_fault *fault = take_some(call);

        if (fault != NULL || !call_holds(call))
            return fault;
        switch (stream_receive(exchange)) {
        case STREAM_OK: break;
        case STREAM_NOMEM: return &call_no_memory;
        case STREAM_WAIT: return NULL;
        default: return &exchange->fault;
        }
    }
    stream_again(call->caller);
    return NULL;
}

enum stream_result call_send_held(struct call *call, bool *is_last)
{
    struct held_response *hold = &call->progress->hold;
    struct stream_piece piece = {{hold->bytes + hold->at, hold->len - hold->at}, hold->last, hold->trailers};
    enum stream_result result;
    size_t taken;

    PRE(call_has_held(call));
    result = stream_send(call->caller, &piece, &taken);
    hold->at += (uint32_t)taken;
    hold->trailers.len = 0; /* they have been shown */
    *is_last = hold->last;
    if (result == STREAM_OK)
        held_response_fini(hold);
    return result;
}

void held_response_fini(struct held_response *hold)
{
    mem_free(hold->bytes);
    *hold = (struct held_response){0};
}
