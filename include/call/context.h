#ifndef CURFEW_CALL_CONTEXT_H
#define CURFEW_CALL_CONTEXT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/span.h"
#include "call/call_set.h"
#include "config/snapshot.h"
#include "http/date.h"
#include "http/http1.h"
#include "runtime/entropy.h"
#include "runtime/handshakes.h"
#include "stats/metric.h"
#include "stats/stuck_calls.h"
#include "wire/caller.h"

struct address_book;
struct circuit;
struct handshake_watch;
struct keepalive;
struct log_ring;
struct loop;
struct pool;
struct replay_store;
struct resolver;
struct tls_client;
struct tls_server;

/*
 * What one worker has of one generation of the configuration. Calls, callers' connections and connections to upstreams
 * stand on it from their beginning to their end; each counts as a user, so that the worker knows when the last one has
 * gone. Worker's thread.
 */
struct call_terms {
    const struct snapshot *snapshot;
    struct tls_client **tls;        /* by place in snapshot.upstreams; NULL: plain */
    struct tls_server **caller_tls; /* likewise; NULL: it has no listener that speaks TLS */
    uint32_t users;
};

/*
 * What all calls and connections of one worker share: its loop, and what it has of the service. Whoever owns it
 * (proxy/worker) changes it between two calls only. Worker's thread, but for the atomic member.
 */
struct call_context {
    struct loop *loop;
    const struct snapshot *snapshot; /* in force: what begins now is under its limits */
    struct resolver *resolver;
    struct address_book *address_book;
    struct metrics *metrics;
    struct stuck_calls stuck; /* that proxy/heartbeat has not taken yet, */
    struct late_calls late;   /* and these */
    struct log_ring *log;     /* NULL: no access log */
    struct entropy entropy;
    struct pool **pools;          /* by number */
    struct circuit **circuits;    /* by route_config.circuit; NULL: no breaker has been there yet */
    struct keepalive **keepalive; /* by upstream */
    struct call_set calls;
    struct list_node downstreams;
    struct handshakes handshakes;
    struct handshake_watch *handshake_watch; /* of all workers; NULL: nobody is told */
    struct list_node cutting;                /* upstream connections that are about to be cut */
    uint32_t cut_turn, cuts;                 /* how many have been cut at once in that turn */
    uint32_t downstream_count;
    uint32_t upstream_count;     /* open connections, idle ones included */
    uint32_t worker_count;       /* that share what the configuration allows */
    atomic_uint *callers;        /* connections of all workers, for limits.connections */
    struct replay_store *replay; /* of all workers, for limits.replay */
    uint64_t next_call;          /* id of the next call */
    bool draining;
    void (*emptied)(struct call_context *context); /* the last caller has gone, while it drains */
    int64_t date_s;                                /* the second that `date` tells */
    char date[DATE_LEN];
    /* scratch: used within one callback */
    struct http1_head head;
    char *text;
    size_t text_cap;
    struct caller_common caller_common; /* what callers' connections know of all that */
};

/*
 * From now on this is in force. What is scratch has room for its heads. Callers' connections hear of both by this.
 */
void context_set_snapshot(struct call_context *context, const struct snapshot *snapshot);

/* The instant as HTTP writes it, until the next call of this function. */
struct span context_date(struct call_context *context);

#endif
