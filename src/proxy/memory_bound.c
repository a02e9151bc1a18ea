#include "proxy/memory_bound.h"

#include <stddef.h>

#include "base/slab.h"
#include "call/call.h"
#include "call/downstream.h"
#include "call/upstream.h"
#include "runtime/buffer.h"
#include "runtime/tls_server.h"
#include "wire/h2_exchange.h"

/* A connection over HTTP/2: its session, the tables of its compression, and what waits to be written. */
#define SESSION_BYTES (40u * 1024 + BUFFER_LARGE)

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Over HTTP/2 each call has its stream's window, beside what it has over HTTP/1.1, and its share of a connection. */
static uint64_t streams_of(const struct upstream_config *upstream)
{
    const struct pool_config *pools = upstream->snapshot->pools;
    uint64_t calls = pools[upstream->default_route.pool].host_size;

    if (upstream->http2.use == HTTP2_NEVER)
        return 0;
    for (uint32_t i = 0; i < upstream->route_count; i++)
        if (pools[upstream->routes[i].pool].host_size > calls)
            calls = pools[upstream->routes[i].pool].host_size;
    return calls * (upstream->http2.window + sizeof(struct h2_exchange) + H2_KEPT_MAX) +
           (calls / upstream->http2.streams + 1) * SESSION_BYTES;
}

/*
 * What a stuck call over HTTP/1.1 holds, beside its request's head: a block of eight steps for the call, and its two
 * connections (bench/MISSES.md). What not every call needs has a block of its own.
 */
_Static_assert(sizeof(void *) != 8 || sizeof(struct event) != 128 ||
                   (sizeof(struct call) <= 8 * SLAB_STEP - SLAB_HEAP &&
                    offsetof(struct downstream, caller) <= 608 && sizeof(struct upstream) <= 408),
               "a stuck call holds more memory than it did");

uint64_t memory_bound(const struct snapshot *snapshot)
{
    const struct limits_config *limits = &snapshot->limits;
    /*
     * The head as it comes in, and as it is kept to be sent on; what of the response is not read; and the connection
     * that is reserved for a caller who has authenticated on it.
     */
    uint64_t caller = sizeof(struct downstream) + sizeof(struct call) + sizeof(struct upstream) +
                      larger(BUFFER_SIZE, limits->request_head_bytes) + limits->request_head_bytes +
                      larger(BUFFER_LARGE, limits->response_head_bytes);
    uint64_t tls = 0; /* of a caller's connection, if any speaks it */
    uint64_t exchange = sizeof(struct upstream) + BUFFER_LARGE;
    uint64_t worst;

    for (uint32_t i = 0; i < snapshot->upstream_count; i++)
        tls = snapshot->upstreams[i].caller_tls.enabled ? TLS_SERVER_CONNECTION_BYTES : tls;
    worst = limits->connections * (caller + tls);

    for (uint32_t i = 0; i < snapshot->pool_count; i++)
        worst += snapshot->pools[i].host_size * exchange;
    for (uint32_t i = 0; i < snapshot->upstream_count; i++)
        worst += streams_of(&snapshot->upstreams[i]);
    for (uint32_t i = 0; i < snapshot->upstream_count; i++)
        worst += snapshot->upstreams[i].keepalive.max_idle * (uint64_t)sizeof(struct upstream);
    return worst;
}
