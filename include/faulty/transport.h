#ifndef CURFEW_FAULTY_TRANSPORT_H
#define CURFEW_FAULTY_TRANSPORT_H

#include <event2/buffer.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "faulty/pipe.h"

/*
 * A connected socket that does not block, with or without TLS. Its owner waits for events edge-triggered: an
 * event sets `readable` and `writable`, and only an attempt that would block clears them.
 */
struct faulty_transport {
    int fd;
    SSL *ssl;                 /* NULL: plain */
    struct faulty_pipe *pipe; /* in place of the socket; NULL: it has one */
    bool readable, writable;
};

/* ST_OK when the handshake is over (at once without TLS), ST_AGAIN, ST_FAILED. */
enum status faulty_transport_handshake(struct faulty_transport *t) MUST_CHECK;

/* Appends up to `max` bytes (at most 64 KiB) to `in`; *got says how many. ST_OK, ST_AGAIN, ST_EOF, ST_FAILED. */
enum status faulty_transport_read(struct faulty_transport *t, struct evbuffer *in, size_t max,
                                  size_t *got) MUST_CHECK;

/* Writes from the front of `out`, which has bytes, and drains what was taken: *put. ST_OK, ST_AGAIN, ST_FAILED. */
enum status faulty_transport_write(struct faulty_transport *t, struct evbuffer *out, size_t *put) MUST_CHECK;

/*
 * Has the peer closed or reset its side, though bytes of it may still be unread? For when nothing is being read:
 * asks the kernel.
 */
bool faulty_transport_peer_left(const struct faulty_transport *t);

/* Ends our side in order (close_notify, FIN) and leaves the other open. */
void faulty_transport_end(struct faulty_transport *t);

/* Closes. With `reset` the peer gets a RST, and what was not sent yet is lost. */
void faulty_transport_close(struct faulty_transport *t, bool reset);

#endif
