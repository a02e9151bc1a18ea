#ifndef CURFEW_PROXY_UPSTREAM_H
#define CURFEW_PROXY_UPSTREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/text.h"
#include "runtime/connect.h"
#include "runtime/stream.h"
#include "runtime/worker.h"

struct call;
struct proxy_worker;

/* A connection to an upstream: being made, in use by one call, or idle in a keepalive. */
struct upstream {
    struct stream stream;
    struct grave grave;
    struct list_node node; /* in keepalive.idle */
    struct proxy_worker *worker;
    const struct upstream_config *config;
    struct call *call;       /* whose exchange runs here; NULL: idle */
    struct connect *connect; /* while it is being made, else NULL */
    int64_t opened_ns;
    int64_t idle_since_ns;
    union dns_address peer;
    bool reused; /* has served a call before this one */
};

/*
 * Begins to connect for `call`, which hears of it by call_phase, call_connected or call_upstream_failed, from the
 * loop. NULL: no memory.
 */
struct upstream *upstream_connect(struct proxy_worker *worker, const struct upstream_config *config,
                                  struct call *call, int64_t limit_ns);

/* Closes an idle connection, or one whose exchange is complete; the pointer is NULLed. */
void upstream_close(struct upstream **upstream);

/*
 * Destroys the connection in whatever it is doing; the pointer is NULLed. By a reset: an upstream that does not read
 * would never learn of an orderly end behind bytes that it has not taken.
 */
void upstream_cut(struct upstream **upstream);

/* "127.0.0.1:9000", or nothing if no address has been tried. */
void upstream_put_peer(struct text *out, const union dns_address *peer);

#endif
