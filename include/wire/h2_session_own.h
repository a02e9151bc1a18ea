#ifndef CURFEW_WIRE_H2_SESSION_OWN_H
#define CURFEW_WIRE_H2_SESSION_OWN_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/h2_settings.h"
#include "wire/h2_terms.h"

/* What a session is, for wire/h2_session*.c alone. */
struct h2_session {
    nghttp2_session *nghttp2;
    const struct h2_events *events;
    void *user;
    enum h2_side side;
    bool knows_peer;
    bool ended_by_trailers; /* within give: h2_session_trailers was called */
    bool in_give;
    int32_t reset_id;  /* whose RST_STREAM came last */
    bool lacks_memory; /* for something that was to be sent: the connection is of no use any more */
    bool says_goaway;  /* by h2_session_goaway */
    bool is_broken;
    uint32_t pongs;
    uint32_t parts;       /* of messages, that have come */
    int32_t block_id;     /* whose header block comes, */
    void *block_stream;   /* and what is its user's: for each field it would be looked up */
    bool has_frames;      /* nghttp2 may have some: something has come, or was submitted, since it had none */
    const uint8_t *frame; /* what has been serialized and not been pulled */
    size_t frame_len;
    uint32_t open, max_streams; /* the peer's streams, and as many as it may have */
    int32_t choked_id;          /* the stream whose head holds a field that is too long for nghttp2 */
    bool block_goes_on;         /* in frames that are yet to come */
    bool tunnels;               /* the peer may ask for */
    /* The frame as the peer is to have it, where that is not what nghttp2 has serialized. */
    uint8_t told[H2_SETTINGS_MAX];
};

/* What nghttp2 can't do for want of memory, the next pull says. Any other failure is of a stream that has gone. */
static inline void h2_session_note(struct h2_session *session, int result)
{
    session->has_frames = true;
    session->lacks_memory |= result == NGHTTP2_ERR_NOMEM;
}

/* The user's; NULL: it has gone, or was never told. */
static inline void *h2_session_stream_of(const struct h2_session *session, int32_t id)
{
    return id == 0 ? NULL : nghttp2_session_get_stream_user_data(session->nghttp2, id);
}

#endif
