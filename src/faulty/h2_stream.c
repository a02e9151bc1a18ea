/*
 * A stream of a connection over HTTP/2, between the session and a faulty_conn that answers.
 *
 *   fields, DATA -> up, as HTTP/1.1 -> faulty_conn -> down, as HTTP/1.1 -> fields; body -> DATA
 *
 * An answer that is cut short is a RST_STREAM; one that is no HTTP/1.1 goes to the caller as it is, and is no HTTP/2
 * either.
 */
#include "faulty/h2.h"

#include <stdio.h>
#include <string.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "faulty/conn_life.h"
#include "http/h2_head.h"

#define BODY_MAX   ((size_t)65536)
#define FIELDS_MAX 128

static struct faulty_h2_stream *of(struct faulty_pipe *pipe)
{
    return CONTAINER_OF(pipe, struct faulty_h2_stream, pipe);
}

struct faulty_h2_stream *faulty_h2_stream_of(const struct faulty_conn *c)
{
    return c->transport.pipe != NULL ? of(c->transport.pipe) : NULL;
}

static void free_buffer(struct evbuffer *buffer)
{
    if (buffer != NULL)
        evbuffer_free(buffer);
}

static void stream_free(struct faulty_h2_stream *stream)
{
    if (stream->h2 != NULL)
        list_remove(&stream->link);
    free_buffer(stream->pipe.up);
    free_buffer(stream->pipe.down);
    free_buffer(stream->fields);
    free_buffer(stream->body);
    mem_free(stream->method);
    mem_free(stream->path);
    mem_free(stream->authority);
    mem_free(stream->trailers);
    mem_free(stream);
}

static void moved(struct faulty_pipe *pipe)
{
    struct faulty_h2_stream *stream = of(pipe);

    if (pipe->closed)
        stream->conn = NULL;
    if (stream->h2 != NULL)
        faulty_h2_wake(stream->h2);
    else if (pipe->closed)
        stream_free(stream);
}

/* Its API hears at its next step that the caller has left. */
static void leave(struct faulty_h2_stream *stream)
{
    stream->pipe.peer_left = true;
    if (stream->conn != NULL)
        faulty_conn_wake(stream->conn);
}

void faulty_h2_stream_lose(struct faulty_h2_stream *stream)
{
    list_remove(&stream->link);
    stream->h2 = NULL;
    leave(stream);
    if (stream->conn == NULL)
        stream_free(stream);
}

/* ------------------------------------------------------------------------------------- the request */

static void *begun(void *user, int32_t id)
{
    struct faulty_h2 *h2 = user;
    struct faulty_h2_stream *stream = mem_zalloc(sizeof(*stream));

    if (stream == NULL)
        return NULL;
    stream->pipe = (struct faulty_pipe){.up = evbuffer_new(), .down = evbuffer_new(), .moved = moved};
    stream->fields = evbuffer_new();
    stream->body = evbuffer_new();
    stream->id = id;
    stream->code = H2_INTERNAL_ERROR;
    if (stream->pipe.up == NULL || stream->pipe.down == NULL || stream->fields == NULL ||
        stream->body == NULL) {
        stream_free(stream);
        return NULL;
    }
    stream->h2 = h2;
    list_push_back(&h2->streams, &stream->link);
    return stream;
}

static void head_begins(void *user, void *arg)
{
    (void)user;
    (void)arg;
}

static bool keep(char **to, struct span value)
{
    *to = mem_zalloc(value.len + 1);
    if (*to != NULL && value.len != 0)
        memcpy(*to, value.ptr, value.len);
    return *to != NULL;
}

static bool field(void *user, void *arg, struct span name, struct span value)
{
    struct faulty_h2_stream *stream = arg;

    (void)user;
    if (stream->head_is_done)
        return true; /* trailers */
    if (span_eq(name, SPAN_LIT(":method")))
        return keep(&stream->method, value);
    if (span_eq(name, SPAN_LIT(":path")))
        return keep(&stream->path, value);
    if (span_eq(name, SPAN_LIT(":authority")))
        return keep(&stream->authority, value);
    if (name.ptr[0] == ':')
        return true;
    stream->has_host |= span_eq(name, SPAN_LIT("host"));
    stream->is_chunked |= span_eq(name, SPAN_LIT("content-length")); /* for now: there is one */
    return evbuffer_add_printf(stream->fields, "%.*s: %.*s\r\n", SPAN_FMT(name), SPAN_FMT(value)) >= 0;
}

