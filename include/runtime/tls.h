#ifndef CURFEW_RUNTIME_TLS_H
#define CURFEW_RUNTIME_TLS_H

#include <openssl/ssl.h>

#include "base/status.h"
#include "config/snapshot.h"
#include "core/cause.h"

/*
 * TLS towards one upstream: a context made once from its configuration (trust, own certificate, versions),
 * shared by all workers and immutable; and for each worker the latest session, so that new connections resume
 * it.
 */
struct tls_client;

/*
 * Loads the files. NULL: *why (terminated, `why_cap` bytes) says which key and file and what is wrong with it
 * ("upstreams.payments.tls.ca_file: /x.pem: No such file or directory").
 */
struct tls_client *tls_client_new(const struct upstream_config *upstream, uint32_t worker_count, char *why,
                                  size_t why_cap);
/* All its connections are gone by then: a ticket that came would have nowhere to go. */
void tls_client_free(struct tls_client *client);

/*
 * A connection in client state over `fd`, with SNI, verification of chain and name, and the session of this
 * worker, on whose thread it is used. NULL: no memory. The caller closes `fd` himself. What came with the
 * handshake may already be in the connection's own buffer: read before waiting.
 *
 * OpenSSL writes to sockets with write(2): the process must ignore SIGPIPE.
 */
SSL *tls_connection_new(struct tls_client *client, uint32_t worker, int fd);

/*
 * One more step of the handshake. ST_OK: done. ST_AGAIN: when the socket is ready. ST_FAILED: *cause is
 * TLS_CERTIFICATE, TLS_PROTOCOL (alerts, and a peer that closes or resets) or INTERNAL, and why (terminated)
 * says more. In TLS 1.3 a peer that refuses our own certificate says so only after the handshake, to the
 * first read.
 */
enum status tls_handshake(SSL *ssl, enum cause *cause, char *why, size_t why_cap) MUST_CHECK;

/*
 * For a connection that waits to read, in the handshake or later: gives back the room that OpenSSL would keep until the
 * next write, 16 KiB. It makes it even while it only reads, for what a message might want as an answer; and each call
 * over TLS 1.3 gets such messages, the session tickets.
 */
void tls_free_buffers(SSL *ssl);

#endif
