#include "proxy/flow.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "http/forward.h"

/* Pieces written in one go: head, frame, data, the chunk's end, tail. */
#define PIECES   5
/* A chunk that is no larger is moved next to the one before, so that both are written as one: a write is dearer. */
#define JOIN_MAX 4096u

void flow_init(struct flow *flow)
{
    *flow = (struct flow){0};
}

void flow_fini(struct flow *flow)
{
    mem_free(flow->tail);
    flow->tail = NULL;
}

void flow_open(struct flow *flow, bool is_response, enum http1_framing from, uint64_t length,
               enum http1_framing to)
{
    http1_content_init(&flow->content, is_response, from, length);
    flow->framing = to;
    flow->open = true;
    flow->decoded_all = flow->content.done;
}

void flow_rewind(struct flow *flow)
{
    flow->tail_at = 0;
}

static void begin_chunk(struct flow *flow)
{
    struct text frame = text_over(flow->frame, sizeof(flow->frame));

    text_hex(&frame, flow->data);
    TEXT_LIT(&frame, "\r\n");
    flow->frame_at = 0;
    flow->crlf_left = 2;
    flow->frame_len = (uint8_t)frame.len;
}

/* The last chunk and the trailers. They are rare enough to be copied. */
static bool end_chunks(struct flow *flow, struct span trailers)
{
    size_t cap = trailers.len + 16;
    struct text tail;

    flow->tail = mem_alloc(cap);
    if (flow->tail == NULL)
        return false;
    tail = text_over(flow->tail, cap);
    TEXT_LIT(&tail, "0\r\n");
    forward_trailers(&tail, trailers, flow->rules);
    TEXT_LIT(&tail, "\r\n");
    flow->tail_at = 0;
    flow->tail_len = (uint32_t)tail.len;
    return true;
}

/*
 * The content is written from where it lies; the framing around it is passed over. What follows content that has not
 * been written is moved up to it.
 */
static void take_piece(struct flow *flow, struct buffer *source, struct span data, size_t used)
{
    char *start = source->data + source->start;

    if (flow->data == 0) {
        size_t before = data.len != 0 ? (size_t)(data.ptr - start) : used;

        buffer_consume(source, before);
        used -= before;
    } else if (data.len != 0) {
        memmove(start + flow->data, data.ptr, data.len);
    }
    flow->data += (uint32_t)data.len;
    flow->skip += (uint32_t)(used - data.len);
    flow->content_bytes += data.len;
}

static struct span undecoded(const struct flow *flow, const struct buffer *source)
{
    struct span bytes = buffer_span(source);
    size_t decoded = flow->data + flow->skip;

    return (struct span){bytes.ptr + decoded, bytes.len - decoded};
}

/* False: nothing more can be taken to what is there, or need be. *result says if there is a fault. */
static bool decode_piece(struct flow *flow, struct buffer *source, enum flow_result *result)
{
    struct http1_content content = flow->content;
    struct span bytes = undecoded(flow, source), data, trailers;
    size_t used;
    enum http1_status status;

    if (bytes.len == 0)
        return false;
    status = http1_content_next(&content, bytes, &used, &data, &trailers);
    if (flow->data != 0 && (status == HTTP1_BAD || data.len > JOIN_MAX))
        return false;
    if (status == HTTP1_BAD)
        *result = FLOW_BROKEN;
    /* Trailers stand in the bytes that are done with: they are copied before those go. */
    else if (status == HTTP1_DONE && flow->framing == HTTP1_CHUNKED && !end_chunks(flow, trailers))
        *result = FLOW_NOMEM;
    if (*result != FLOW_STARVED)
        return false;
    flow->content = content;
    flow->decoded_all = status == HTTP1_DONE;
    take_piece(flow, source, data, used);
    return used != 0 && !flow->decoded_all;
}

/* Passes over the content that is whole in *rest. BAD: what is left of it begins with the fault. */
static enum http1_status look_ahead(struct http1_content *content, struct span *rest)
{
    enum http1_status status = HTTP1_MORE;
    struct span data, trailers;
    size_t used = 1;

    while (status == HTTP1_MORE && used != 0 && rest->len != 0) {
        status = http1_content_next(content, *rest, &used, &data, &trailers);
        if (status == HTTP1_BAD)
            break;
        rest->ptr += used;
        rest->len -= used;
    }
    return status;
}

struct span flow_fault(const struct flow *flow, const struct buffer *source)
{
    struct http1_content content = flow->content;
    struct span rest = undecoded(flow, source);

    (void)look_ahead(&content, &rest);
    return rest;
}

static bool is_broken(const struct flow *flow, const struct buffer *source)
{
    struct http1_content content = flow->content;
    struct span rest = undecoded(flow, source);

    return look_ahead(&content, &rest) == HTTP1_BAD;
}

/* More content once what there was is written, or none if the source has to be read first; FLOW_STARVED in both. */
static enum flow_result decode(struct flow *flow, struct buffer *source)
{
    enum flow_result result = FLOW_STARVED;

