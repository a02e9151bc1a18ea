/* What goes to a caller on a stream over HTTP/2: heads, content as windows take it, trailers. */
#include <string.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "http/forward.h"
#include "http/h2_head.h"
#include "wire/caller.h"
#include "wire/h2_caller.h"

static struct h2_stream *of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct h2_stream, stream);
}

/* Fields that are submitted: as HTTP/1.1 writes them, behind one that HTTP/2 has in place of the first line. */
struct list {
    struct h2_field *fields; /* NULL: no memory */
    char *names;
    size_t count;
};

static void list_make(struct list *list, struct span lines)
{
    size_t room = h2_head_most(lines) * sizeof(struct h2_field);

    list->fields = mem_alloc(room + lines.len);
    if (list->fields == NULL)
        return;
    list->names = (char *)list->fields + room;
    list->count = h2_head_of_lines(lines, list->fields, list->names);
}

/* Trailers follow the content, whose submission is the stream's end. False: no memory. */
static bool submit_trailers(struct h2_stream *stream)
{
    enum status status = ST_NOMEM;
    struct list list;

    list_make(&list, (struct span){stream->trailers, stream->trailers_len});
    if (list.fields != NULL)
        status = h2_session_trailers(stream->caller->session, stream->id, list.fields, list.count);
    mem_free(list.fields);
    return status == ST_OK;
}

/* Content is what the user offers just now; without an offer, it is asked for one. */
size_t h2_stream_give(void *user, void *arg, void *to, size_t cap, bool *end)
{
    struct h2_stream *stream = arg;
    size_t len = stream->offer.len < cap ? stream->offer.len : cap;

    (void)user;
    if (len != 0)
        memcpy(to, stream->offer.ptr, len);
    stream->offer.ptr += len;
    stream->offer.len -= len;
    if (stream->offer.len == 0 && stream->offers_last)
        *end = stream->end_given = stream->trailers_len == 0 || submit_trailers(stream);
    else if (len == 0 && stream->stream.blocked)
        h2_caller_note(stream);
    return len;
}

static struct forward_framing framing_of(const struct http1_head *head)
{
    bool has_length = head->framing == HTTP1_LENGTH || head->framing == HTTP1_NO_CONTENT;

    return (struct forward_framing){has_length ? head->framing : HTTP1_UNTIL_CLOSE, false};
}

static enum status submit(struct h2_stream *stream, struct span text, bool is_interim, bool has_end)
{
    const char *line_end = memchr(text.ptr, '\n', text.len);
    size_t first = (size_t)(line_end - text.ptr) + 1;
    struct h2_field status = {SPAN_LIT(":status"), {text.ptr + sizeof("HTTP/1.1 ") - 1, 3}, false};
    enum status result = ST_NOMEM;
    struct list list;

    PRE(line_end != NULL && text.len > sizeof("HTTP/1.1 200"));
    list_make(&list, (struct span){text.ptr + first, text.len - first});
    if (list.fields != NULL) {
        memmove(list.fields + 1, list.fields, list.count * sizeof(*list.fields));
        list.fields[0] = status;
        result = is_interim
                     ? h2_session_interim(stream->caller->session, stream->id, list.fields, list.count + 1)
                     : h2_session_respond(stream->caller->session, stream->id, list.fields, list.count + 1,
                                          has_end);
    }
    mem_free(list.fields);
    return result;
}

enum stream_result h2_stream_send_response(struct stream *stream, const struct http1_head *head,
                                           const struct forward_own *own)
{
    struct h2_stream *self = of(stream);
    struct text text = text_over(self->caller->common->text, self->caller->common->text_cap);
    struct http1_head translated;

    PRE(!self->submitted);
    if (!self->head_is_whole) /* an answer would stand within the question */
        return h2_stream_fail(self, STREAM_LOST, CAUSE_CALLER_GONE, NULL);
    if (head->code == 101) {
        if (!h2_tunnel_translate(self, head, &translated))
            return h2_stream_fail(self, STREAM_BAD, CAUSE_HTTP_PROTOCOL,
                                  "Sec-WebSocket-Accept does not answer the key that was sent");
        head = &translated;
    }
    forward_response_head(&text, head, framing_of(head), 1, true, own);
    if (text.overflow)
        return h2_stream_fail(self, STREAM_BAD, CAUSE_RESPONSE_HEAD_SIZE, NULL);
    if (head->code < 200) {
        if (self->closed)
            return STREAM_OK;
        h2_caller_wants_turn(self->caller);
        return submit(self, text_span(&text), true, false) == ST_OK ? STREAM_OK : STREAM_NOMEM;
    }
    mem_free(self->answer);
    self->answer = mem_dup(text.ptr, text.len);
    if (self->answer == NULL)
        return STREAM_NOMEM;
    self->answer_len = (uint32_t)text.len;
    stream->head_waits = true;
    return STREAM_OK;
}

