#ifndef CURFEW_TESTS_MEMORY_STREAM_H
#define CURFEW_TESTS_MEMORY_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/invariant.h"
#include "base/list.h"
#include "base/span.h"
#include "base/text.h"
#include "http/http1.h"
#include "http/outgoing.h"
#include "wire/stream.h"

/*
 * A stream without a connection: its peer is whoever fills in what it has said so far, and reads what it was sent. What
 * it says is shown by receive, as if it had come just then; it takes no more than `room` bytes. For tests of what uses
 * streams.
 */
struct memory_stream {
    struct stream stream;
    struct http1_head *head;    /* what it says: a head, or NULL; */
    struct span content;        /* what of the content has come, which is not taken; */
    bool ended;                 /* is that all? */
    struct span trailers;       /* behind it */
    struct stream_fault breaks; /* cause: it is lost by that, behind what it has said; NONE: it is not */
    bool stirs;                 /* there is something that receive has not told of */
    bool has_gone;              /* it takes nothing any more */

    size_t room;      /* bytes that it takes */
    struct text *out; /* what it was sent: heads and content as they came, without framing */
    struct span unsent_head;
    bool out_ended;
};

static struct memory_stream *memory_of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct memory_stream, stream);
}

static enum stream_result memory_read_head(struct stream *stream, struct http1_head **head)
{
    struct memory_stream *memory = memory_of(stream);

    if (!stream->begun)
        return STREAM_WAIT;
    *head = memory->head;
    memory->head = NULL;
    stream->begun = false;
    return STREAM_OK;
}

static enum stream_result memory_peek(struct stream *stream, bool is_first, struct stream_piece *piece)
{
    const struct memory_stream *memory = memory_of(stream);

    if (is_first && memory->breaks.cause == CAUSE_HTTP_PROTOCOL) {
        stream->fault = memory->breaks;
        return STREAM_BAD;
    }
    *piece = (struct stream_piece){memory->content, memory->ended, memory->trailers};
    return piece->data.len != 0 || piece->last ? STREAM_OK : STREAM_WAIT;
}

static void memory_take(struct stream *stream, size_t len)
{
    struct memory_stream *memory = memory_of(stream);

    PRE(len <= memory->content.len);
    memory->content.ptr += len;
    memory->content.len -= len;
    stream->received += len;
}

static enum stream_result memory_receive(struct stream *stream)
{
    struct memory_stream *memory = memory_of(stream);

    stream->paused = false;
    if (memory->stirs) {
        memory->stirs = false;
        stream->heard = true;
        stream->begun = memory->head != NULL;
        return STREAM_OK;
    }
    if (memory->breaks.cause == CAUSE_NONE)
        return STREAM_WAIT;
    stream->fault = memory->breaks;
    return memory->breaks.cause == CAUSE_HTTP_PROTOCOL ? STREAM_BAD : STREAM_LOST;
}

static bool memory_read_start(struct stream *stream, struct stream_start *start)
{
    const struct memory_stream *memory = memory_of(stream);

    if (memory->head == NULL)
        return false;
    *start =
        (struct stream_start){memory->head->code, memory->head->method, memory->head->target, SPAN_LIT("")};
    return true;
}

static bool memory_has_all(struct stream *stream)
{
    return memory_of(stream)->ended;
}

static inline void memory_put_head(struct stream *stream, struct span head)
{
    memory_of(stream)->unsent_head = head;
    stream->head_waits = head.len != 0;
}

static void memory_send_head(struct stream *stream, struct outgoing *request, struct span name,
                             struct span value)
{
    memory_put_head(stream, outgoing_close(request, name, value));
}

/* Takes the front of `bytes`, as far as there is room. */
static size_t memory_put(struct memory_stream *memory, struct span bytes)
{
    size_t len = bytes.len < memory->room ? bytes.len : memory->room;

    text_bytes(memory->out, bytes.ptr, len);
    POST(!memory->out->overflow);
    memory->room -= len;
    if (len != 0)
        memory->stream.sent = true;
    return len;
}

static enum stream_result memory_send_piece(struct stream *stream, const struct stream_piece *piece,
                                            size_t *taken)
{
    struct memory_stream *memory = memory_of(stream);
    size_t of_head;

    *taken = 0;
    if (memory->has_gone) {
        stream->lost = true;
        return STREAM_LOST;
    }
    of_head = memory_put(memory, memory->unsent_head);
    memory->unsent_head.ptr += of_head;
    memory->unsent_head.len -= of_head;
    stream->head_waits = memory->unsent_head.len != 0;
    if (!stream->head_waits)
        *taken = memory_put(memory, piece->data);
    stream->blocked = stream->head_waits || *taken != piece->data.len;
    memory->out_ended = piece->last && !stream->blocked;
    return stream->blocked ? STREAM_WAIT : STREAM_OK;
}

static bool memory_let_go(struct stream *stream)
{
    const struct memory_stream *memory = memory_of(stream);

    return memory->ended && memory->breaks.cause == CAUSE_NONE;
}

static const struct stream_ops memory_ops = {
    .protocol = "memory",
    .head = memory_read_head,
    .peek = memory_peek,
    .take = memory_take,
    .receive = memory_receive,
    .read_start = memory_read_start,
    .has_all = memory_has_all,
    .send_head = memory_send_head,
    .send = memory_send_piece,
    .let_go = memory_let_go,
};

/* All else is zeroed. `out` is the owner's. */
static inline void memory_stream_init(struct memory_stream *memory, struct text *out, size_t room)
{
    *memory = (struct memory_stream){.stream.ops = &memory_ops, .out = out, .room = room};
}

#endif
