#ifndef CURFEW_RUNTIME_TRANSPORT_STATE_H
#define CURFEW_RUNTIME_TRANSPORT_STATE_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/loop.h"

struct transport;

typedef void (*transport_fn)(struct transport *transport);

/* Under TLS 1.2: has the peer asked for new keys, as it does to get a client certificate, and what came of it? */
enum transport_renegotiation {
    TRANSPORT_KEEPS_ITS_KEYS,
    TRANSPORT_RENEGOTIATES,
    TRANSPORT_REFUSED_TO_RENEGOTIATE
};

/*
 * A connected (or connecting) socket that never blocks, plain or under TLS. Its descriptor is registered for reading
 * and writing (one that was accepted: for writing from the first write on that finds no room), edge-triggered: so
 * whoever uses it tries first, and waits for on_ready only after ST_AGAIN.
 * A transport has one owner, in which it is embedded; on_ready is the owner's.
 */
struct transport {
    struct event event;
    struct loop *loop;
    SSL *ssl;              /* NULL: plain */
    transport_fn on_ready; /* something has changed: try again */
    void *arg;      /* on_ready's, for whoever has not embedded the transport; transport_open clears it */
    int fd;         /* -1: closed */
    bool can_read;  /* an event has said that a read may give something, and none has found otherwise */
    bool can_write; /* a write may take something */
    bool peer_ended : 1; /* the peer has closed its side, or the whole connection */
    bool was_reset : 1;  /* a write was told so; the kernel tells it once, and a read would see an end */
    bool hears_room : 1; /* it is registered for writing, too */
    bool has_bound : 1;  /* transport_bound_unsent was called */
    bool was_short : 1;  /* the last read gave less than was asked for, in the turn `short_turn` */
    /* Under TLS. */
    bool offered_session : 1;                       /* the handshake would resume an earlier session */
    bool shuns_session : 1;                         /* it may not, because one that would has failed */
    bool ends_write : 1;                            /* as soon as the socket takes the closing alert */
    enum transport_renegotiation renegotiation : 8; /* once it has begun, it stays so */
    uint32_t short_turn;
    uint32_t tls_error; /* OpenSSL's, of what broke it after the handshake; 0: nothing did */
};

/* Its events go to `heard`, a function of transport's. False: a shortage. */
static inline bool transport_register(struct transport *transport, event_callback_fn heard)
{
    short what = (short)(EV_READ | EV_CLOSED | EV_ET | EV_PERSIST | (transport->hears_room ? EV_WRITE : 0));

    return event_assign(&transport->event, transport->loop->base, transport->fd, what, heard, transport) ==
               0 &&
           event_add(&transport->event, NULL) == 0;
}

/* A write has found no room: on_ready will tell of some. False: that can't be, for a shortage. */
static inline bool transport_await_room(struct transport *transport)
{
    if (transport->hears_room)
        return true;
    transport->hears_room = true;
    event_del(&transport->event);
    return transport_register(transport, event_get_callback(&transport->event));
}

/*
 * May a read give something? A short read has emptied the socket, and the next byte raises an event. But an end, or a
 * reset, that came along with its bytes raised its event with them, and raises no other: whoever needs more than came
 * asks once again, in the same turn, before it waits.
 */
static inline bool transport_may_read(const struct transport *transport)
{
    return transport->can_read || (transport->was_short && transport->short_turn == transport->loop->turn);
}

/* Of a read that gave less than was asked for. For transports of both kinds. */
static inline void transport_note_short(struct transport *transport)
{
    transport->can_read = false;
    transport->was_short = true;
    transport->short_turn = transport->loop->turn;
}

#endif
