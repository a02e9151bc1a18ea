#include "wire/h2_session.h"

#include <string.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "http/http1.h"
#include "wire/h2_heap.h"
#include "wire/h2_session_own.h"

/* What a peer that floods us may have us answer before the connection ends (CVE-2019-9512, 9515). */
#define ACKS_MAX 100
/* Of what we send, which is bounded elsewhere. */
#define HEAD_MAX (16u << 20)

/* ---- what came ----------------------------------------------------------------------------------------- */

void h2_session_forget(struct h2_session *session, int32_t id)
{
    if (session->block_id == id)
        session->block_stream = NULL;
    (void)nghttp2_session_set_stream_user_data(session->nghttp2, id, NULL);
}

static int on_begin_headers(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *arg)
{
    struct h2_session *session = arg;
    void *stream = h2_session_stream_of(session, frame->hd.stream_id);

    (void)nghttp2;
    session->block_id = frame->hd.stream_id;
    session->block_stream = stream;
    if (stream == NULL && session->side == H2_SERVER && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        if (++session->open <= session->max_streams)
            stream = session->events->begun(session->user, frame->hd.stream_id);
        if (stream == NULL) {
            h2_session_reset(session, frame->hd.stream_id, H2_REFUSED_STREAM);
            return 0;
        }
        (void)nghttp2_session_set_stream_user_data(nghttp2, frame->hd.stream_id, stream);
        session->block_stream = stream;
    }
    if (stream != NULL)
        session->events->head(session->user, stream);
    return 0;
}

static int take_field(struct h2_session *session, struct span name, struct span value)
{
    void *stream = session->block_stream;

    if (stream == NULL || session->events->field(session->user, stream, name, value))
        return 0;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_header(nghttp2_session *nghttp2, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *arg)
{
    (void)nghttp2;
    (void)frame;
    (void)flags;
    return take_field(arg, (struct span){(const char *)name, name_len},
                      (struct span){(const char *)value, value_len});
}

/* What HTTP/2 does not have (RFC 9113 8.2.2), and a length: nghttp2 judges them by their values, if it likes these. */
static bool is_of_framing(struct span name)
{
    return h2_head_is_for_one_hop(name) || span_eq(name, SPAN_LIT("content-length"));
}

/*
 * nghttp2 would leave a field out whose value it does not like, and go on with the rest of the head. White space at the
 * edges of a value is no part of it, but where a value says how a message is framed; with anything else the message is
 * malformed (RFC 9113 8.2.1).
 */
static int on_invalid_header(nghttp2_session *nghttp2, const nghttp2_frame *frame, const uint8_t *name,
                             size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                             void *arg)
{
    struct span field = {(const char *)name, name_len};
    struct span trimmed = span_trim((struct span){(const char *)value, value_len});

    (void)nghttp2;
    (void)frame;
    (void)flags;
    for (size_t i = 0; i < name_len; i++)
        if (name[i] >= 'A' && name[i] <= 'Z')
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (trimmed.len == value_len || is_of_framing(field) || !http1_is_token(field) ||
        !http1_is_field_value(trimmed))
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return take_field(arg, field, trimmed);
}

static int on_data(nghttp2_session *nghttp2, uint8_t flags, int32_t id, const uint8_t *bytes, size_t len,
                   void *arg)
{
    struct h2_session *session = arg;
    void *stream = h2_session_stream_of(session, id);

    (void)flags;
    h2_session_note(session, nghttp2_session_consume_connection(nghttp2, len));
    if (stream == NULL) /* it was reset by us: its window does not matter any more */
        return 0;
    if (!session->events->data(session->user, stream, (struct span){(const char *)bytes, len}))
        h2_session_reset(session, id, H2_INTERNAL_ERROR);
    return 0;
}

static void frame_ended(struct h2_session *session, const nghttp2_frame *frame)
{
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    void *stream = h2_session_stream_of(session, frame->hd.stream_id);

    if (stream == NULL)
        return;
    if (frame->hd.type == NGHTTP2_HEADERS)
        session->events->head_done(session->user, stream, end);
    /* Padding is counted against the windows, and is told to nobody. */
    if (frame->hd.type == NGHTTP2_DATA && frame->data.padlen != 0)
        h2_session_consume(session, frame->hd.stream_id, frame->data.padlen);
    if (end)
        session->events->ended(session->user, stream);
}

static int on_frame(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *arg)
{
    struct h2_session *session = arg;

    (void)nghttp2;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
        session->parts++;
        frame_ended(session, frame);
        break;
    case NGHTTP2_SETTINGS: session->knows_peer |= (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0; break;
    case NGHTTP2_PING: session->pongs += (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0; break;
    case NGHTTP2_RST_STREAM: session->reset_id = frame->hd.stream_id; break;
    case NGHTTP2_GOAWAY:
        session->events->goaway(
            session->user, frame->goaway.last_stream_id, frame->goaway.error_code,
            (struct span){frame->goaway.opaque_data_len != 0 ? (const char *)frame->goaway.opaque_data : "",
                          frame->goaway.opaque_data_len});
        break;
    default: break;
    }
    return 0;
}

static int on_begin_frame(nghttp2_session *nghttp2, const nghttp2_frame_hd *head, void *arg)
{
    struct h2_session *session = arg;

    (void)nghttp2;
    if (head->type == NGHTTP2_HEADERS || head->type == NGHTTP2_CONTINUATION)
        session->block_goes_on = (head->flags & NGHTTP2_FLAG_END_HEADERS) == 0;
    return 0;
}

/*
 * nghttp2 reads no field whose name or value is longer than 64 KiB, and calls it an error of compression. Such a one is
 * longer than a frame: an error in a block that goes on is taken for that.
 */
static void note_choking(struct h2_session *session, int32_t id, uint32_t code)
{
    if (code == NGHTTP2_COMPRESSION_ERROR && session->block_goes_on && id != session->reset_id)
        session->choked_id = id;
}

static int on_close(nghttp2_session *nghttp2, int32_t id, uint32_t code, void *arg)
{
    struct h2_session *session = arg;
    void *stream = h2_session_stream_of(session, id);

    (void)nghttp2;
    session->open -= session->open != 0;
    note_choking(session, id, code);
    if (stream == NULL)
        return 0;
    h2_session_forget(session, id);
    session->events->closed(session->user, stream, code,
                            code == NGHTTP2_NO_ERROR || code == NGHTTP2_REFUSED_STREAM ||
                                id == session->reset_id);
    return 0;
}

static void head_went(struct h2_session *session, int32_t id)
{
    void *stream = h2_session_stream_of(session, id);

    if (stream != NULL)
        session->events->went(session->user, stream);
}

/* Where nobody has asked for it, nghttp2 ends the connection, or a stream, because of what the peer does. */
static int on_sent(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *arg)
{
    struct h2_session *session = arg;

    (void)nghttp2;
    if (frame->hd.type == NGHTTP2_RST_STREAM && session->events->resets != NULL)
        session->events->resets(session->user);
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST &&
        session->side == H2_CLIENT)
        head_went(session, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR &&
        !session->says_goaway) {
        session->is_broken = true;
        note_choking(session, session->block_id, frame->goaway.error_code);
    }
    return 0;
}

/* ---- the session --------------------------------------------------------------------------------------- */

static void set_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
}

