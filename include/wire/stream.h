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
 * raw: no early answer; lost means that all that was to come is lost, too. A stream becomes such by stream_tunnel.
 *
 * The same words of a caller's stream (h1: wire/h1_caller): it is heard from its beginning, and begun until its head is
 * given; ended when the whole request has been shown; lost when the caller has left for good, which a half-close is
 * not.
 *
 * Threads: a stream, its connection and its user live on one loop.
 * Events: there is one, something has changed: of a caller's stream `ready`, of an upstream's what its connection says.
 * It comes from the loop; nothing below calls the user back.
 * Ownership: what peek shows is the stream's, and valid until take, or the next function of the stream; what is sent
 * is the user's, which offers again what was not taken. A request's head that was handed over lies with the user until
 * it is written; a response's is the stream's.
 * Back-pressure: peek receives nothing. As long as its data is not taken, nothing more is received (HTTP/1.1), and no
 * window is opened (HTTP/2).
 * Errors: what went wrong is a result and in `fault`; the user decides what becomes of the call.
 */
struct forward_own;
struct outgoing;
struct stream;

enum stream_result {
    STREAM_OK,
    STREAM_WAIT, /* not now: the next event says when */
    STREAM_LINE, /* head: it is a request's, whose first line is known; the rest has not come. At most once */
    STREAM_LOST, /* the peer has reset, closed early, or takes no more; see fault */
    STREAM_BAD,  /* the peer breaks its protocol, or a bound of ours; see fault */
    STREAM_NOMEM, /* no memory */
};

/* Interim responses before one response: more are a flood, and BAD. */
#define STREAM_INTERIMS_MAX 100

/* Why it is LOST or BAD. */
struct stream_fault {
    enum cause cause;
    bool closed;        /* the peer has closed or reset: LOST */
    bool refused;       /* likewise, and it has not processed the request (RFC 9113 8.7) */
    const char *detail; /* for people, static; NULL: nothing more to say */
    struct span odd;    /* of the peer's bytes, what is at fault; valid until the stream's next function */
};

/* Of a head of which only a part has come, or which is BAD: what can be told of it. */
struct stream_start {
    uint16_t code;         /* a response's */
    struct span method;    /* a request's; empty: not known */
    struct span target;    /* likewise */
    struct span grpc_type; /* a request's content type, if it is gRPC's; else empty */
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

    /*
     * What comes. OK: *head is the next one, an interim response's or the message's; valid until the next head. LINE:
     * of *head, what its first line says is set.
     */
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
    /* How the head begins that head() has not given: what is known of it is set. False: nothing is. */
    bool (*read_start)(struct stream *stream, struct stream_start *start);
    /* Is the whole message here, so that the connection is not needed any more? */
    bool (*has_all)(struct stream *stream);
    /* The rest of the message is not wanted: what has come of it is thrown away. `ended`: that was all. */
    void (*discard)(struct stream *stream);

    /*
     * What goes. A request's head, with a field that only this sending has (its name is empty: none): written in front
     * of what is sent next, in one write.
     */
    void (*send_head)(struct stream *stream, struct outgoing *request, struct span name, struct span value);
    /*
     * Likewise a response's: `head` as it came, or as we make it, and what we add. BAD: it can't be sent, see fault;
     * NOMEM. Nothing of both is needed behind it. An interim one goes to those that know such; a final one takes the
     * place of one before, as long as that is possible (`committed`).
     */
    enum stream_result (*send_response)(struct stream *stream, const struct http1_head *head,
                                        const struct forward_own *own);
    /*
     * The response's head that was given is not to be sent yet, and has to outlive this turn. False: no memory. NULL:
     * it does so anyway.
     */
    bool (*keep_response)(struct stream *stream);
    /* Nothing of the response's head that was kept so has gone, and nothing of it will. */
    void (*drop_response)(struct stream *stream);
    /*
     * OK: all has been taken, and with `last` the message is out. WAIT: *taken of the data has been. An empty piece,
     * not the last one, writes what is left of what was taken before.
     */
    enum stream_result (*send)(struct stream *stream, const struct stream_piece *piece, size_t *taken);

    /*
     * A 101 has been read, or given to be sent, or a 2xx to CONNECT: from now on content is bytes, in both directions
     * and until each side ends by itself (`last`). What has come behind the head is the first of it, and our end,
     * once it is sent, leaves the other direction open. NULL: there are none on such a connection.
     */
    void (*tunnel)(struct stream *stream);