    if (flow->data != 0 || flow->crlf_left != 0 || flow->decoded_all)
        return FLOW_STARVED;
    while (decode_piece(flow, source, &result))
        ;
    if (flow->head.len != 0 && !flow->decoded_all && result == FLOW_STARVED && is_broken(flow, source))
        return FLOW_BROKEN;
    if (flow->data != 0 && flow->framing == HTTP1_CHUNKED)
        begin_chunk(flow);
    return result;
}

static bool has_pieces(const struct flow *flow)
{
    return flow->head.len != 0 || flow->data != 0 || flow->crlf_left != 0 || flow->tail_at < flow->tail_len;
}

static int gather(struct flow *flow, const struct buffer *source, struct iovec pieces[PIECES])
{
    int count = 0;

    if (flow->head.len != 0)
        pieces[count++] = (struct iovec){(char *)(uintptr_t)flow->head.ptr, flow->head.len};
    if (flow->frame_at < flow->frame_len)
        pieces[count++] =
            (struct iovec){flow->frame + flow->frame_at, (size_t)(flow->frame_len - flow->frame_at)};
    if (flow->data != 0)
        pieces[count++] = (struct iovec){source->data + source->start, flow->data};
    if (flow->crlf_left != 0)
        pieces[count++] = (struct iovec){(char *)(uintptr_t) "\r\n" + 2 - flow->crlf_left, flow->crlf_left};
    if (flow->tail_at < flow->tail_len)
        pieces[count++] = (struct iovec){flow->tail + flow->tail_at, flow->tail_len - flow->tail_at};
    return count;
}

static size_t take(size_t *written, size_t have)
{
    size_t part = *written < have ? *written : have;

    *written -= part;
    return part;
}

static void advance(struct flow *flow, struct buffer *source, size_t written)
{
    size_t part = take(&written, flow->head.len);

    flow->head.ptr += part;
    flow->head.len -= part;
    flow->frame_at = (uint8_t)(flow->frame_at + take(&written, (size_t)(flow->frame_len - flow->frame_at)));
    part = take(&written, flow->data);
    buffer_consume(source, part);
    flow->data -= (uint32_t)part;
    if (part != 0 && flow->data == 0) {
        buffer_consume(source, flow->skip);
        flow->skip = 0;
    }
    flow->crlf_left = (uint8_t)(flow->crlf_left - take(&written, flow->crlf_left));
    flow->tail_at += (uint32_t)take(&written, flow->tail_len - flow->tail_at);
}

static enum flow_result write_some(struct flow *flow, struct buffer *source, struct transport *sink,
                                   bool *progress)
{
    struct iovec pieces[PIECES];
    size_t written = 0;

    switch (transport_write(sink, pieces, gather(flow, source, pieces), &written)) {
    case ST_OK:
        *progress = true;
        advance(flow, source, written);
        return FLOW_STARVED;
    case ST_AGAIN: return FLOW_BLOCKED;
    default: return FLOW_REFUSED;
    }
}

enum flow_result flow_pump(struct flow *flow, struct buffer *source, struct transport *sink, bool *progress)
{
    enum flow_result result = FLOW_STARVED;

    while (result == FLOW_STARVED) {
        if (flow->open)
            result = decode(flow, source);
        if (result != FLOW_STARVED)
            break;
        if (!has_pieces(flow))
            return flow->open && flow->decoded_all ? FLOW_DONE : FLOW_STARVED;
        result = write_some(flow, source, sink, progress);
    }
    return result;
}

enum flow_result flow_source_ended(struct flow *flow)
{
    if (!flow->open || flow->content.framing != HTTP1_UNTIL_CLOSE)
        return flow->decoded_all ? FLOW_DONE : FLOW_BROKEN;
    flow->decoded_all = true;
    return flow->framing != HTTP1_CHUNKED || end_chunks(flow, (struct span){0}) ? FLOW_DONE : FLOW_NOMEM;
}

bool flow_discard(struct flow *flow, struct buffer *source)
{
    buffer_consume(source, flow->data + flow->skip);
    flow->data = flow->skip = 0;
    while (flow->open && !flow->decoded_all && buffer_len(source) != 0) {
        struct span data, trailers;
        size_t used = 0;
        enum http1_status status =
            http1_content_next(&flow->content, buffer_span(source), &used, &data, &trailers);

        buffer_consume(source, used);
        flow->decoded_all = status == HTTP1_DONE;
        if (status == HTTP1_BAD || used == 0)
            break;
    }
    return flow->decoded_all;
}

bool flow_source_is_complete(const struct flow *flow, const struct buffer *source, struct flow_end *end)
{
    struct http1_content content = flow->content;
    struct span rest = undecoded(flow, source);
    bool complete = flow->open && (flow->decoded_all || look_ahead(&content, &rest) == HTTP1_DONE);

    *end = (struct flow_end){rest.len, content.odd};
    return complete;
}
