#ifndef CURFEW_RUNTIME_TRANSPORT_H
#define CURFEW_RUNTIME_TRANSPORT_H

#include <event2/event_struct.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/status.h"

struct loop;

/*
 * A connected (or connecting) socket that never blocks, plain or under TLS. Its descriptor is registered once, for
 * reading and writing, edge-triggered: so whoever uses it tries first, and waits for on_ready only after ST_AGAIN.
 * A transport has one owner, in which it is embedded; on_ready is the owner's.
 */
struct transport;

/*
 * Sets a TCP socket, or a listening one for all that it accepts, to what calls want: small pieces are sent at once
 * (TCP_NODELAY), and no more than TRANSPORT_UNSENT_MAX bytes wait in the kernel for room in the peer's window
 * (TCP_NOTSENT_LOWAT): without that a peer that does not read is worth 4 MiB of the kernel's memory. Where the kernel
 * has no such option, or the socket is no TCP socket, nothing happens.
 */
#define TRANSPORT_UNSENT_MAX (64 * 1024)
void transport_tune(int fd);

typedef void (*transport_fn)(struct transport *transport);

/* Under TLS 1.2: has the peer asked for new keys, as it does to get a client certificate, and what came of it? */
enum transport_renegotiation {
    TRANSPORT_KEEPS_ITS_KEYS,
    TRANSPORT_RENEGOTIATES,
    TRANSPORT_REFUSED_TO_RENEGOTIATE
};

struct transport {
    struct event event;
    struct loop *loop;
    SSL *ssl;              /* NULL: plain */
    transport_fn on_ready; /* something has changed: try again */
    void *arg;       /* on_ready's, for whoever has not embedded the transport; transport_open clears it */
    int fd;          /* -1: closed */
    bool can_read;   /* a read may give something */
    bool can_write;  /* a write may take something */
    bool peer_ended; /* the peer has closed its side, or the whole connection */
    bool was_reset;  /* a write was told so; the kernel tells it once, and a read would see an end */
    /* Under TLS. */
    bool offered_session : 1;                       /* the handshake would resume an earlier session */
    bool shuns_session : 1;                         /* it may not, because one that would has failed */
    enum transport_renegotiation renegotiation : 6; /* once it has begun, it stays so */
    uint32_t tls_error; /* OpenSSL's, of what broke it after the handshake; 0: nothing did */
};

/* Registers `fd` and owns it from then on (on failure too: it is closed). */
enum status transport_open(struct transport *transport, struct loop *loop, int fd,
                           transport_fn on_ready) MUST_CHECK;

/*
 * The open connection of `from` becomes that of `to`, which was closed; `from` is closed then. On failure the
 * connection is gone. Its events are raised anew.
 */
enum status transport_move(struct transport *to, struct transport *from) MUST_CHECK;

/* Closed: fd is -1. All functions but these two want an open one. */
void transport_init(struct transport *transport);
static inline bool transport_is_open(const struct transport *transport)
{
    return transport->fd >= 0;
}

/* ST_OK: *len bytes were read (at least 1). ST_AGAIN, ST_EOF (the peer has ended), ST_FAILED (reset, or broken TLS). */
enum status transport_read(struct transport *transport, void *bytes, size_t cap, size_t *len) MUST_CHECK;

/* ST_OK: *len bytes were taken, perhaps fewer than offered. ST_AGAIN: none. ST_FAILED. At most 8 pieces. */
enum status transport_write(struct transport *transport, const struct iovec *pieces, int count,
                            size_t *len) MUST_CHECK;

/* Ends our side of the connection (FIN); reading goes on. */
void transport_end_write(struct transport *transport);

/* Closes in order, or so that the peer sees a reset (RST) and takes nothing for complete. Idempotent. */
void transport_close(struct transport *transport);
void transport_reset(struct transport *transport);

/*
 * Has the peer left for good, rather than only ended its side (half-close)? For use when peer_ended. Exact for unix
 * sockets and for TCP peers on this host (asked of the kernel by sock_diag(7)); false where it can't be known.
 */
bool transport_peer_is_gone(const struct transport *transport);

#endif
