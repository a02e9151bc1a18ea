#ifndef CURFEW_PROXY_CIRCUITS_H
#define CURFEW_PROXY_CIRCUITS_H

#include <stdint.h>

struct circuit;
struct proxy;
struct snapshot;

/*
 * The breakers' circuits by the number of the route that has them (route_config.circuit): those of the next generation.
 * What was there once stays, for calls of an older generation may stand on it. Main thread.
 */

/* Changes nothing yet. NULL: no memory. */
struct circuit **circuits_prepare(struct proxy *proxy, const struct snapshot *snapshot)
    __attribute__((warn_unused_result));
/* Gives that up. NULL will do. */
void circuits_abort(struct proxy *proxy, struct circuit **circuits, uint32_t count);
/*
 * They are the proxy's from now on, under the terms of the snapshot, which is not the proxy's yet. One that was there
 * keeps its state if scheme, host, port and the name in TLS are what they were.
 */
void circuits_commit(struct proxy *proxy, struct circuit **circuits, uint32_t count,
                     const struct snapshot *snapshot);
/* The workers' threads have ended, and the workers are there still. */
void circuits_recall(struct proxy *proxy);
void circuits_free(struct proxy *proxy);

#endif
