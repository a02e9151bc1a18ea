#ifndef CURFEW_PROXY_PROXY_WORKER_H
#define CURFEW_PROXY_PROXY_WORKER_H

#include <pthread.h>
#include <stdint.h>

#include "config/snapshot.h"
#include "core/http1.h"
#include "core/metric.h"
#include "proxy/access_log.h"
#include "proxy/keepalive.h"
#include "proxy/proxy.h"
#include "runtime/dns.h"
#include "runtime/listen.h"
#include "runtime/worker.h"

/* A connection that callers come in by. */
struct doorway {
    struct acceptor acceptor;
    struct proxy_worker *worker;
    const struct upstream_config *upstream;
    bool open;
};

/* What one worker has of the proxy: touched by its thread alone. */
struct proxy_worker {
    struct worker worker;
    struct proxy *proxy;
    const struct snapshot *snapshot;
    struct resolver *resolver;
    struct metrics *metrics;
    struct keepalive *keepalive; /* by upstream */
    struct list_node *calls;     /* by pool: routed calls in flight */
    struct list_node reading;    /* calls whose head is being read */
    struct list_node downstreams;
    struct list_node cutting; /* upstream connections that are about to be cut */
    struct doorway *doorways;
    uint32_t doorway_count;
    uint32_t downstream_count;
    uint32_t upstream_count; /* open connections, idle ones included */
    struct log_ring *log;    /* NULL: no access log */
    struct timer patrol;
    uint64_t next_call; /* id of the next call */
    struct mail shut;   /* ends the worker */
    pthread_t thread;
    bool running;
    /* scratch: used within one callback */
    struct http1_head head;
    char *text;
    size_t text_cap;
};

/* `listeners` are the open descriptors, one for each of proxy's doorways, in order. */
enum status proxy_worker_init(struct proxy_worker *pw, struct proxy *proxy, uint32_t index) MUST_CHECK;
void proxy_worker_fini(struct proxy_worker *pw);

enum status proxy_worker_start(struct proxy_worker *pw) MUST_CHECK;
/* Any thread: has the worker end its calls, close everything and leave its loop; then join it. */
void proxy_worker_stop(struct proxy_worker *pw);

/* Adds this worker's counters and gauges to a sum. Its own thread. */
void proxy_worker_add_metrics(struct proxy_worker *pw, struct metrics *sum);

#endif