    /*
     * The whole message is here, and the connection goes: nothing is received or sent any more; what has come can
     * still be taken. True: by all that has come, the connection may serve others.
     */
    bool (*let_go)(struct stream *stream);

    /*
     * A caller's, of which a final response's head has gone, and `carries_grpc`: it ends here, by these field lines,
     * and what was offered and not taken does not follow. WAIT: its own end is on its way already. LOST, NOMEM: it
     * can't be.
     */
    enum stream_result (*trail)(struct stream *stream, struct span trailers);

    /* A caller's stream. There is more to do than one turn should take: `ready` comes at its end. */
    void (*again)(struct stream *stream);
    /* Has it left, without an event that would tell? To be asked once a second or so. */
    bool (*is_gone)(struct stream *stream);
    /* The response is out, to its end: the connection goes on, or ends in order. The stream is the user's no more. */
    void (*finish)(struct stream *stream);
    /* Ends it so that what was sent can't be taken for complete. Likewise. */
    void (*cut)(struct stream *stream);
};

struct stream {
    const struct stream_ops *ops;
    void (*ready)(struct stream *stream); /* a caller's: something has changed, try again. The user's, */
    void *user;                           /* as is this */
    struct stream_fault fault;
    uint64_t received; /* bytes of content that were shown */
    int64_t moved_ns;  /* when a byte last moved, or we began to wait for the peer to take one */
    bool heard;
    bool begun;
    bool ended; /* its content has been shown to its end; a request without content: its head was given */
    bool blocked;
    bool sent;       /* a byte has gone */
    bool head_waits; /* of the heads that were given to be sent, a byte has not gone */
    bool lost : 1;
    /*
     * Lost, and the peer says that it has not processed the request (RFC 9113 8.7). Set by the user of a caller's
     * stream: its cut says so, where it can.
     */
    bool refused : 1;
    bool answered : 1;   /* to a caller: a byte of the final response's head has gone */
    bool committed : 1;  /* to a caller: what has gone, or is on its way, allows no other final response */
    bool persistent : 1; /* a caller's: another request may follow on its connection. The user may clear it */
    bool carries_grpc : 1; /* a caller's: trailers always reach it (HTTP/2) */
    bool paused : 1; /* set by the user: nothing was received for a while, as the other side was blocked */
    bool asks_to_tunnel : 1; /* a caller's, set by the user: what comes behind the head is no other request */
    bool wants_tunnel : 1;   /* a caller's: its request is none but for that (RFC 8441) */
    bool tunnels : 1;        /* see stream_tunnel */
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

static inline bool stream_read_start(struct stream *stream, struct stream_start *start)
{
    return stream->ops->read_start(stream, start);
}

static inline bool stream_has_all(struct stream *stream)
{
    return stream->ops->has_all(stream);
}

static inline void stream_discard(struct stream *stream)
{
    stream->ops->discard(stream);
}

static inline void stream_send_head(struct stream *stream, struct outgoing *request, struct span name,
                                    struct span value)
{
    stream->ops->send_head(stream, request, name, value);
}

static inline enum stream_result stream_send_response(struct stream *stream, const struct http1_head *head,
                                                      const struct forward_own *own)
{
    return stream->ops->send_response(stream, head, own);
}

static inline bool stream_keep_response(struct stream *stream)
{
    return stream->ops->keep_response == NULL || stream->ops->keep_response(stream);
}

static inline void stream_drop_response(struct stream *stream)
{
    stream->ops->drop_response(stream);
}

static inline enum stream_result stream_send(struct stream *stream, const struct stream_piece *piece,
                                             size_t *taken)
{
    return stream->ops->send(stream, piece, taken);
}

static inline enum stream_result stream_trail(struct stream *stream, struct span trailers)
{
    return stream->ops->trail(stream, trailers);
}

static inline void stream_tunnel(struct stream *stream)
{
    stream->ops->tunnel(stream);
}

static inline bool stream_let_go(struct stream *stream)
{
    return stream->ops->let_go(stream);
}

static inline void stream_again(struct stream *stream)
{
    stream->ops->again(stream);
}

static inline bool stream_is_gone(struct stream *stream)
{
    return stream->ops->is_gone(stream);
}

static inline void stream_finish(struct stream *stream)
{
    stream->ops->finish(stream);
}

static inline void stream_cut(struct stream *stream)
{
    stream->ops->cut(stream);
}

#endif