static void head_done(void *user, void *arg, bool end)
{
    struct faulty_h2 *h2 = user;
    struct faulty_h2_stream *stream = arg;
    struct evbuffer *up = stream->pipe.up;

    if (stream->head_is_done)
        return;
    stream->head_is_done = true;
    stream->is_chunked = !stream->is_chunked && !end;
    (void)evbuffer_add_printf(up, "%s %s HTTP/1.1\r\n", stream->method,
                              stream->path != NULL ? stream->path : "*");
    if (!stream->has_host) /* in the place of :authority, as proxies have it (RFC 9113 8.3.1), or beside it */
        (void)evbuffer_add_printf(up, "Host: %s\r\n", stream->authority != NULL ? stream->authority : "");
    (void)evbuffer_add_buffer(up, stream->fields); /* without memory the request is a bad one */
    (void)evbuffer_add_printf(up, "%s\r\n", stream->is_chunked ? "Transfer-Encoding: chunked\r\n" : "");
    h2->requests++;
    stream->conn = faulty_conn_start_piped(h2->server, &stream->pipe);
    if (stream->conn == NULL)
        h2_session_reset(h2->session, stream->id, H2_INTERNAL_ERROR);
    if (h2->requests == h2->server->h2.goaway)
        h2_session_goaway(h2->session, H2_NO_ERROR);
}

static bool data(void *user, void *arg, struct span bytes)
{
    struct faulty_h2_stream *stream = arg;
    struct evbuffer *up = stream->pipe.up;
    bool done = true;

    (void)user;
    stream->owed += bytes.len;
    if (stream->is_chunked && bytes.len != 0)
        done = evbuffer_add_printf(up, "%zx\r\n", bytes.len) >= 0;
    done = done && evbuffer_add(up, bytes.ptr, bytes.len) == 0;
    if (stream->is_chunked && bytes.len != 0)
        done = done && evbuffer_add(up, "\r\n", 2) == 0;
    if (stream->conn != NULL)
        faulty_conn_wake(stream->conn);
    return done;
}

static void ended(void *user, void *arg)
{
    struct faulty_h2_stream *stream = arg;

    (void)user;
    stream->has_ended = true;
    if (stream->is_chunked)
        (void)evbuffer_add(stream->pipe.up, "0\r\n\r\n", 5);
    if (stream->conn != NULL)
        faulty_conn_wake(stream->conn);
}

static void closed(void *user, void *arg, uint32_t code, bool by_peer)
{
    struct faulty_h2_stream *stream = arg;

    (void)code;
    (void)by_peer;
    stream->closed = true;
    leave(stream);
    faulty_h2_wake(user);
}

static void give_trailers(struct faulty_h2_stream *stream)
{
    struct span lines = span_of(stream->trailers);
    struct h2_field fields[FIELDS_MAX];
    char names[1024];

    if (lines.len > sizeof(names) || h2_head_most(lines) > FIELDS_MAX ||
        h2_session_trailers(stream->h2->session, stream->id, fields,
                            h2_head_of_lines(lines, fields, names)) != ST_OK)
        stream->h2->ends = true;
}

static size_t give(void *user, void *arg, void *to, size_t cap, bool *end)
{
    struct faulty_h2_stream *stream = arg;
    int len = evbuffer_remove(stream->body, to, cap);

    (void)user;
    *end = stream->is_whole && evbuffer_get_length(stream->body) == 0;
    stream->end_given |= *end;
    if (*end && stream->trailers != NULL)
        give_trailers(stream);
    return len > 0 ? (size_t)len : 0;
}

static void goes_away(void *user, int32_t last, uint32_t code, struct span why)
{
    (void)user;
    (void)last;
    (void)code;
    (void)why;
}

const struct h2_events faulty_h2_events = {
    .begun = begun,
    .head = head_begins,
    .field = field,
    .head_done = head_done,
    .data = data,
    .ended = ended,
    .closed = closed,
    .give = give,
    .goaway = goes_away,
};

/* ------------------------------------------------------------------------------------ the response */

/* Bytes that are no response: they are no frames, either. */
static void put_garbage(struct faulty_h2_stream *stream)
{
    (void)evbuffer_add_buffer(stream->h2->out, stream->pipe.down);
    stream->h2->ends = true;
}

static bool has_no_content(const struct http1_head *head)
{
    return head->framing == HTTP1_NO_CONTENT || (head->framing == HTTP1_LENGTH && head->content_length == 0);
}

static enum status submit(struct faulty_h2_stream *stream, const struct http1_head *head, struct span lines)
{
    struct h2_field fields[FIELDS_MAX + 8];
    char names[4096], code[4];
    size_t count;

