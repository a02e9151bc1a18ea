#ifndef CURFEW_RUNTIME_CONNECT_H
#define CURFEW_RUNTIME_CONNECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "core/cause.h"
#include "core/origin.h"
#include "core/phase.h"
#include "core/proxy_spec.h"
#include "core/race.h"
#include "core/timer.h"
#include "runtime/address_book.h"
#include "runtime/dns.h"
#include "runtime/mailbox.h"
#include "runtime/proxy_ask.h"
#include "runtime/transport.h"
#include "runtime/tls.h"

/*
 * Makes a connection to an upstream: name -> addresses, which are raced (core/race) -> TCP -> (a proxy is asked for a
 * tunnel) -> TLS. The result is an
 * open transport, ready for the first byte; while there may be up to RACE_LANES sockets on their way, none but the one
 * that is handed over ever gets a byte of a request. Callbacks come from the loop, never out of connect_start.
 *
 * The end of it all, `limit_ns` (NS_NEVER: none), is kept by the owner (its call's timer), which then calls
 * connect_cancel; here it only shortens the stagger of a short race.
 */
struct connect;

struct connect_events {
    /* Entered PHASE_DNS, PHASE_CONNECT or PHASE_TLS, in this order, each once. To take note: it must not cancel. */
    void (*phase)(struct connect *connect, enum phase phase);
    /* What DNS has said. To take note: it must not cancel. */
    void (*resolved)(struct connect *connect, enum dns_result result);
    /*
     * Last touch of the struct: it may go, or be started anew. CAUSE_NONE: the transport is open, its on_ready
     * is the owner's to set. Else it is closed and `cause` says why (detail: text for the log).
     */
    void (*done)(struct connect *connect, enum cause cause, const char *detail);
};

struct connect {
    struct loop *loop;
    struct resolver *resolver;
    struct address_book *book; /* of all workers */
    const struct origin *origin;
    const struct proxy_spec *proxy; /* the origin is a proxy's, and is asked for a tunnel; NULL: it is not */
                                    /* behind done, of CAUSE_NONE: what it has opened one for */
    bool http1_only;                /* nothing else is offered by ALPN */
    struct tls_client *tls;         /* NULL: plain */
    struct transport *transport;    /* the owner's, closed at first */
    struct dns_answer *given;       /* what the host's name is known to have; NULL: it is looked up */
    const struct connect_events *events;
    const union dns_address *shunned; /* of several, the last one to be tried; NULL: none */
    int64_t limit_ns;
    struct dns_query query;
    struct dns_answer *answer; /* NULL: the upstream's url has an address */
    struct race race;
    struct transport *lanes[RACE_LANES]; /* the owner's transport, or one of our own; NULL: free */
    struct proxy_ask *asks[RACE_LANES];  /* of an attempt that asks a proxy, else NULL */
    bool shuns_session[RACE_LANES];      /* the attempt is one anew, after a peer that choked on a session */
    uint8_t order[RACE_ADDRESSES];       /* which address of the answer is at which place */
    uint8_t place;                       /* of the address that has won, or whose failure tells most */
    /* With its port: the winner's, one that is being tried, or the one whose failure tells most; family 0: none yet. */
    union dns_address peer;
    struct timer timer; /* when the race has to be looked at */
    struct mail begin;  /* the first step, from the loop */
    uint32_t addresses; /* of the name, as many as are tried; 0: not known yet */
    bool active;        /* between connect_start and done or connect_cancel */
    bool in_tls;        /* PHASE_TLS has been entered */
    enum cause cause;   /* of the failure that tells most */
    char detail[160];
};

/*
 * Everything but the fields set by the owner beforehand (loop, resolver, book, origin, given, tls, transport, events,
 * shunned) is set here. ST_NOMEM or ST_OK (from then on exactly one `done` comes, unless cancelled). The transport's
 * loop is `loop`. `peer.any.sa_family` is set when an address is tried.
 */
enum status connect_start(struct connect *connect, int64_t limit_ns) MUST_CHECK;

/*
 * Leaves nothing behind: no lookup, no socket, no timer. Idempotent; no effect after done (the transport is the
 * owner's then), nor on a struct that is all zero.
 */
void connect_cancel(struct connect *connect);

/*
 * Within runtime/connect*.c: the way in and out is in connect.c, the race of addresses in connect_race.c, and what is
 * done about the one in a lane in connect_attempt.c.
 */

/* Leaves nothing behind, and says `done`. */
void connect_finish(struct connect *connect, enum cause cause);
/* The answer, if the url has no address itself, is in place: the race begins. May end in connect_finish. */
void connect_race(struct connect *connect);
/* A timer_fn: the race has to be looked at. */
void connect_look_again(struct timer *timer, int64_t now_ns);
/* Those that had lost their patience before the one at `place` was started are remembered. */
void connect_remember_passed(struct connect *connect, unsigned place);
union dns_address connect_address_in(const struct connect *connect, unsigned lane);

/* An attempt at the address in this lane begins: 0, or an errno, with which connect_close is the caller's to do. */
int connect_open(struct connect *connect, unsigned lane) MUST_CHECK;
/* What the attempt in this lane has, if there is one, is given back. */
void connect_close(struct connect *connect, unsigned lane);
/* The proxy has said what it had to, or is not listened to. */
void connect_forget_ask(struct connect *connect, unsigned lane);
/* The attempt in this lane is the first that is usable. Ends in connect_finish. */
void connect_won(struct connect *connect, unsigned lane);
/* It has come to nothing, for people because of `why`, and the race goes on. May end in connect_finish. */
void connect_lost(struct connect *connect, unsigned lane, enum cause cause, const char *why);
void connect_lost_by(struct connect *connect, unsigned lane, int error);

#endif
