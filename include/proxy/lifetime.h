#ifndef CURFEW_PROXY_LIFETIME_H
#define CURFEW_PROXY_LIFETIME_H

#include <stddef.h>

#include "base/status.h"
#include "call/handshake_watch.h"
#include "config/snapshot.h"
#include "proxy/dns_watch.h"
#include "proxy/fleet.h"

struct handed_socket;
struct loop;
struct proxy;

/* What a proxy is made of. All is borrowed and outlives it. */
struct proxy_ground {
    struct loop *loop;            /* the main thread's */
    struct handed_socket *handed; /* listening sockets that others opened for us */
    size_t handed_count;
    int64_t beat_every_ns; /* of the heartbeat */
    dns_watch_log_fn say;  /* what operators should know; NULL: nobody listens */
    fleet_say_fn say_of_fleet;
    handshake_watch_fn say_of_callers;
    void *arg; /* of all three */
};

/*
 * Opens everything that the snapshot names: listeners, certificates, log; and takes it over: it is freed in any case.
 * NULL: nothing is left open, and *why (terminated) says what failed. Main thread.
 */
struct proxy *proxy_new(struct snapshot *snapshot, const struct proxy_ground *ground, char *why,
                        size_t why_cap);
enum status proxy_start(struct proxy *proxy) MUST_CHECK;
/* Ends all calls and waits for the workers' threads. Idempotent. */
void proxy_stop(struct proxy *proxy);
/* Stops it, closes and frees everything. */
void proxy_free(struct proxy *proxy);

#endif
