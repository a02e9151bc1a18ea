#ifndef CURFEW_FAULTY_H2_H
#define CURFEW_FAULTY_H2_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/span.h"
#include "faulty/conn.h"
#include "faulty/pipe.h"
#include "faulty/server.h"
#include "faulty/transport.h"
#include "http/http1.h"
#include "wire/h2_session.h"

/* Which frames are left out of what is sent, whatever the session says. */
struct faulty_frames {
    bool no_settings, no_pongs;
    uint8_t head[9]; /* of the frame at hand, as far as it has come */
    uint32_t head_len;
    uint32_t left; /* of its payload */
    bool drops;
};

/*
 * A connection over HTTP/2. Each of its streams is a request to a faulty_conn of its own, which knows HTTP/1.1 alone:
 * so every path does over HTTP/2 what it does over HTTP/1.1.
 */
struct faulty_h2 {
    struct faulty_server *server;
    struct list_node link; /* in server.h2s */
    struct faulty_transport transport;
    struct event io;
    struct h2_session *session;
    struct faulty_frames frames;
    struct evbuffer *out;
    struct list_node streams; /* struct faulty_h2_stream.link */
    uint64_t requests;
    bool deaf; /* reads nothing any more */
    bool ends; /* goes when all is written */
};

/* Takes the connection over, of which these bytes have been read. Without memory it is closed. */
void faulty_h2_start(struct faulty_server *server, const struct faulty_transport *transport,
                     struct span received);

void faulty_h2_close_all(struct faulty_server *server);

/* A frame that the session knows nothing of, behind all that it has to say so far. */
void faulty_h2_put(struct faulty_h2 *h2, const void *bytes, size_t len);

/* A turn is due: something has changed. */
void faulty_h2_wake(struct faulty_h2 *h2);

/* ---- Within faulty/h2*.c ---- */

/* A stream: a request in HTTP/1.1's form goes up its pipe, and a response comes down. */
struct faulty_h2_stream {
    struct faulty_pipe pipe;
    struct list_node link;    /* in h2.streams */
    struct faulty_h2 *h2;     /* NULL: it is gone */
    struct faulty_conn *conn; /* NULL: it has not begun, or is gone */
    int32_t id;
    /* The request. */
    char *method, *path, *authority; /* heap */
    struct evbuffer *fields;
    bool head_is_done, has_host, is_chunked, has_ended;
    size_t owed; /* bytes of content whose window is to be given back when they are read */
    /* The response. */
    struct evbuffer *body;
    char *trailers; /* heap; NULL: none */
    struct http1_content content;
    bool responds, is_whole, end_given, closed;
    enum h2_code code; /* of the reset, if it ends early */
};

extern const struct h2_events faulty_h2_events;

/* What its API has done goes on, as far as there is room. */
void faulty_h2_stream_step(struct faulty_h2_stream *stream);

/* The connection is gone. */
void faulty_h2_stream_lose(struct faulty_h2_stream *stream);

/* The stream that a request came by; NULL: none, it is HTTP/1.1. */
struct faulty_h2_stream *faulty_h2_stream_of(const struct faulty_conn *c);

#endif
