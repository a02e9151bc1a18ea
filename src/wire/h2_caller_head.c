/*
 * The head of a request on a caller's connection over HTTP/2: written down in HTTP/1.1's form as its fields come, and
 * read by HTTP/1.1's reader, so that what is refused there is refused here, and nothing gets by that could become two
 * requests at the API.
 */
#include "wire/h2_caller_head.h"

#include <string.h>

#include "base/invariant.h"
#include "http/grpc.h"
#include "http/h2_head.h"
#include "http/http1.h"
#include "wire/caller.h"

/* What a field counts beside its bytes (RFC 9113 6.5.2). */
#define FIELD_OVERHEAD 32u
#define FIELDS_MAX     128u
#define TRAILERS_MAX   8192u
#define PROTOCOL_MAX   64u
/* So many times as large as it may be is a bomb: the rest of its fields is not even looked at. */
#define BOMB           16u

static struct buffer_spares *spares_of(struct h2_stream *stream)
{
    return &stream->caller->common->loop->spare_buffers;
}

void h2_stream_refuse(struct h2_stream *stream, enum cause cause, const char *detail)
{
    if (stream->refused != CAUSE_NONE)
        return;
    stream->refused = cause;
    stream->refused_detail = detail;
}

/* Room for `len` bytes more behind what there is of the head, or of trailers. */
static bool make_room(struct h2_stream *stream, size_t len)
{
    uint32_t most = (uint32_t)stream->caller->common->text_cap;
    enum status status = buffer_reserve(spares_of(stream), &stream->head, len, most);

    if (status == ST_OK)
        return true;
    h2_stream_refuse(stream, status == ST_NOMEM ? CAUSE_INTERNAL : CAUSE_HEAD_TOO_LARGE, NULL);
    return false;
}

static void put(struct h2_stream *stream, struct span bytes)
{
    if (bytes.len == 0 || !make_room(stream, bytes.len))
        return;
    memcpy(stream->head.data + stream->head.end, bytes.ptr, bytes.len);
    stream->head.end += (uint32_t)bytes.len;
}

/* At an offset in what there is. */
static void insert(struct h2_stream *stream, uint32_t at, struct span value)
{
    char *place;

    if (value.len == 0 || !make_room(stream, value.len))
        return;
    place = stream->head.data + stream->head.start + at;
    memmove(place + value.len, place, buffer_len(&stream->head) - at);
    memcpy(place, value.ptr, value.len);
    stream->head.end += (uint32_t)value.len;
}

static bool is_visible(struct span value)
{
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.ptr[i] <= ' ' || value.ptr[i] == 0x7f)
            return false;
    return value.len != 0;
}

/*
 * The session has seen to it that there is one of each, before all other fields, and that none is missing at the end.
 * As long as they come, their values stand in `head` one behind the other: method, path, authority.
 */
static void take_pseudo(struct h2_stream *stream, struct span name, struct span value)
{
    uint32_t len = (uint32_t)value.len;

    if (!is_visible(value) && !span_eq(name, SPAN_LIT(":authority")))
        h2_stream_refuse(stream, CAUSE_BAD_REQUEST, "a pseudo-field is empty, or holds white space");
    else if (span_eq(name, SPAN_LIT(":method"))) {
        insert(stream, 0, value);
        stream->method_len = len;
    } else if (span_eq(name, SPAN_LIT(":path"))) {
        if (value.ptr[0] != '/' && !span_eq(value, SPAN_LIT("*")))
            h2_stream_refuse(stream, CAUSE_BAD_REQUEST, ":path does not begin with a slash");
        insert(stream, stream->method_len, value);
        stream->path_len = len;
    } else if (span_eq(name, SPAN_LIT(":authority"))) {
        if (len != 0 && !is_visible(value))
            h2_stream_refuse(stream, CAUSE_BAD_REQUEST, ":authority holds white space");
        insert(stream, stream->method_len + stream->path_len, value);
        stream->authority_len = len;
    } else if (span_eq(name, SPAN_LIT(":protocol"))) {
        if (len > PROTOCOL_MAX || !http1_is_token(value))
            h2_stream_refuse(stream, CAUSE_BAD_REQUEST, ":protocol is not the name of a protocol");
        else if (!h2_tunnel_ask(stream, value))
            h2_stream_refuse(stream, CAUSE_INTERNAL, NULL);
    }
}

/* CONNECT with :protocol is a GET with Upgrade over HTTP/1.1. */
static void become_get(struct h2_stream *stream)
{
    struct buffer *head = &stream->head;
    const struct span connect = SPAN_LIT("CONNECT");
    uint32_t cut = (uint32_t)connect.len - 3;

    if (!span_eq((struct span){buffer_span(head).ptr, stream->method_len}, connect) ||
        stream->path_len == 0) {
        h2_stream_refuse(stream, CAUSE_BAD_REQUEST, ":protocol without CONNECT, or without :path");
        return;
    }
    memcpy(head->data + head->start + cut, "GET", 3);
    buffer_consume(head, cut);
    stream->method_len = 3;
}

static void put_tunnel_lines(struct h2_stream *stream)
{
    char block[PROTOCOL_MAX + 128];
    struct text lines = text_over(block, sizeof(block));

    h2_tunnel_put_lines(stream, &lines);
    put(stream, text_span(&lines));
}