    if (lines.len > sizeof(names) || h2_head_most(lines) > FIELDS_MAX)
        return ST_LIMIT;
    (void)snprintf(code, sizeof(code), "%03u", head->code % 1000u);
    fields[0] = (struct h2_field){SPAN_LIT(":status"), {code, 3}, false};
    count = h2_head_of_lines(lines, fields + 1, names);
    if (head->code < 200)
        return h2_session_interim(stream->h2->session, stream->id, fields, count + 1);
    return h2_session_respond(stream->h2->session, stream->id, fields, count + 1, has_no_content(head));
}

/* False: more of it has to come, or it is over. */
static bool take_head(struct faulty_h2_stream *stream)
{
    struct http1_field fields[FIELDS_MAX];
    struct http1_head head = HTTP1_HEAD_OVER(fields);
    struct evbuffer *down = stream->pipe.down;
    struct evbuffer_ptr end = evbuffer_search(down, "\r\n\r\n", 4, NULL);
    size_t len = (size_t)(end.pos + 4);
    const char *why, *line_end;
    struct span text;

    if (end.pos < 0)
        return false;
    text = (struct span){(char *)evbuffer_pullup(down, (ssize_t)len), len};
    line_end = text.ptr != NULL ? memchr(text.ptr, '\n', len) : NULL;
    if (line_end == NULL ||
        http1_parse_response(text, http1_method_of(span_of(stream->method)), &head, &why) != CAUSE_NONE) {
        put_garbage(stream);
        return false;
    }
    if (submit(stream, &head, (struct span){line_end + 1, (size_t)(text.ptr + len - line_end - 1)}) != ST_OK)
        h2_session_reset(stream->h2->session, stream->id, H2_INTERNAL_ERROR);
    (void)evbuffer_drain(down, len); /* fails only for a frozen buffer */
    if (head.code < 200)
        return true;
    stream->responds = true;
    http1_content_init(&stream->content, true, head.framing, head.content_length);
    stream->is_whole = stream->end_given = has_no_content(&head);
    return true;
}

/* False: nothing can be taken now. */
static bool take_content(struct faulty_h2_stream *stream)
{
    struct evbuffer *down = stream->pipe.down;
    size_t len = evbuffer_get_length(down), used;
    struct span data, trailers, bytes = {(char *)evbuffer_pullup(down, -1), len};
    enum http1_status status;

    if (bytes.ptr == NULL || evbuffer_get_length(stream->body) >= BODY_MAX)
        return false;
    status = http1_content_next(&stream->content, bytes, &used, &data, &trailers);
    if (status == HTTP1_BAD) {
        put_garbage(stream);
        return false;
    }
    if (data.len != 0)
        (void)evbuffer_add(stream->body, data.ptr, data.len);
    if (status == HTTP1_DONE && trailers.len != 0)
        (void)keep(&stream->trailers, trailers); /* without memory there are none */
    stream->is_whole = status == HTTP1_DONE;
    (void)evbuffer_drain(down, used); /* fails only for a frozen buffer */
    return used != 0;
}

/* The API has gone: what it has not said is missing. */
static void end_early(struct faulty_h2_stream *stream)
{
    if (stream->end_given || (stream->is_whole && stream->responds))
        return;
    if (stream->responds && stream->pipe.ended && stream->content.framing == HTTP1_UNTIL_CLOSE) {
        stream->is_whole = true;
        return;
    }
    if (stream->pipe.ended && !stream->responds && evbuffer_get_length(stream->pipe.down) != 0)
        put_garbage(stream);
    else if (evbuffer_get_length(stream->body) == 0)
        h2_session_reset(stream->h2->session, stream->id, stream->code);
}

static void give_window(struct faulty_h2_stream *stream)
{
    size_t waits = evbuffer_get_length(stream->pipe.up);

    if (stream->owed > waits && !stream->has_ended && !stream->closed) {
        h2_session_consume(stream->h2->session, stream->id, stream->owed - waits);
        stream->owed = waits;
    }
}

void faulty_h2_stream_step(struct faulty_h2_stream *stream)
{
    struct faulty_pipe *pipe = &stream->pipe;
    size_t before = evbuffer_get_length(pipe->down);

    if (stream->closed) {
        if (stream->conn == NULL)
            stream_free(stream);
        return;
    }
    while (!stream->responds && !stream->h2->ends && take_head(stream))
        ;
    while (stream->responds && !stream->is_whole && take_content(stream))
        ;
    if (pipe->closed && !stream->h2->ends)
        end_early(stream);
    give_window(stream);
    if (stream->responds && !stream->end_given)
        h2_session_resume(stream->h2->session, stream->id);
    if (evbuffer_get_length(pipe->down) < before && stream->conn != NULL)
        faulty_conn_wake(stream->conn);
    if (stream->end_given && stream->has_ended)
        leave(stream); /* no other request follows */
}
