#ifndef CURFEW_RUNTIME_TLS_H
#define CURFEW_RUNTIME_TLS_H

#include <stdbool.h>

#include "base/number.h"
#include "base/status.h"
#include "core/cause.h"
#include "core/tls_spec.h"
#include "runtime/tls_files.h"
#include "runtime/transport.h"

/*
 * TLS towards one upstream: a context made once from its tls_spec (trust, own certificate, versions), shared by all
 * loops and immutable; and for each loop the latest session, so that new connections resume it.
 */
struct tls_client;

/*
 * Loads the files, the authorities by way of `trust`, which need not outlive it. NULL: *fault says which one is wrong,
 * and in what way, or that there is no memory.
 */
struct tls_client *tls_client_new(const struct tls_spec *spec, uint32_t worker_count, struct tls_trust *trust,
                                  struct tls_fault *fault);

/* All its connections are gone by then: a ticket that came would have nowhere to go. */
void tls_client_free(struct tls_client *client);

/*
 * Puts a transport that has just connected under TLS as a client, with SNI, verification of chain and name, and, unless
 * told otherwise, the session of its loop, on whose thread this is. ST_NOMEM: the transport is as it was. What comes
 * with the handshake may be in the connection's own buffer once it is done: it has to be read before anything is waited
 * for.
 */
enum status tls_begin(struct tls_client *client, struct transport *transport, bool may_resume) MUST_CHECK;
/* After tls_begin: HTTP/1.1 is offered alone, whatever the spec says. False: no memory. */
bool tls_offer_http1(struct transport *transport) MUST_CHECK;

/* How a handshake failed. */
struct tls_failure {
    enum cause
        cause; /* TLS_CERTIFICATE, TLS_PROTOCOL (alerts, and a peer that closes or resets) or INTERNAL */
    bool was_resumption; /* an earlier session was offered, which may be what the peer can't bear */
    char why[160];       /* for people; terminated */
};

/*
 * One more step of the handshake. ST_OK: done. ST_AGAIN: when the socket is ready. ST_FAILED: *failure is set. In
 * TLS 1.3 a peer that refuses our own certificate says so only after the handshake, to the first read.
 *
 * Some servers end each handshake that would resume a session, with an alert, a close or a reset, and take every other
 * one. So after `was_resumption` the same address deserves a new connection at once, which may not resume: nothing has
 * been sent. If that is accepted, this loop offers this upstream no session for TLS_SHUN_NS.
 */
#define TLS_SHUN_NS (600 * NS_PER_S)
enum status tls_handshake(struct transport *transport, struct tls_failure *failure) MUST_CHECK;

/* After it: has the peer chosen HTTP/2 (ALPN)? */
bool tls_speaks_http2(const struct transport *transport);

#endif
