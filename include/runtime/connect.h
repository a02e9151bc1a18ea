#ifndef CURFEW_RUNTIME_CONNECT_H
#define CURFEW_RUNTIME_CONNECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "config/snapshot.h"
#include "core/cause.h"
#include "core/phase.h"
#include "core/timer.h"
#include "runtime/dns.h"
#include "runtime/mailbox.h"
#include "runtime/stream.h"
#include "runtime/tls.h"

/*
 * Makes a connection to an upstream: name -> addresses, one after another -> TCP -> TLS. The result is an open
 * stream, ready for the first byte. Callbacks come from the loop, never out of connect_start.
 *
 * The time until `limit_ns` (NS_NEVER: none) is shared: each address gets the remaining time divided by the
 * addresses left, so that one that swallows packets leaves time for the next. The limit itself is kept by the
 * owner (its call's timer), which then calls connect_cancel.
 */
struct connect;

struct connect_events {
    /*
     * Entered PHASE_DNS, PHASE_CONNECT or PHASE_TLS; CONNECT again with each further address. To take note:
     * it must not cancel.
     */
    void (*phase)(struct connect *connect, enum phase phase);
    /*
     * Last touch of the struct: it may go, or be started anew. CAUSE_NONE: the stream is open, its on_ready
     * is the owner's to set. Else it is closed and `cause` says why (detail: text for the log).
     */
    void (*done)(struct connect *connect, enum cause cause, const char *detail);
};

struct connect {
    struct worker *worker;
    struct resolver *resolver;
    const struct upstream_config *upstream;
    struct tls_client *tls; /* NULL: plain */
    struct stream *stream;  /* the owner's, closed at first */
    const struct connect_events *events;
    int64_t limit_ns;
    struct dns_query query;
    struct dns_answer *answer;
    uint32_t next;          /* index of the address to try next */
    union dns_address peer; /* of the current or last try, with its port; family 0: none yet */
    struct timer timer;     /* ends the current address's share */
    struct mail begin;      /* the first step, from the loop */
    bool active;            /* between connect_start and done or connect_cancel */
    enum cause cause;       /* of the latest failure */
    char detail[160];
};

/*
 * Everything but the fields set by the owner beforehand (worker, resolver, upstream, tls, stream, events) is
 * set here. ST_NOMEM or ST_OK (from then on exactly one `done` comes, unless cancelled). The stream's worker
 * is `worker`. `peer.any.sa_family` is set when an address is tried.
 */
enum status connect_start(struct connect *connect, int64_t limit_ns) MUST_CHECK;

/*
 * Leaves nothing behind: no lookup, no socket, no timer. Idempotent; no effect after done (the stream is the
 * owner's then), nor on a struct that is all zero.
 */
void connect_cancel(struct connect *connect);

#endif
