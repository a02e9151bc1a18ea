#ifndef CURFEW_RUNTIME_TRANSPORT_H
#define CURFEW_RUNTIME_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "base/status.h"
#include "runtime/transport_state.h"

/* What is done with a struct transport: bytes over a socket, plain or under TLS. */

/*
 * Sets a TCP socket, or a listening one for all that it accepts, to what calls want: small pieces are sent at once
 * (TCP_NODELAY), and no more than TRANSPORT_UNSENT_MAX bytes wait in the kernel for room in the peer's window
 * (TCP_NOTSENT_LOWAT): without that a peer that does not read is worth 4 MiB of the kernel's memory. Where the kernel
 * has no such option, or the socket is no TCP socket, nothing happens.
 */
#define TRANSPORT_UNSENT_MAX (64 * 1024)
void transport_tune(int fd);

/* How long it takes there and back, as the kernel has measured it; 0: it has not, as of a unix socket. */
int64_t transport_round_trip_ns(const struct transport *transport);

/*
 * The same bound, by itself, before a peer is sent more than a head: once for each connection, so that whoever sends no
 * more does without the system call. Of a socket that was tuned it changes nothing.
 */
void transport_bound_unsent(struct transport *transport);

/* Registers `fd` and owns it from then on (on failure too: it is closed). */
enum status transport_open(struct transport *transport, struct loop *loop, int fd,
                           transport_fn on_ready) MUST_CHECK;

/*
 * Likewise one that was accepted, and takes what is written to it: for writing it is registered by the first write that
 * finds no room. Most never do, and are not woken when they have just come and said nothing. Nor is it read before the
 * first event: what has come by then raises one.
 */
enum status transport_open_accepted(struct transport *transport, struct loop *loop, int fd,
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

/*
 * Ends our side of the connection (FIN), under TLS by a closing alert before it, perhaps when the socket has room for
 * it; reading goes on.
 */
void transport_end_write(struct transport *transport);

/* Closes in order, or so that the peer sees a reset (RST) and takes nothing for complete. Idempotent. */
void transport_close(struct transport *transport);
void transport_reset(struct transport *transport);

/* Was the connection reset, or, of a unix socket, closed at both ends? That may be so without an event of its own. */
bool transport_has_hung_up(const struct transport *transport);

/* Was the connection reset? That may be so without an event of its own, as long as nothing is read. */
bool transport_was_reset(const struct transport *transport);

/*
 * Has the peer left for good, rather than only ended its side (half-close)? For use when peer_ended. Exact for unix
 * sockets and for TCP peers on this host (asked of the kernel by sock_diag(7)); false where it can't be known.
 */
bool transport_peer_is_gone(const struct transport *transport);

#endif
