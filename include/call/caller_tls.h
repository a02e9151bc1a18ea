#ifndef CURFEW_CALL_CALLER_TLS_H
#define CURFEW_CALL_CALLER_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/status.h"
#include "runtime/handshakes.h"
#include "runtime/tls_server.h"
#include "runtime/transport.h"

struct call_context;
struct downstream;

/*
 * TLS of one caller's connection, from its acceptance on; a plain one has none. A handshake is no call: it has a limit
 * and a counter of its own, and no deadline runs.
 */
struct caller_tls {
    struct tls_server *server; /* under which the connection came */
    void *owner;
    struct handshake handshake;
    char *name; /* the first one in the caller's certificate; NULL: it has shown none */
    bool in_handshake;
};

/* Where the handshake is made, for answers and lines about it. */
struct caller_tls_place {
    struct call_context *context;
    const struct downstream *downstream;
    const char *upstream;
    struct span caller; /* its IP address; empty: a unix socket's */
};

/* `step` wants caller_tls_step; it is called after handshakes_wait. NULL: no memory. */
struct caller_tls *caller_tls_new(struct tls_server *server, void *owner,
                                  void (*step)(struct handshake *handshake));

/* After the transport was closed; `tls` may be NULL. Its memory is the owner's to free, not within a step. */
void caller_tls_fini(struct caller_tls *tls);

/*
 * One step. ST_OK: done, reading comes next. ST_AGAIN: when the socket is ready. ST_FAILED: it was counted and written
 * down, and the caller was told as well as may be: what it still sends is thrown away, on a plain transport. ST_NOMEM:
 * close it.
 */
enum status caller_tls_step(struct caller_tls *tls, struct transport *transport,
                            const struct caller_tls_place *place) MUST_CHECK;

/* The line for the access log, of which there is one, of a request that came in plain HTTP (call/call_log.c). */
void call_log_plain_request(const struct caller_tls_place *place, uint64_t id, const char *why);

/* limits.handshake_timeout has passed. */
void caller_tls_is_late(const struct caller_tls *tls, const struct transport *transport,
                        const struct caller_tls_place *place);

/* Would the connection be let in by `server` too? If not, it is to end soon. `tls` may be NULL. */
static inline bool caller_tls_is_trusted_by(const struct caller_tls *tls, const struct tls_server *server)
{
    return tls_server_trusts_as(tls != NULL ? tls->server : NULL, server);
}

#endif
