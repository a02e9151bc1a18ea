#ifndef CURFEW_PROXY_PROXY_H
#define CURFEW_PROXY_PROXY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "config/snapshot.h"
#include "runtime/pool.h"
#include "runtime/tls.h"

struct proxy_worker;
struct access_log;

/* A listening socket and whose calls come in by it. */
struct doorstep {
    const struct address *address;
    const struct upstream_config *upstream;
    int fd;
};

/* The running service: what its workers share. */
struct proxy {
    const struct snapshot *snapshot;
    struct proxy_worker **workers;
    struct worker **loops; /* the workers' loops, for the pools */
    uint32_t worker_count;
    struct pool *pools; /* by pool_config */
    bool pools_open;
    struct tls_client **tls; /* by upstream; NULL: plain */
    struct doorstep *doorsteps;
    uint32_t doorstep_count;
    struct access_log *log;       /* NULL: off */
    atomic_uint downstream_count; /* callers' connections, for limits.connections */
    atomic_uint scrape_count; /* scrapes in memory: forgotten ones, too, until the last worker has answered */
    atomic_bool ready;
};

/*
 * Opens everything that `snapshot` names: listeners, certificates, log. NULL: nothing is left open, and *why
 * (terminated) says what failed. The snapshot is borrowed and must outlive the proxy. Main thread.
 */
struct proxy *proxy_new(const struct snapshot *snapshot, char *why, size_t why_cap);
enum status proxy_start(struct proxy *proxy) MUST_CHECK;
/* Ends all calls and waits for the workers' threads. Idempotent. */
void proxy_stop(struct proxy *proxy);
/* Stops it, closes and frees everything. */
void proxy_free(struct proxy *proxy);

const struct snapshot *proxy_snapshot(const struct proxy *proxy);
struct pool_figures proxy_pool_figures(struct proxy *proxy, uint32_t pool);
bool proxy_is_ready(const struct proxy *proxy);

#endif