/* Resets of callers are counted elsewhere: nghttp2 would ask the clock at each. */
static void set_options(nghttp2_option *option)
{
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_outbound_ack(option, ACKS_MAX);
    nghttp2_option_set_stream_reset_rate_limit(option, UINT64_MAX, UINT64_MAX);
    nghttp2_option_set_max_send_header_block_length(option, HEAD_MAX);
}

static bool open_nghttp2(struct h2_session *session)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    int result = -1;

    if (nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&option) == 0) {
        set_callbacks(callbacks);
        set_options(option);
        result = session->side == H2_SERVER
                     ? nghttp2_session_server_new3(&session->nghttp2, callbacks, session, option, &h2_heap)
                     : nghttp2_session_client_new3(&session->nghttp2, callbacks, session, option, &h2_heap);
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return result == 0;
}

struct h2_session *h2_session_new(const struct h2_terms *terms)
{
    struct h2_session *session = mem_zalloc(sizeof(*session));

    if (session == NULL)
        return NULL;
    session->events = terms->events;
    session->user = terms->user;
    session->side = terms->side;
    session->max_streams = terms->max_streams;
    session->tunnels = terms->tunnels;
    session->has_frames = true; /* SETTINGS */
    if (open_nghttp2(session) && h2_settings_submit(session->nghttp2, terms))
        return session;
    h2_session_free(session);
    return NULL;
}

void h2_session_free(struct h2_session *session)
{
    if (session->nghttp2 != NULL)
        nghttp2_session_del(session->nghttp2);
    mem_free(session);
}

enum status h2_session_receive(struct h2_session *session, struct span bytes)
{
    ssize_t taken = nghttp2_session_mem_recv(session->nghttp2, (const uint8_t *)bytes.ptr, bytes.len);

    session->has_frames = true;
    if (taken == NGHTTP2_ERR_NOMEM)
        return ST_NOMEM;
    return taken < 0 || (size_t)taken != bytes.len ? ST_BAD : ST_OK;
}

/* The next frame that nghttp2 has, as it is to go. False: no memory. */
static bool serialize(struct h2_session *session)
{
    ssize_t made = nghttp2_session_mem_send(session->nghttp2, &session->frame);

    if (made < 0)
        return false;
    session->has_frames = made != 0;
    session->frame_len = (size_t)made;
    if (made != 0 && session->side == H2_SERVER)
        session->frame =
            h2_settings_told(session->frame, session->frame_len, session->max_streams, session->told);
    return true;
}

enum status h2_session_pull(struct h2_session *session, void *to, size_t cap, size_t *len)
{
    *len = 0;
    if (session->lacks_memory)
        return ST_NOMEM;
    while (*len < cap && session->has_frames) {
        size_t part;

        if (session->frame_len == 0) {
            if (!serialize(session))
                return ST_NOMEM;
            if (!session->has_frames)
                break;
        }
        part = session->frame_len < cap - *len ? session->frame_len : cap - *len;
        memcpy((char *)to + *len, session->frame, part);
        session->frame += part;
        session->frame_len -= part;
        *len += part;
    }
    return ST_OK;
}

bool h2_session_has_frames(const struct h2_session *session)
{
    return session->has_frames;
}

bool h2_session_is_broken(const struct h2_session *session)
{
    return session->is_broken;
}

bool h2_session_choked_on(const struct h2_session *session, int32_t id)
{
    return session->choked_id != 0 && session->choked_id == id;
}

bool h2_session_is_over(const struct h2_session *session)
{
    return session->frame_len == 0 && nghttp2_session_want_read(session->nghttp2) == 0 &&
           nghttp2_session_want_write(session->nghttp2) == 0;
}

uint32_t h2_session_parts(const struct h2_session *session)
{
    return session->parts;
}

size_t h2_session_queued(const struct h2_session *session)
{
    return nghttp2_session_get_outbound_queue_size(session->nghttp2);
}

uint32_t h2_session_peer_streams(const struct h2_session *session)
{
    uint32_t streams =
        nghttp2_session_get_remote_settings(session->nghttp2, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);

    return session->knows_peer || streams < 100 ? streams : 100;
}

bool h2_session_knows_peer(const struct h2_session *session)
{
    return session->knows_peer;
}
