#ifndef CURFEW_WIRE_H2_CONNECTION_H
#define CURFEW_WIRE_H2_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/status.h"
#include "runtime/buffer.h"
#include "runtime/loop.h"
#include "runtime/transport.h"
#include "wire/h2_session.h"

/*
 * A connection to an API that speaks HTTP/2: a session, the transport below it, and an exchange for each call that runs
 * on it.
 *
 *   socket -> receive -> session -> events, which take notes in exchanges -> tell: owners of exchanges are called
 *   exchanges send -> session -> pull -> out -> flush, once at the end of a turn -> socket
 *
 * What came is read whatever becomes of it: WINDOW_UPDATE and RST_STREAM come there, too. An exchange holds what its
 * window allows of a response; of requests no more content is drawn than `out` has room for. Nobody is called from
 * within the session: what it says is noted, and told when it has returned. Who is told may end any exchange, and the
 * connection: its memory lasts until the end of the turn.
 */
struct h2_connection;

struct h2_connection_user {
    /* Something has changed for an exchange: its owner, who may receive and send. */
    void (*ready)(void *exchange_owner);
    /* Bytes have come or gone, or the connection is lost; all exchanges have been told. Last touch of the turn. */
    void (*moved)(void *owner);
    /* The peer ends the connection, and why. To take note: it must not act. */
    void (*went_away)(void *owner, uint32_t code, bool is_too_many_pings);
    /* A frame with RST_STREAM goes. To take note. */
    void (*resets)(void *owner);
};

/* An exchange, as its connection knows it. */
struct h2_member {
    struct list_node node;    /* in connection.members */
    struct list_node to_tell; /* in connection.news */
    void *owner;              /* is told */
};

struct h2_member_ops {
    /* Is there something that it could not send yet? */
    bool (*is_blocked)(const struct h2_member *member);
    /* Has its response not come to its end yet? */
    bool (*is_awaited)(const struct h2_member *member);
    /* The connection is lost, as `why` says (not ST_OK): it is told, and what it does not have yet never comes. */
    void (*note_loss)(struct h2_member *member, enum status why);
    /* It has no connection any more, from now on. */
    void (*leave)(struct h2_member *member);
};

struct h2_connection {
    struct transport *transport;
    struct loop *loop;
    struct h2_session *session;
    const struct h2_connection_user *user; /* NULL: nobody listens yet */
    void *owner;                           /* the user's */
    const struct h2_member_ops *ops;       /* of its exchanges */
    struct list_node members;              /* exchanges that run on it */
    struct list_node news;                 /* those of them that have something to be told */
    struct mail turn;                      /* to tell and to write, at the end of the turn */
    struct deferred_free deferred_free;
    struct buffer out;        /* to be written */
    uint64_t pulled, written; /* bytes, on the whole */
    int64_t read_ns;          /* when something was read last, or it was made */
    uint32_t reads;           /* times that something was */
    enum status lost;     /* OK: it is not; BAD: the peer has broken the protocol; else as transport_read */
    bool retired : 1;     /* it takes no other request: the peer goes away, or has been given all numbers */
    bool has_waiting : 1; /* an exchange has not begun, because the peer allows no stream */
    bool is_full : 1;     /* content was held back, because `out` is full */
    bool cannot_write : 1;
    bool in_run : 1; /* h2_connection_run tells and writes, and calls `moved` behind that */
    bool over : 1;
};

struct h2_connection_terms {
    uint32_t window;                 /* of what may come of a response before it has gone on */
    uint32_t head_max;               /* of a response's head */
    const struct h2_events *events;  /* h2_exchange_events; their user is the connection */
    const struct h2_member_ops *ops; /* h2_exchange_ops */
};

/* On a transport that is open, and stays the caller's. NULL: no memory. */
struct h2_connection *h2_connection_new(struct transport *transport, struct loop *loop,
                                        const struct h2_connection_terms *terms);
/* Exchanges on it lose it: they have no connection any more. The transport may be closed by then. */
void h2_connection_free(struct h2_connection *connection);

/* The transport has something to read, or room to write: reads, tells, and writes. */
void h2_connection_run(struct h2_connection *connection);

/* For a connection without an exchange: takes what has come. True: it may have another one. */
bool h2_connection_rest(struct h2_connection *connection);

/* All that waits in the session is to be written, by the end of the turn; or now, as far as the socket takes it. */
void h2_connection_wants_turn(struct h2_connection *connection);
void h2_connection_flush(struct h2_connection *connection);

/* It is given up: its exchanges are told, each by the way in which it ends without the rest. The user hears `moved`. */
void h2_connection_lose(struct h2_connection *connection);

/* Asks for a sign of life, which is anything that is read. */
void h2_connection_ping(struct h2_connection *connection);

/* Tells the peer that there will be no more, as far as the socket takes it. */
void h2_connection_say_goodbye(struct h2_connection *connection);

/* There is something to tell its owner. */
void h2_connection_has_news(struct h2_connection *connection, struct h2_member *member);

/* For wire/h2_exchange*.c: draws frames out of the session. Content only as far as there is room. */
void h2_connection_pull(struct h2_connection *connection);
/* May more content be drawn? If not, exchanges that are blocked hear of it when it may. */
bool h2_connection_has_room(struct h2_connection *connection);

#endif
