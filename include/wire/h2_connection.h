#ifndef CURFEW_WIRE_H2_CONNECTION_H
#define CURFEW_WIRE_H2_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "runtime/buffer.h"
#include "runtime/transport.h"
#include "wire/h2_session.h"

struct loop;

/*
 * A connection to an API that speaks HTTP/2: a session, and the transport below it. It has one exchange at a time, so
 * that what holds for a connection of HTTP/1.1 holds here: who has a permit has a connection, and to cut the exchange
 * is to cut the connection (RFC 9113 leaves no trace of it at the API that a reset of the stream would not leave).
 *
 * Nothing here calls back but the exchange's events, from h2_connection_receive and _flush, which only take notes.
 */
struct h2_connection {
    struct transport *transport;
    struct loop *loop;
    struct h2_session *session;
    struct buffer out;
    struct h2_connection **exchange_at; /* its exchange's pointer to it; NULL: it has none */
    uint64_t written;                   /* bytes, on the whole */
    bool retired; /* it takes no other request: the peer goes away, or has been given all numbers */
};

struct h2_connection_terms {
    uint32_t window;                /* of what may come of a response before it has gone on */
    uint32_t head_max;              /* of a response's head */
    const struct h2_events *events; /* h2_exchange_events; their user is the connection */
};

/* On a transport that is open, and stays the caller's. NULL: no memory. */
struct h2_connection *h2_connection_new(struct transport *transport, struct loop *loop,
                                        const struct h2_connection_terms *terms);
/* Its exchange loses it: the pointer is NULLed. The transport may be closed by then. */
void h2_connection_free(struct h2_connection *connection);

/* Writes all that is to be written. ST_OK; ST_AGAIN: when the socket takes more; ST_FAILED: it never will; ST_NOMEM. */
enum status h2_connection_flush(struct h2_connection *connection) MUST_CHECK;

/*
 * One read, what follows of it, and the answers to it written as far as the socket takes them. As transport_read;
 * ST_BAD: the peer has broken the protocol.
 */
enum status h2_connection_receive(struct h2_connection *connection) MUST_CHECK;

/* For a connection without an exchange: takes what has come. True: it may have another one. */
bool h2_connection_rest(struct h2_connection *connection);

/* Tells the peer that there will be no more, as far as the socket takes it. */
void h2_connection_say_goodbye(struct h2_connection *connection);

#endif
