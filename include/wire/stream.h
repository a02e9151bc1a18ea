#ifndef CURFEW_WIRE_STREAM_H
#define CURFEW_WIRE_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "core/cause.h"
#include "http/http1.h"

/*
 * One request and its response on one connection (RFC 9113 5), seen from the side that relays it. What the protocol is,
 * how a message ends, and what an edge-triggered socket asks of its reader is the business of those who implement it;
 * whoever uses a stream knows heads, pieces of content, and the flags below.
 *
 *            h1 (wire/h1_exchange)           h2 (RFC 9113)                      raw bytes (a tunnel)
 * heard      a byte has come on the          a frame of the stream has          a byte has come
 *            connection since it is ours
 * begun      a part of the head that is      HEADERS have begun (a              the same as heard: there is
 *            due is there; not of content    CONTINUATION is due)               no head
 * ended      the length or last chunk has    END_STREAM has come                the peer's FIN has come
 *            come, or the end of what lasts
 *            until the connection's end
 * blocked    the socket took less than was   the window or the connection's     the socket took less than was
 *            offered                         block is full                      offered
 * lost       a write was refused: the peer   RST_STREAM has come, or the        a write was refused
 *            has ended or reset              connection is gone
 *
 * begun, not ended, not lost      h1: the response's idle time runs      h2: the same
 * heard, not begun, not ended     h1: only 1xx have come, or content     h2: the same
 *                                     is under way
 * lost, not heard                 h1: what was sent may have been cut    h2: REFUSED_STREAM says that it was not
 *                                     off by a stale connection              looked at; else as h1
 * lost, heard, not ended          h1: the answer may lie in the socket:  h2: END_STREAM may have come before
 *                                     receive until that says LOST           RST_STREAM(NO_ERROR): as h1
 * lost, ended                     h1: an early answer, then the close:   h2: an early answer; the rest of the
 *                                     good, but the connection is not        request is not wanted
 * blocked, not heard              h1: the peer's time to read runs       h2: the same, or it opens no window
 * blocked, ended                  h1: the answer is early, the request   h2: RST_STREAM(NO_ERROR) is to follow
 *                                     goes no further
 * raw: no head and no early answer; lost means that all that was to come is lost, too.
 *
 * Threads: a stream, its connection and its user live on one loop.
 * Events: its connection tells the user that something has changed; nothing below calls the user back.
 * Ownership: what peek shows is the stream's, and valid until take, or the next function of the stream; what is sent
 * is the user's, which offers again what was not taken. A head that was handed over lies with the user until it is
 * written.
 * Back-pressure: peek receives nothing. As long as its data is not taken, nothing more is received (HTTP/1.1), and no
 * window is opened (HTTP/2).
 * Errors: what went wrong is a result and in `fault`; the user decides what becomes of the call.
 */
struct stream;

enum stream_result {
    STREAM_OK,
    STREAM_WAIT,  /* not now: the connection's next event says when */
    STREAM_LOST,  /* the peer has reset, closed early, or takes no more; see fault */
    STREAM_BAD,   /* the peer breaks its protocol, or a bound of ours; see fault */
    STREAM_NOMEM, /* no memory */
};

/* Why it is LOST or BAD. */
struct stream_fault {
    enum cause cause;
    const char *detail; /* for people, static; NULL: nothing more to say */
    struct span odd;    /* of the peer's bytes, what is at fault; valid until the stream's next function */
};

/* Content. */
struct stream_piece {
    struct span data;
    bool last;            /* no content follows */
    struct span trailers; /* field lines; only with `last`, the first time that it is shown */
};

/* Per block of content, never per byte. */
struct stream_ops {
    const char *protocol;

    /* What comes. OK: *head is the next one, an interim response's or the message's; valid until the next head. */
    enum stream_result (*head)(struct stream *stream, struct http1_head **head);
    /*
     * The content that is there: OK, with some, or with `last`. WAIT: none, receive. `is_first`: nothing of the
     * message has gone on yet, so all that is there is looked at, and what is broken is BAD before the next peer gets
     * a beginning.
     */
    enum stream_result (*peek)(struct stream *stream, bool is_first, struct stream_piece *piece);
    void (*take)(struct stream *stream, size_t len);
    /*
     * Has the connection give more. OK: something has changed, look again; a message that lasts until the
     * connection's end may have ended by it.
     */
    enum stream_result (*receive)(struct stream *stream);
    /* Of a head of which only a part is there, or which is BAD: its status code. False: not known. */
    bool (*read_code)(struct stream *stream, uint16_t *code);
    /* Is the whole message here, so that the connection is not needed any more? */
    bool (*has_all)(struct stream *stream);

    /* What goes. Written in front of what is sent next, in one write; `framing`: of its content, over HTTP/1.1. */
    void (*send_head)(struct stream *stream, struct span head, enum http1_framing framing);
    /*
     * OK: all has been taken, and with `last` the message is out. WAIT: *taken of the data has been. An empty piece,
     * not the last one, writes what is left of what was taken before.
     */
    enum stream_result (*send)(struct stream *stream, const struct stream_piece *piece, size_t *taken);

    /*
     * The whole message is here, and the connection goes: nothing is received or sent any more; what has come can
     * still be taken. True: by all that has come, the connection may serve others.
     */
    bool (*let_go)(struct stream *stream);
};

struct stream {
    const struct stream_ops *ops;
    struct stream_fault fault;
    uint64_t received; /* bytes of content that were shown */
    int64_t moved_ns;  /* when a byte last moved, or we began to wait for the peer to take one */
    bool heard;
    bool begun;
    bool blocked;
    bool lost;
    bool sent;       /* a byte has gone */
    bool head_waits; /* of the head that was given to send_head, a byte has not */
    bool paused;     /* set by the user: nothing was received for a while, as the other side was blocked */
};

static inline enum stream_result stream_head(struct stream *stream, struct http1_head **head)
{
    return stream->ops->head(stream, head);
}

static inline enum stream_result stream_peek(struct stream *stream, bool is_first, struct stream_piece *piece)
{
    return stream->ops->peek(stream, is_first, piece);
}

static inline void stream_take(struct stream *stream, size_t len)
{
    stream->ops->take(stream, len);
}

static inline enum stream_result stream_receive(struct stream *stream)
{
    return stream->ops->receive(stream);
}

static inline bool stream_read_code(struct stream *stream, uint16_t *code)
{
    return stream->ops->read_code(stream, code);
}

static inline bool stream_has_all(struct stream *stream)
{
    return stream->ops->has_all(stream);
}

static inline void stream_send_head(struct stream *stream, struct span head, enum http1_framing framing)
{
    stream->ops->send_head(stream, head, framing);
}

static inline enum stream_result stream_send(struct stream *stream, const struct stream_piece *piece,
                                             size_t *taken)
{
    return stream->ops->send(stream, piece, taken);
}

static inline bool stream_let_go(struct stream *stream)
{
    return stream->ops->let_go(stream);
}

#endif
