#ifndef CURFEW_APP_EXPLANATION_H
#define CURFEW_APP_EXPLANATION_H

#include <stdbool.h>
#include <stdint.h>

#include "app/explain_target.h"
#include "call/policy.h"
#include "core/cause.h"
#include "http/http1.h"

/* What `curfew explain` has found out about a request. */
struct explanation {
    const struct snapshot *snapshot;
    struct explain_target target;
    const struct http1_head *head;
    struct policy policy;  /* as of a call that begins at 0; without a route if it was refused before */
    enum cause refused;    /* CAUSE_NONE: it becomes a call */
    struct span grpc_type; /* of a gRPC request; empty: it is none */
    const char *detail;    /* of a request that can't be parsed; NULL: none */
};

#endif
