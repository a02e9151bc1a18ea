#ifndef CURFEW_CALL_TRY_PLAN_H
#define CURFEW_CALL_TRY_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "call/target.h"
#include "config/snapshot.h"
#include "core/verdict.h"
#include "http/http1.h"

struct breaker_terms;
struct call_terms;
struct circuit;
struct pool;
struct upstream;

/* What a try is to do. */
struct try_plan {
    struct call_terms *terms;             /* hold the configuration */
    const struct upstream_config *config; /* the API: where it is, and who keeps idle connections to it */
    struct target *target;                /* where it is, if not there; NULL: there. The call's */
    struct pool *pool;
    const struct route_config *route;    /* limits of time */
    struct circuit *circuit;             /* the breaker that it has to pass; NULL: there is none */
    const struct breaker_terms *breaker; /* its terms */
    const struct upstream *beside;       /* a connection to leave alone, if there is another; NULL: none */
    const union dns_address *shunned;    /* of several addresses, the last one to be tried; NULL: none */
    struct upstream **reserved_at; /* the connection that authenticates this caller, if there is one there */
    int64_t deadline_ns,
        policy_ns;              /* as in struct call_fsm, the first the earliest of all that is set by then */
    const struct span *upgrade; /* the protocol that the request asks for; NULL: none */
    enum http1_method method : 8;
    uint8_t number; /* of its call's tries, from 1 */
    enum try_kind kind : 8;
    bool repeatable;    /* the request can be sent a second time if its connection turns out to be closed */
    bool fresh;         /* on a new connection: one of before has been lost */
    bool authenticates; /* its credentials belong to the connection that they are sent on */
};

/* Where its connections are made to. */
static inline const struct origin *try_plan_origin(const struct try_plan *plan)
{
    return plan->target != NULL ? target_dialled(plan->target) : upstream_dialled(plan->config);
}

/* A switch of protocols is HTTP/1.1's. */
static inline bool try_plan_may_speak_h2(const struct try_plan *plan)
{
    return plan->config->http2.use != HTTP2_NEVER && plan->upgrade == NULL;
}

/* Is it over HTTP/1.1 for its switch of protocols alone, where other calls have the choice of HTTP/2? */
static inline bool try_plan_forgoes_h2(const struct try_plan *plan)
{
    return plan->upgrade != NULL && plan->config->http2.use != HTTP2_NEVER;
}

#endif
