#ifndef CURFEW_RUNTIME_STREAM_H
#define CURFEW_RUNTIME_STREAM_H

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
 * A stream has one owner, in which it is embedded; on_ready is the owner's.
 */
struct stream;

/*
 * Sets a TCP socket, or a listening one for all that it accepts, to what calls want: small pieces are sent at once
 * (TCP_NODELAY), and no more than STREAM_UNSENT_MAX bytes wait in the kernel for room in the peer's window
 * (TCP_NOTSENT_LOWAT): without that a peer that does not read is worth 4 MiB of the kernel's memory. Where the kernel
 * has no such option, or the socket is no TCP socket, nothing happens.
 */
#define STREAM_UNSENT_MAX (64 * 1024)
void stream_tune(int fd);

typedef void (*stream_fn)(struct stream *stream);

/* Under TLS 1.2: has the peer asked for new keys, as it does to get a client certificate, and what came of it? */
enum stream_renegotiation { STREAM_KEEPS_ITS_KEYS, STREAM_RENEGOTIATES, STREAM_REFUSED_TO_RENEGOTIATE };

struct stream {
    struct event event;
    struct loop *loop;
    SSL *ssl;           /* NULL: plain */
    stream_fn on_ready; /* something has changed: try again */
    void *arg;          /* on_ready's, for whoever has not embedded the stream; stream_open clears it */
    int fd;             /* -1: closed */
    bool can_read;      /* a read may give something */
    bool can_write;     /* a write may take something */
    bool peer_ended;    /* the peer has closed its side, or the whole connection */
    bool was_reset;     /* a write was told so; the kernel tells it once, and a read would see an end */
    /* Under TLS. */
    bool offered_session : 1;                    /* the handshake would resume an earlier session */
    bool shuns_session : 1;                      /* it may not, because one that would has failed */
    enum stream_renegotiation renegotiation : 6; /* once it has begun, it stays so */
    uint32_t tls_error; /* OpenSSL's, of what broke it after the handshake; 0: nothing did */
};

/* Registers `fd` and owns it from then on (on failure too: it is closed). */
enum status stream_open(struct stream *stream, struct loop *loop, int fd, stream_fn on_ready) MUST_CHECK;

/*
 * The open connection of `from` becomes that of `to`, which was closed; `from` is closed then. On failure the
 * connection is gone. Its events are raised anew.
 */
enum status stream_move(struct stream *to, struct stream *from) MUST_CHECK;

/* Closed: fd is -1. All functions but these two want an open one. */
void stream_init(struct stream *stream);
static inline bool stream_is_open(const struct stream *stream)
{
    return stream->fd >= 0;
}

/* ST_OK: *len bytes were read (at least 1). ST_AGAIN, ST_EOF (the peer has ended), ST_FAILED (reset, or broken TLS). */
enum status stream_read(struct stream *stream, void *bytes, size_t cap, size_t *len) MUST_CHECK;

/* ST_OK: *len bytes were taken, perhaps fewer than offered. ST_AGAIN: none. ST_FAILED. At most 8 pieces. */
enum status stream_write(struct stream *stream, const struct iovec *pieces, int count,
                         size_t *len) MUST_CHECK;

/* Ends our side of the connection (FIN); reading goes on. */
void stream_end_write(struct stream *stream);

/* Closes in order, or so that the peer sees a reset (RST) and takes nothing for complete. Idempotent. */
void stream_close(struct stream *stream);
void stream_reset(struct stream *stream);

/*
 * Has the peer left for good, rather than only ended its side (half-close)? For use when peer_ended. Exact for unix
 * sockets and for TCP peers on this host (asked of the kernel by sock_diag(7)); false where it can't be known.
 */
bool stream_peer_is_gone(const struct stream *stream);

#endif
