#ifndef CURFEW_FAULTY_CONN_H
#define CURFEW_FAULTY_CONN_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "faulty/behaviour.h"
#include "faulty/content.h"
#include "faulty/server.h"
#include "faulty/transport.h"

enum faulty_conn_state {
    FAULTY_CONN_PROXY, /* --proxy: waiting for a CONNECT */
    FAULTY_CONN_HANDSHAKE,
    FAULTY_CONN_STALLED,  /* --tls-stall: reads, never answers */
    FAULTY_CONN_HEAD,     /* waiting for a request, or for the rest of its head */
    FAULTY_CONN_EXCHANGE, /* a request is being read or answered */
    FAULTY_CONN_LINGER,   /* answered and closing: discards what the peer still sends, so that no RST
                             destroys the answer (RFC 9112 9.6) */
    FAULTY_CONN_GONE,     /* freed at the end of the step */
};

/* Generated content that is still to be sent: the repeating pattern of /bytes. */
struct faulty_source {
    uint64_t left;
    uint64_t offset; /* of the next byte */
    bool chunked;
    bool cut;             /* without a last chunk */
    const char *trailers; /* field lines after the last chunk; NULL: none */
};

/*
 * One connection and the request on it. Behaviours use the functions below and the fields that are said to be
 * theirs; they never free, and a connection that is to go is gone only when the step that it is in is over.
 */
struct faulty_conn {
    struct faulty_server *server;
    struct list_node link;
    struct faulty_transport transport;
    struct event io;
    struct event timer;
    struct evbuffer *in;
    struct evbuffer *out;
    enum faulty_conn_state state;
    bool eof;
    bool reset; /* when gone: by RST */

    /* The request in work. */
    const struct faulty_behaviour *behaviour;
    struct faulty_args args;
    struct faulty_content content;
    struct faulty_work_item work;
    bool ended;    /* all of the response has been queued */
    bool answered; /* and written */

    /* For behaviours to read and set. */
    int minor;          /* of the request's HTTP version */
    int reply_minor;    /* of the response's: 1, unless a behaviour says otherwise */
    bool head;          /* a HEAD request */
    bool post;          /* a POST request */
    bool close;         /* close after the response */
    uint64_t allowance; /* how many bytes of the content may be read now; UINT64_MAX: no limit */
    struct faulty_source source;
    struct evbuffer *kept; /* freed with the request */
    uint64_t count;
    uint32_t crc;
};

/* Queues bytes for the peer. */
void faulty_conn_put(struct faulty_conn *c, const void *bytes, size_t len);

/* All of the response has been queued; content of the source may still follow. */
void faulty_conn_end(struct faulty_conn *c);

/* Ends the connection with a RST, now. */
void faulty_conn_reset(struct faulty_conn *c);

/* Ends the sending side, and the connection when the peer has ended its own, or a second later. */
void faulty_conn_linger(struct faulty_conn *c);

/* From now on the behaviour's tick is called every `period_us`, until it stops it or the request is over. */
void faulty_conn_tick_every(struct faulty_conn *c, uint64_t period_us);
void faulty_conn_tick_stop(struct faulty_conn *c);

#endif