void h2_stream_drop_response(struct stream *stream)
{
    struct h2_stream *own = of(stream);

    PRE(!stream->committed);
    mem_free(own->answer);
    own->answer = NULL;
    stream->head_waits = false;
}

/* The head goes with the first content, or with what turns out to be none. */
static enum status send_head(struct h2_stream *stream, const struct stream_piece *piece)
{
    struct span answer = {stream->answer, stream->answer_len};
    bool has_end = piece->last && piece->data.len == 0 && piece->trailers.len == 0;
    enum status status = submit(stream, answer, false, has_end);

    if (status != ST_OK)
        return status;
    mem_free(stream->answer);
    stream->answer = NULL;
    stream->submitted = true;
    stream->end_given = has_end;
    stream->stream.head_waits = false;
    stream->stream.answered = stream->stream.committed = stream->stream.sent = true;
    return ST_OK;
}

static void offer(struct h2_stream *stream, const struct stream_piece *piece)
{
    stream->offer = piece->data;
    stream->offers_last = piece->last;
    h2_session_resume(stream->caller->session, stream->id);
    h2_caller_pull(stream->caller);
    stream->offers_last = false;
}

static bool is_out(const struct h2_stream *stream)
{
    return stream->end_given && stream->end_at <= stream->caller->written;
}

/* They are shown once, and copied: they are rare. What a recipient may not get is left out. */
static bool keep_trailers(struct h2_stream *stream, struct span trailers)
{
    struct text lines = text_over(mem_alloc(trailers.len), trailers.len);

    if (lines.ptr == NULL)
        return false;
    PRE(stream->trailers == NULL);
    forward_trailers(&lines, trailers, NULL);
    stream->trailers = lines.ptr;
    stream->trailers_len = (uint32_t)lines.len;
    return true;
}

/* False: no memory. */
static bool give_piece(struct h2_stream *stream, const struct stream_piece *piece, size_t *taken)
{
    if (stream->answer != NULL && send_head(stream, piece) != ST_OK)
        return false;
    if (piece->trailers.len != 0 && !keep_trailers(stream, piece->trailers))
        return false;
    if (stream->submitted && !stream->end_given)
        offer(stream, piece);
    else
        h2_caller_pull(stream->caller);
    *taken = stream->end_given ? piece->data.len : piece->data.len - stream->offer.len;
    stream->offer.len = 0;
    stream->end_at = stream->caller->pulled;
    h2_caller_wants_turn(stream->caller);
    return true;
}

enum stream_result h2_stream_send(struct stream *stream, const struct stream_piece *piece, size_t *taken)
{
    struct h2_stream *own = of(stream);

    *taken = 0;
    if (own->closed && !own->end_given)
        h2_stream_lose(own);
    if (stream->lost)
        return STREAM_LOST;
    if (!own->end_given && !give_piece(own, piece, taken))
        return STREAM_NOMEM;
    if (*taken != 0)
        stream->moved_ns = loop_now(own->caller->common->loop);
    stream->blocked = piece->last ? !is_out(own) : *taken != piece->data.len;
    return stream->blocked ? STREAM_WAIT : STREAM_OK;
}

/* HEADERS overtake content that waits for a window, which nobody takes any more. */
enum stream_result h2_stream_trail(struct stream *stream, struct span trailers)
{
    struct h2_stream *own = of(stream);
    enum status status = ST_NOMEM;
    struct list list;

    PRE(stream->committed && own->submitted);
    if (own->end_given)
        return STREAM_WAIT;
    if (own->closed)
        return STREAM_LOST;
    list_make(&list, trailers);
    if (list.fields != NULL)
        status = h2_session_trailers(own->caller->session, own->id, list.fields, list.count);
    mem_free(list.fields);
    own->end_given = status == ST_OK;
    h2_caller_pull(own->caller);
    h2_caller_wants_turn(own->caller);
    return own->end_given ? STREAM_OK : STREAM_NOMEM;
}