/* "METHOD PATH HTTP/1.1", and Host if there is an authority: what stands there already is put in between. */
static void put_line(struct h2_stream *stream)
{
    uint32_t at;

    stream->has_line = true;
    if (h2_tunnel_is_asked_for(stream))
        become_get(stream);
    if (stream->refused != CAUSE_NONE)
        return;
    at = stream->method_len;
    insert(stream, at, SPAN_LIT(" "));
    at += 1 + stream->path_len;
    if (stream->path_len == 0) { /* CONNECT */
        put(stream, SPAN_LIT(" HTTP/1.1\r\n"));
        return;
    }
    insert(stream, at, stream->authority_len != 0 ? SPAN_LIT(" HTTP/1.1\r\nhost: ") : SPAN_LIT(" HTTP/1.1"));
    put(stream, SPAN_LIT("\r\n"));
    if (h2_tunnel_is_asked_for(stream))
        put_tunnel_lines(stream);
}

static struct span authority_of(const struct h2_stream *stream)
{
    uint32_t at = stream->method_len + 1 + stream->path_len + (uint32_t)(sizeof(" HTTP/1.1\r\nhost: ") - 1);

    return (struct span){buffer_span(&stream->head).ptr + at, stream->authority_len};
}

/* RFC 9113 8.2.3: what was cut into fields is one again. */
static void join_cookie(struct h2_stream *stream, struct span value)
{
    uint32_t at = stream->cookie_end;

    insert(stream, at, SPAN_LIT("; "));
    insert(stream, at + 2, value);
    stream->cookie_end = at + 2 + (uint32_t)value.len;
}

static void put_field(struct h2_stream *stream, struct span name, struct span value)
{
    struct buffer *head = &stream->head;
    struct text line;

    if (!make_room(stream, name.len + value.len + sizeof(": \r\n") - 1))
        return;
    line = text_over(head->data + head->end, head->cap - head->end);
    (void)h2_head_put_field(&line, name, value);
    head->end += (uint32_t)line.len;
}

static void take_field(struct h2_stream *stream, struct span name, struct span value)
{
    if (!stream->has_line)
        put_line(stream);
    if (stream->refused != CAUSE_NONE)
        return;
    if (stream->cookie_end != 0 && span_eq(name, SPAN_LIT("cookie"))) {
        join_cookie(stream, value);
        return;
    }
    if (h2_tunnel_owns(stream, name))
        return;
    if (++stream->fields > FIELDS_MAX) {
        h2_stream_refuse(stream, CAUSE_HEAD_TOO_LARGE, "too many fields");
    } else if (stream->authority_len != 0 && span_eq(name, SPAN_LIT("host"))) {
        if (!span_eq_nocase(value, authority_of(stream)))
            h2_stream_refuse(stream, CAUSE_BAD_REQUEST, "Host and :authority differ");
    } else {
        put_field(stream, name, value);
        if (span_eq(name, SPAN_LIT("cookie")))
            stream->cookie_end = buffer_len(&stream->head) - 2;
    }
}

/* A block that goes on long after it was too long is no mistake: the connection ends (RFC 9113 10.5.1). */
bool h2_stream_take_field(void *user, void *arg, struct span name, struct span value)
{
    struct h2_caller *caller = user;
    struct h2_stream *stream = arg;
    uint64_t most = stream->head_is_whole ? TRAILERS_MAX : caller->common->request_head_max;

    stream->head_bytes += (uint32_t)(name.len + value.len + FIELD_OVERHEAD);
    if (stream->head_bytes > 2 * most)
        caller->is_wild = true;
    if (stream->head_bytes > most)
        h2_stream_refuse(stream, CAUSE_HEAD_TOO_LARGE, NULL);
    if (!stream->head_is_whole && span_eq(name, SPAN_LIT("content-type")))
        stream->is_grpc = grpc_is_type(value);
    if (stream->refused != CAUSE_NONE)
        return stream->head_bytes <= BOMB * most; /* the rest is passed over */
    if (stream->head_is_whole)
        put_field(stream, name, value);
    else if (name.ptr[0] == ':')
        take_pseudo(stream, name, value);
    else
        take_field(stream, name, value);
    return true;
}

/* Whether content follows, HTTP/2 says beside the head, and HTTP/1.1 in it. */
void h2_stream_head_done(void *user, void *arg, bool has_end)
{
    struct h2_stream *stream = arg;

    (void)user;
    h2_caller_note(stream);
    stream->came = true;
    stream->head_bytes = 0;
    if (stream->head_is_whole)
        return; /* trailers */
    stream->head_is_whole = true;
    if (stream->refused != CAUSE_NONE)
        return;
    if (!stream->has_line)
        put_line(stream);
    if (stream->refused != CAUSE_NONE)
        return;
    if (!has_end && !h2_tunnel_is_asked_for(stream) &&
        memmem(stream->head.data + stream->head.start, buffer_len(&stream->head),
               "\r\ncontent-length: ", 18) == NULL)
        put(stream, SPAN_LIT("transfer-encoding: chunked\r\n"));
    put(stream, SPAN_LIT("\r\n"));
}

struct span h2_stream_find_grpc_type(const struct h2_stream *stream)
{
    struct span head = buffer_span(&stream->head);
    const struct span name = SPAN_LIT("\r\ncontent-type: ");
    const char *found = head.len != 0 ? memmem(head.ptr, head.len, name.ptr, name.len) : NULL;
    const char *value = found != NULL ? found + name.len : NULL, *end = NULL;

    if (value != NULL)
        end = memchr(value, '\r', (size_t)(head.ptr + head.len - value));
    return end != NULL ? (struct span){value, (size_t)(end - value)} : SPAN_LIT("application/grpc");
}
