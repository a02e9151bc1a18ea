#ifndef CURFEW_CALL_DOWNSTREAM_H
#define CURFEW_CALL_DOWNSTREAM_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/span.h"
#include "base/text.h"
#include "call/caller_tls.h"
#include "runtime/listen.h"
#include "runtime/loop.h"
#include "wire/h1_caller.h"

struct call_context;
struct call_terms;
struct caller_age;
struct caller_user;
struct h2_caller;
struct downstream;
struct listener;
struct stream;
struct upstream;
struct upstream_config;

/*
 * Makes the call for a request of which the first byte has come; the stream is its. False: no memory.
 */
typedef bool (*downstream_begin_fn)(struct downstream *downstream, struct stream *stream, int64_t now_ns);

/* A listening socket as one worker sees it. */
struct listener_worker {
    struct acceptor acceptor;
    struct list_node node; /* in worker.listeners */
    struct call_context *context;
    downstream_begin_fn begin;
    const struct listener *listener;
    struct call_terms *terms;               /* the generation's in force, */
    const struct upstream_config *upstream; /* likewise */
    struct tls_server *tls;                 /* likewise; NULL: callers speak plain HTTP */
};

/*
 * A caller's connection, and where its requests go. It makes a call for each, whose stream is the connection's.
 */
struct downstream {
    struct h1_caller h1;
    struct h2_caller *h2;   /* once it has said that it speaks HTTP/2; else NULL */
    struct caller_tls *tls; /* NULL: it speaks plain HTTP */
    struct caller_age *age; /* NULL: it may become as old as it likes */
    union {
        struct list_node node;              /* in context.downstreams */
        struct deferred_free deferred_free; /* of one that is closed */
    };
    struct call_context *context;
    struct listener_worker *listener;       /* NULL: that is gone */
    struct call_terms *terms;               /* what the next call begins under, */
    const struct upstream_config *upstream; /* likewise */
    downstream_begin_fn begin;
    /* An idle connection that authenticates this caller and serves nobody else; or NULL. */
    struct upstream *reserved;
    uint16_t caller_port;
    uint8_t caller_len;
    char caller[]; /* the caller's IP address; empty for a unix socket */
};

/* What a caller's connection says of itself. */
extern const struct caller_user downstream_user;

/* An acceptor's function: the acceptor is that of a listener_worker. */
uint32_t downstream_counts(const struct acceptor *acceptor, uint32_t *own, uint32_t *all);
void downstream_accepted(struct acceptor *acceptor, int fd, const struct sockaddr *peer);

/* Its caller's end has a certificate that was asked for, and named itself by it: NULL if not. */
static inline const char *downstream_caller_name(const struct downstream *downstream)
{
    return downstream->tls != NULL ? downstream->tls->name : NULL;
}

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

/*
 * The connection is to end soon, and no request on it is to go without an answer: the call in flight, or the next one
 * if it comes within a moment, is the last, and its response says so if that can still be said. No call ends by it.
 */
void downstream_wind_down(struct downstream *downstream);

/* Closes at once. Its calls are over. */
void downstream_close(struct downstream *downstream);

#endif
