#ifndef CURFEW_CALL_UPSTREAM_H
#define CURFEW_CALL_UPSTREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/text.h"
#include "http/http1.h"
#include "http/keep_alive.h"
#include "core/trust.h"
#include "runtime/connect.h"
#include "runtime/pool.h"
#include "runtime/transport.h"
#include "runtime/loop.h"

struct call_terms;
struct carrier;
struct h2_connection;
struct upstream;
struct target;
struct call_context;

/* What whoever has a connection hears of it, from the loop. Each may end the connection. */
struct upstream_events {
    void (*ready)(struct upstream *upstream); /* it is made, and may be read from or written to again */
    /* While it is being made. */
    void (*phase)(struct upstream *upstream, enum phase phase);
    void (*resolved)(struct upstream *upstream,
                     bool is_stale); /* is_stale: the address is the last good one */
    void (*connected)(struct upstream *upstream, enum cause cause,
                      const char *detail); /* CAUSE_NONE: it is made */
};

/*
 * What becomes of a seat, whose user lets go of it (call/multiplex). `pool`: the ticket's, if a permit goes with it,
 * else NULL.
 */
struct upstream_seat_ops {
    void (*leave)(struct upstream *seat, bool is_cut, struct pool *pool, struct pool_ticket *ticket);
    void (*cut_now)(struct upstream *seat);
};

/* A permit that goes back when the connection that goes with it, or the stream, has been cut. */
struct parting {
    struct mail mail; /* of a connection: the turn in which it is */
    struct upstream *upstream;
    struct pool *pool;
    struct pool_ticket ticket;
};

/*
 * A connection to an upstream: being made, in use by one call, idle in a keepalive, or about to be cut. Or a seat: one
 * call's stream on a connection over HTTP/2, its carrier, which others may have seats on, too; until the carrier is
 * there, or has shown that it is alive, the seat waits. Whoever has a seat does with it what he does with a connection.
 */
struct upstream {
    struct transport transport;
    union {
        struct list_node node;              /* in keepalive.idle or .reserved, or in context.cutting */
        struct deferred_free deferred_free; /* of one that is over */
    };
    struct call_context *context;
    struct call_terms *terms;
    const struct upstream_config *config; /* of the terms */
    struct target *target;                /* where it leads; NULL: where the configuration's url says */
    const struct upstream_events *events;
    void *user;                           /* whose exchange runs here; NULL: idle */
    struct connect *connect;              /* while it is being made, else NULL */
    struct h2_connection *h2;             /* NULL: it speaks HTTP/1.1; a seat's is its carrier's */
    const struct upstream_seat_ops *seat; /* NULL: it is a connection */
    struct upstream *carrier;             /* of a seat; NULL: it waits for one to be made */
    struct carrier *shared;               /* of a connection that others have seats on, else NULL */
    int64_t opened_ns;
    int64_t end_ns;     /* while it is idle: when it is to be closed */
    struct proof proof; /* that it is alive */
    union dns_address peer;
    uint32_t addresses;     /* that its name had when it was made */
    uint32_t answer_number; /* of the keepalive's answer that has this address; 0: none yet */
    uint32_t served;        /* final responses that it has given */
    struct keep_alive said; /* how long it lives, by what the upstream says */
    bool waits;             /* a seat that can't be used yet */
    bool is_tuned;          /* upstream_tune was called */
    bool is_personal; /* authenticates one caller, or may: it serves nobody else (http/connection_auth.h) */
    struct upstream *
        *reserved_at;        /* while it is idle and reserved for a caller: that one's pointer; else NULL */
    struct parting *parting; /* of one that is about to be cut; else NULL */
};

/*
 * Begins to connect: to the target, or, if that is NULL, to where the configuration's url says; `shunned` as
 * connect.shunned has it, for as long as that takes. The user hears of it from the loop. NULL: no memory.
 */
struct upstream *upstream_connect(struct call_context *context, struct call_terms *terms,
                                  const struct upstream_config *config, struct target *target,
                                  const struct upstream_events *events, void *user,
                                  const union dns_address *shunned, bool http1_only, int64_t limit_ns);

/* What the kernel is asked of a connection that may be silent (runtime/tcp) that it was not when it was made. Once. */
void upstream_tune(struct upstream *upstream);

/* The connection may live on without a call, or with more than one. */
static inline void upstream_may_be_silent(struct upstream *upstream)
{
    if (!upstream->is_tuned)
        upstream_tune(upstream);
}

/* The head of a final response has come. False: by what it says of the connection, this is the last one. */
bool upstream_note_response(struct upstream *upstream, const struct http1_head *head);

/* Closes an idle connection, or one whose exchange is complete; the pointer is NULLed. */
void upstream_close(struct upstream **upstream);

/*
 * Destroys the connection in whatever it is doing; the pointer is NULLed. By a reset: an upstream that does not read
 * would never learn of an orderly end behind bytes that it has not taken.
 */
void upstream_cut(struct upstream **upstream);

/*
 * The same, and then gives back the permit, if there is one, which goes with the connection. It is not being made any
 * more, and nothing is heard of it from now on. The first few of a turn go at once, so that a caller who has his answer
 * finds the permit free; more at the end of this turn or of one of the next: when thousands of calls are due at once,
 * no caller's answer waits for the cutting of others' connections, which is more work for the kernel than an answer is.
 */
void upstream_cut_with_permit(struct upstream **upstream, struct pool *pool, struct pool_ticket *ticket);

/*
 * It is about to be cut, and until then has the permit of the ticket, if that has one: in `parting`, which is its from
 * then on.
 */
void upstream_part(struct upstream *upstream, struct parting *parting, struct pool *pool,
                   struct pool_ticket *ticket);

/* Is this one of the few cuts of a turn that are done at once? It counts as one. */
bool upstream_may_cut_now(struct call_context *context) __attribute__((warn_unused_result));

/* Does now what was put off by upstream_cut_with_permit. */
void upstream_finish_cuts(struct call_context *context);

/* How many permits of the pool go with connections that are about to be cut. */
uint32_t upstream_count_cuts(const struct call_context *context, const struct pool *pool)
    __attribute__((pure));

/* The connection itself. */
static inline struct upstream *upstream_connection(struct upstream *upstream)
{
    return upstream->carrier != NULL ? upstream->carrier : upstream;
}

/* Is it there, so that an exchange can begin? */
static inline bool upstream_is_made(const struct upstream *upstream)
{
    return upstream->connect == NULL && !upstream->waits;
}

/* Its address, or the one that is tried; family 0: none yet. */
static inline const union dns_address *upstream_peer(const struct upstream *upstream)
{
    const struct upstream *connection = upstream->carrier != NULL ? upstream->carrier : upstream;

    return connection->connect != NULL ? &connection->connect->peer : &connection->peer;
}

#endif
