#ifndef CURFEW_RUNTIME_TLS_TRANSPORT_H
#define CURFEW_RUNTIME_TLS_TRANSPORT_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "base/status.h"
#include "runtime/transport_state.h"

/*
 * The bytes of a transport under TLS. A read may have to write, and a write to read: keys are updated, a client's
 * certificate is asked for after the handshake, a connection is renegotiated. Whichever waits says so by can_read and
 * can_write, and goes on at the next event of either kind.
 *
 * All connections of a loop share one BIO, OpenSSL's way to a socket: it is lent to a transport for as long as a
 * function of OpenSSL runs. One for each of them would be 300 bytes of what a waiting call takes.
 */

/* How a BIO reads and writes. NULL: no memory. BIO_meth_free frees it, after the BIOs. */
BIO_METHOD *tls_transport_method_new(void);

/* From now on all goes through `ssl` and `bio`, one of the loop's; the transport owns `ssl`, which refers to `bio`. */
void tls_transport_open(struct transport *transport, SSL *ssl, BIO *bio);

/* Before each function of OpenSSL that may read or write. */
void tls_transport_lend(struct transport *transport);
/* For OpenSSL's callbacks: the transport that it was lent to. */
struct transport *tls_transport_of(const SSL *ssl);

/* As transport_read and transport_write. */
enum status tls_transport_read(struct transport *transport, char *bytes, size_t cap, size_t *len) MUST_CHECK;
enum status tls_transport_write(struct transport *transport, const struct iovec *pieces, int count,
                                size_t *len) MUST_CHECK;

/*
 * For a connection that waits to read, in the handshake or later: gives back the room that OpenSSL would keep until the
 * next write, 16 KiB. It makes it even while it only reads, for what a message might want as an answer; and each call
 * over TLS 1.3 gets such messages, the session tickets.
 */
void tls_transport_free_buffers(struct transport *transport);

/* Tells the peer that there will be no more (close_notify). False: the socket has no room for that now. */
bool tls_transport_end_write(struct transport *transport) MUST_CHECK;

/* Tells the peer likewise, as far as the socket takes it at once; frees `ssl`. */
void tls_transport_close(struct transport *transport, bool in_order);

/*
 * After the handshake: what the peer, or OpenSSL, has against going on ("TLS: tlsv13 alert certificate required"), or
 * a renegotiation that was refused, which the peer may be waiting for. False: neither; an end of the connection is
 * none. `why` is terminated; TLS_WHY_MAX bytes hold all of it.
 */
#define TLS_WHY_MAX 160
bool tls_transport_why(const struct transport *transport, char *why, size_t why_cap);

#endif
