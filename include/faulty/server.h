#ifndef CURFEW_FAULTY_SERVER_H
#define CURFEW_FAULTY_SERVER_H

#include <event2/event.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/span.h"
#include "faulty/attempts.h"
#include "faulty/work.h"

struct faulty_transport;

/* What GET /stats says. Bytes are those of HTTP: without what TLS adds. */
struct faulty_stats {
    uint64_t open;              /* connections now */
    uint64_t connections_total; /* accepted */
    uint64_t requests_total;    /* heads read; /stats itself is left out of this and of all below */
    uint64_t responses_total;   /* written completely */
    uint64_t gone_total;        /* requests whose connection ended while they were in work */
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t tls_handshakes_total; /* completed */
    uint64_t tls_resumed_total;    /* of these, with a session from before */
    uint64_t tls_failures_total;
};

/* How a server that takes HTTP/2 speaks it. */
struct faulty_h2_options {
    bool no_settings, no_pongs; /* that are never sent */
    uint32_t streams, window;   /* told in SETTINGS */
    uint64_t goaway;            /* after so many requests of a connection; 0: never */
};

/* The process's one server: what all its connections share. */
struct faulty_server {
    struct event_base *base;
    SSL_CTX *tls; /* NULL: plain HTTP */
    bool tls_stall;
    unsigned proxy;           /* the status that a CONNECT gets before all else; 0: none is expected */
    const char *proxy_behind; /* what comes right behind it */
    struct faulty_h2_options h2;
    /* Takes over a connection that begins with HTTP/2's preface; NULL: HTTP/1.1 is all that is spoken. */
    void (*speak_h2)(struct faulty_server *server, const struct faulty_transport *transport,
                     struct span received);
    uint64_t seed;        /* of /flaky */
    uint64_t flaky_count; /* requests to /flaky since the start, or since POST /stats/reset */
    uint64_t flaky_failures;
    struct faulty_attempts attempts; /* of /seq */
    uint64_t flap_began_ms;          /* 0: there was no request to /flap */
    struct faulty_stats stats;
    struct faulty_work work; /* heads read whose response is not written completely, on live connections */
    struct list_node conns;
    struct list_node h2s; /* struct faulty_h2.link */
    struct list_node listeners;
};

#endif
