/* What goes: heads, content, trailers, and frames of the connection. */
#include "base/invariant.h"
#include "wire/h2_list.h"
#include "wire/h2_session.h"
#include "wire/h2_session_own.h"

static ssize_t give(nghttp2_session *nghttp2, int32_t id, uint8_t *to, size_t cap, uint32_t *flags,
                    nghttp2_data_source *source, void *arg)
{
    struct h2_session *session = arg;
    void *stream = h2_session_stream_of(session, id);
    bool end = false;
    size_t given;

    (void)nghttp2;
    (void)source;
    if (stream == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    session->in_give = true;
    session->ended_by_trailers = false;
    given = session->events->give(session->user, stream, to, cap, &end);
    session->in_give = false;
    POST(given <= cap);
    if (end)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (session->ended_by_trailers)
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    return given == 0 && *flags == 0 ? NGHTTP2_ERR_DEFERRED : (ssize_t)given;
}

static const nghttp2_data_provider provider = {.read_callback = give};

/* The list has been submitted, with this result. */
static enum status submitted(struct h2_session *session, struct h2_list *list, int result)
{
    session->has_frames = true;
    h2_list_free(list);
    if (result == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE)
        return ST_LIMIT;
    return result < 0 ? ST_NOMEM : ST_OK;
}

enum status h2_session_request(struct h2_session *session, const struct h2_field *fields, size_t count,
                               bool end, void *stream, int32_t *id)
{
    struct h2_list list;

    PRE(session->side == H2_CLIENT && stream != NULL);
    *id = NGHTTP2_ERR_NOMEM;
    if (h2_list_make(&list, fields, count))
        *id = nghttp2_submit_request(session->nghttp2, NULL, list.fields, count, end ? NULL : &provider,
                                     stream);
    return submitted(session, &list, *id);
}

enum status h2_session_respond(struct h2_session *session, int32_t id, const struct h2_field *fields,
                               size_t count, bool end)
{
    int result = NGHTTP2_ERR_NOMEM;
    struct h2_list list;

    PRE(session->side == H2_SERVER);
    if (h2_list_make(&list, fields, count))
        result = nghttp2_submit_response(session->nghttp2, id, list.fields, count, end ? NULL : &provider);
    return submitted(session, &list, result);
}

enum status h2_session_interim(struct h2_session *session, int32_t id, const struct h2_field *fields,
                               size_t count)
{
    int result = NGHTTP2_ERR_NOMEM;
    struct h2_list list;

    PRE(session->side == H2_SERVER);
    if (h2_list_make(&list, fields, count))
        result =
            nghttp2_submit_headers(session->nghttp2, NGHTTP2_FLAG_NONE, id, NULL, list.fields, count, NULL);
    return submitted(session, &list, result);
}

enum status h2_session_trailers(struct h2_session *session, int32_t id, const struct h2_field *fields,
                                size_t count)
{
    int result = NGHTTP2_ERR_NOMEM;
    enum status status;
    struct h2_list list;

    if (h2_list_make(&list, fields, count))
        result = nghttp2_submit_trailer(session->nghttp2, id, list.fields, count);
    status = submitted(session, &list, result);
    session->ended_by_trailers |= session->in_give && status == ST_OK;
    return status;
}

void h2_session_resume(struct h2_session *session, int32_t id)
{
    h2_session_note(session, nghttp2_session_resume_data(session->nghttp2, id));
}

void h2_session_consume(struct h2_session *session, int32_t id, size_t len)
{
    h2_session_note(session, nghttp2_session_consume_stream(session->nghttp2, id, len));
}

void h2_session_reset(struct h2_session *session, int32_t id, enum h2_code code)
{
    h2_session_note(session, nghttp2_submit_rst_stream(session->nghttp2, NGHTTP2_FLAG_NONE, id, code));
}

void h2_session_allow(struct h2_session *session, uint32_t max_streams, bool tunnels)
{
    PRE(session->side == H2_SERVER);
    if (max_streams <= session->max_streams && tunnels <= session->tunnels)
        return;
    if (max_streams > session->max_streams)
        session->max_streams = max_streams;
    session->tunnels |= tunnels;
    h2_session_note(session, h2_settings_renew(session->nghttp2, session->max_streams, session->tunnels));
}

void h2_session_shut(struct h2_session *session)
{
    PRE(session->side == H2_SERVER);
    h2_session_note(session, nghttp2_submit_shutdown_notice(session->nghttp2));
}

void h2_session_goaway(struct h2_session *session, enum h2_code code)
{
    session->says_goaway = true;
    h2_session_note(session, nghttp2_submit_goaway(session->nghttp2, NGHTTP2_FLAG_NONE,
                                                   nghttp2_session_get_last_proc_stream_id(session->nghttp2),
                                                   code, NULL, 0));
}

void h2_session_ping(struct h2_session *session)
{
    h2_session_note(session, nghttp2_submit_ping(session->nghttp2, NGHTTP2_FLAG_NONE, NULL));
}

uint32_t h2_session_pongs(const struct h2_session *session)
{
    return session->pongs;
}
