#ifndef CURFEW_RUNTIME_TLS_SERVER_H
#define CURFEW_RUNTIME_TLS_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"
#include "core/handshake_failure.h"
#include "core/tls_spec.h"
#include "runtime/tls_files.h"
#include "runtime/transport.h"

/*
 * TLS towards callers: a context made once from a tls_server_spec (certificate, whom to trust, versions), immutable and
 * shared by all loops. Connections keep the one under which they came, whatever is loaded anew meanwhile; so it is
 * counted who has it.
 *
 * Sessions. Without certificates of callers, a caller may resume one by a ticket that this context has written; none is
 * kept here. With them there are neither tickets nor sessions: a resumed session is not verified again, and would
 * outlive the authority that vouched for it.
 *
 * Protocols (ALPN): HTTP/1.1. A caller that offers others alone is refused, as RFC 7301 wants it; one that offers
 * nothing is taken to speak HTTP/1. The name that is asked for (SNI) is not looked at.
 */
/* What OpenSSL takes for a connection at most, which is in its handshake. */
#define TLS_SERVER_CONNECTION_BYTES (56 * 1024)

struct tls_server;

/* Loads the files. NULL: *fault says which one is wrong, and in what way, or that there is no memory. */
struct tls_server *tls_server_new(const struct tls_server_spec *spec, uint32_t worker_count,
                                  struct tls_fault *fault);

/* Any thread. A connection releases it after its transport was closed; the last one to do so frees it. */
struct tls_server *tls_server_acquire(struct tls_server *server);
void tls_server_release(struct tls_server *server);

/*
 * Do both take the same callers: is the content of the authorities' file the same, and are the names? NULL is a
 * listener without TLS, which takes anybody.
 */
bool tls_server_trusts_as(const struct tls_server *a, const struct tls_server *b);

struct tls_server_failure {
    enum handshake_failure reason;
    bool is_silent; /* it has not sent a byte */
    bool is_http;   /* it is a request of plain HTTP; the transport is plain */
    char why[160];  /* for people; terminated */
};

/*
 * One step of the handshake on a plain transport that was just accepted, and from then on is under TLS. ST_OK: done;
 * bytes that came with its end raise no event, so reading is tried first. ST_AGAIN: when the socket is ready.
 * ST_FAILED: *failure says why, the peer was told by an alert, and the transport is plain again: what it still sends is
 * of no use. ST_NOMEM: close it.
 *
 * Nothing of TLS is made before the first byte is there: a silent connection costs no more than a plain one.
 */
enum status tls_server_handshake(struct tls_server *server, struct transport *transport,
                                 struct tls_server_failure *failure) MUST_CHECK;

/*
 * Puts the first name in the caller's certificate: of its subjectAltName, a DNS name, a URI or an e-mail address.
 * Nothing if it has shown none, or one without such a name.
 */
#define TLS_SERVER_NAME_MAX 255
void tls_server_put_caller(struct text *out, const struct transport *transport);

/*
 * For a connection that can't be let in: an alert (internal_error) as it stands on the wire, so that a client says
 * something better than that the connection has ended.
 */
struct span tls_server_turn_away(void);

#endif
