#ifndef CURFEW_CALL_MULTIPLEX_H
#define CURFEW_CALL_MULTIPLEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "call/upstream.h"
#include "core/slots.h"
#include "core/timer.h"

struct h2_exchange;
struct keepalive;

/*
 * Connections over HTTP/2 that several calls share: of one worker, to one upstream.
 *
 * A call gets a seat on a carrier: a connection that is there and has a slot, the fullest one; else one that is being
 * made, as long as it will have slots enough; else one is made. It holds its permit meanwhile, and is in the phase of
 * the making. With http2.streams: 1 each carrier has one seat, and a call that is cut takes its carrier with it; with
 * more it is cut by a RST_STREAM, and others on the carrier do not hear of it.
 *
 *   made for a seat -> MAKING --speaks HTTP/2--> SERVING <--taken, put--> idle in a keepalive
 *                        |                         | retired, and its last seat has gone: closed
 *                        | HTTP/1.1: it is the first seat's, and the others have their own made
 *                        '--------- fails, or SERVING is lost ---------> DEAD, until its last seat has gone
 *
 * A seat waits until its carrier is there; a carrier that was silent for http2.probe_after is asked by a PING before
 * the next call, and who may not be sent twice waits for the answer. Without one within http2.probe_timeout it is dead:
 * those that wait go elsewhere, the others end as calls do whose connection is lost. The first carrier to an API that
 * has not said how many streams it allows serves one call until it has, or for a tenth of a second.
 *
 * The permit of a call that is cut is held until the kernel has its RST_STREAM; who does not take that within a second
 * is cut off. What a connection may be given, and what its silence means, core/slots decides. A worker's calls share
 * that worker's connections. Worker's thread.
 */

/* Of what a seat is to be for. */
struct seat_order {
    struct call_context *context;
    struct call_terms *terms;
    const struct upstream_config *config;
    const struct upstream_events *events;
    void *user;
    const union dns_address *shunned; /* of several addresses, the last one to be tried; NULL: none */
    int64_t limit_ns;                 /* for the making of a connection, as upstream_connect */
    bool repeatable;                  /* the request may be sent twice */
};

/*
 * A seat on a connection that is there, which may have to wait; or such a connection itself, if it speaks HTTP/1.1. The
 * user is set. NULL: there is none. `is_out`: those of which it is true are left alone; NULL: none.
 */
struct upstream *multiplex_take(struct keepalive *keepalive, const struct seat_order *order,
                                bool (*is_out)(const void *arg, const struct upstream *upstream),
                                const void *arg);
/* A seat on any connection, made for it if need be. It waits, mostly. NULL: no memory. */
struct upstream *multiplex_connect(struct keepalive *keepalive, const struct seat_order *order);

/* Closes all: no seat is taken any more. */
void multiplex_free(struct keepalive *keepalive);

/* ---- Within call/multiplex*.c: multiplex.c finds seats, multiplex_carrier.c is a carrier's life, _seat.c a seat's. */

/* What is known of the API, as long as its configuration stays the same. */
struct multiplex {
    struct keepalive *keepalive;
    const struct upstream_config *config;
    struct list_node carriers; /* all but those that are idle */
    struct list_node held;     /* seats that wait until it is calm again */
    struct timer watch;
    struct calm calm;
    int64_t probe_after_ns;
    uint32_t peer_streams; /* that the API said last */
    bool knows_peer;
    bool speaks_h1; /* it has chosen HTTP/1.1 */
};

struct carrier {
    struct upstream *upstream; /* the connection */
    struct multiplex *multiplex;
    struct list_node node;    /* in multiplex.carriers */
    struct list_node waiting; /* seats that can't begin yet, */
    struct list_node leaving; /* and such whose permit goes back when their reset is out */
    struct slots slots;
    uint32_t seats;   /* of all kinds, */
    uint32_t running; /* and those that are in use */
    uint32_t pins;    /* it stays, though its last seat may go */
    uint32_t reads, parts;
    uint64_t reset_at; /* of connection.pulled: behind the last reset */
    int64_t grace_ns;  /* until when it serves one call, because the API has not said how many it may */
    enum phase phase;  /* of the making; PHASE_COUNT: it has not begun */
    union dns_address shunned;
    bool dead;
    bool resetting; /* a seat's stream, just now */
};

struct seat {
    struct upstream upstream; /* first: so its memory is freed as an upstream's */
    struct list_node node;    /* in carrier.waiting or .leaving, or in multiplex.held */
    struct h2_exchange *exchange;
    int64_t limit_ns;
    int64_t left_ns;  /* of one that is leaving: when it did, */
    uint64_t gone_at; /* and of connection.written: where its reset is out; UINT64_MAX: with the connection */
    uint32_t reads;   /* of the connection when it began */
    union dns_address shunned; /* family 0: none */
    struct parting parting;
    bool repeatable;
};

static inline struct seat *seat_of(struct upstream *upstream)
{
    return CONTAINER_OF(upstream, struct seat, upstream);
}

/* NULL: no memory. */
struct carrier *carrier_new(struct multiplex *multiplex, const struct seat *seat);
/* It was idle, and is in use again. */
void carrier_wake(struct carrier *carrier);
/* How many seats more. */
uint32_t carrier_room(const struct carrier *carrier) __attribute__((pure));
/* The seat is on it: in use at once, or it waits. */
void carrier_seat(struct carrier *carrier, struct seat *seat);
/* It is not on it any more; the carrier may be about to go. */
void carrier_unseat(struct seat *seat);
/* Those that waited begin as far as they may, or go elsewhere. */
void carrier_admit(struct carrier *carrier);
/* What is to be done with it next, by what it has: put to rest, closed, or nothing. It may be gone after that. */
void carrier_settle(struct carrier *carrier);
/* What its clock says; returns when to look again. It may be gone after that. */
int64_t carrier_look(struct carrier *carrier, int64_t now_ns);
/* Its connection is of no use any more. */
void carrier_die(struct carrier *carrier);

/* NULL: no memory. */
struct seat *seat_new(const struct seat_order *order);
void seat_free(struct seat *seat);
/* Its permit goes back. */
void seat_end_leaving(struct seat *seat);

/* Finds a carrier for it, other than the one that it had. False: no memory. */
bool multiplex_place(struct multiplex *multiplex, struct seat *seat) __attribute__((warn_unused_result));
/* The same for one whose user waits, and is told. */
void multiplex_place_anew(struct multiplex *multiplex, struct seat *seat);
/* There is something to look at then. */
void multiplex_watch(struct multiplex *multiplex, int64_t at_ns);

#endif
