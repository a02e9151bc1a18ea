#ifndef CURFEW_CALL_DOWNSTREAM_H
#define CURFEW_CALL_DOWNSTREAM_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/span.h"
#include "base/text.h"
#include "call/caller_tls.h"
#include "http/http1.h"
#include "core/timer.h"
#include "runtime/buffer.h"
#include "runtime/listen.h"
#include "runtime/transport.h"
#include "runtime/loop.h"

struct call;
struct call_terms;
struct downstream;
struct listener;
struct call_context;
struct upstream;

/*
 * What becomes of a caller's requests: what whoever serves them hears of it, from the loop. Each may end the request,
 * and the connection with it.
 */
struct downstream_events {
    /* The first byte of a request has come: makes the call for it. NULL: no memory, and the connection is closed. */
    struct call *(*begin)(struct downstream *downstream, int64_t now_ns);
    /* The request line is there, and the rest is not. */
    void (*line)(struct call *call, const struct http1_head *line);
    void (*head)(struct call *call, const struct http1_head *head);
    /* None will come, or none that is sound. */
    void (*no_head)(struct call *call, enum cause cause, const char *detail);
    /* After the head: there may be more to read, or room to write. */
    void (*ready)(struct call *call);
    /* The connection is to end soon. */
    void (*wind_down)(struct call *call);
};

/* A listening socket as one worker sees it. */
struct listener_worker {
    struct acceptor acceptor;
    struct list_node node; /* in worker.listeners */
    struct call_context *context;
    const struct downstream_events *events;
    const struct listener *listener;
    struct call_terms *terms;               /* the generation's in force, */
    const struct upstream_config *upstream; /* likewise */
    struct tls_server *tls;                 /* likewise; NULL: callers speak plain HTTP */
};

/*
 * A caller's connection: reads request heads and hands them to a call, one after another. While a call runs, the
 * connection's bytes are the call's business; when it is over, the connection goes on with the next request, is
 * closed, or lingers (RFC 9112 9.6): our side is ended, and what the caller still sends is thrown away for a
 * moment, so that a reset does not destroy the answer on its way.
 */
struct downstream {
    struct transport transport;
    struct caller_tls tls;
    struct deferred_free deferred_free;
    struct list_node node; /* in context.downstreams */
    struct mail resume;    /* see downstream_resume_later */
    struct call_context *context;
    struct listener_worker *listener;       /* NULL: that is gone */
    struct call_terms *terms;               /* what the next call begins under, */
    const struct upstream_config *upstream; /* likewise */
    const struct downstream_events *events;
    struct call *call; /* NULL between requests */
    bool in_head;      /* of a request that has begun */
    struct upstream
        *reserved; /* an idle connection that authenticates this caller and serves nobody else; or NULL */
    struct timer timer; /* handshake; idle between requests; linger */
    struct buffer in;
    struct http1_scan scan;
    bool lingering;
    bool winding_down; /* is closed after the next response at the latest */
    uint8_t caller_len;
    uint16_t caller_port;
    char caller[INET6_ADDRSTRLEN]; /* the caller's IP address; empty for a unix socket */
};

/* An acceptor's function: the acceptor is that of a listener_worker. */
void downstream_accepted(struct acceptor *acceptor, int fd, const struct sockaddr *peer);

static inline struct span downstream_caller(const struct downstream *downstream)
{
    return (struct span){downstream->caller, downstream->caller_len};
}

/* "127.0.0.1:40312", "[::1]:40312" or "unix". */
void downstream_put_caller(struct text *out, const struct downstream *downstream);

/* The address that the caller has connected to, likewise; nothing for a unix socket, or one that has gone. */
void downstream_put_listener(struct text *out, const struct downstream *downstream);

/*
 * Its next call begins under these terms; if they have other callers in mind than those under which this one came, by
 * the authorities and names of `tls`, that call is the last.
 */
void downstream_set_terms(struct downstream *downstream, struct call_terms *terms,
                          const struct upstream_config *upstream, const struct tls_server *tls);

/* What becomes of the connection when its call is over. */
enum downstream_next {
    DOWNSTREAM_KEEP,   /* read the next request */
    DOWNSTREAM_CLOSE,  /* everything was said and heard */
    DOWNSTREAM_LINGER, /* all is said, but the caller may still be talking */
    DOWNSTREAM_RESET,  /* so that what was sent can't be taken for complete */
};
void downstream_call_over(struct downstream *downstream, enum downstream_next next);

/* There is more to do than one turn should take: go on at its end. */
void downstream_resume_later(struct downstream *downstream);

/*
 * The connection is to end soon, and no request on it is to go without an answer: the call in flight, or the next one
 * if it comes within a moment, is the last, and its response says so if that can still be said. No call ends by it.
 */
void downstream_wind_down(struct downstream *downstream);

/* Closes at once. A call must be over. */
void downstream_destroy(struct downstream *downstream);

#endif
