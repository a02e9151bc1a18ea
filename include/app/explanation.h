#ifndef CURFEW_APP_EXPLANATION_H
#define CURFEW_APP_EXPLANATION_H

#include <stdbool.h>
#include <stdint.h>

#include "app/explain_target.h"
#include "call/policy.h"
#include "core/cause.h"
#include "core/guard.h"
#include "http/http1.h"

/* An address of a forward proxy's destination. */
#define EXPLAIN_ADDRESSES 16u
struct explain_address {
    struct endpoint ip;
    enum guard_verdict verdict;
};

/* What `curfew explain` has found out about a request. */
struct explanation {
    const struct snapshot *snapshot;
    struct explain_target target;
    const struct http1_head *head;
    struct policy policy;  /* as of a call that begins at 0; without a route if it was refused before */
    enum cause refused;    /* CAUSE_NONE: it becomes a call */
    struct span grpc_type; /* of a gRPC request; empty: it is none */
    const char *detail;    /* of a request that can't be parsed; NULL: none */
    /* Of a request to a forward proxy: */
    struct explain_address addresses[EXPLAIN_ADDRESSES];
    uint32_t address_count, passed;
    const char *lookup_failed; /* why its host has none; NULL: it has not failed */
};

/* The one that a call needs a permit of; there is a route. */
static inline const struct pool_config *explanation_pool(const struct explanation *e)
{
    return &e->snapshot->pools[e->policy.route->pool];
}

#endif
