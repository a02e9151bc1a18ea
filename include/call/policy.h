#ifndef CURFEW_CALL_POLICY_H
#define CURFEW_CALL_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "config/snapshot.h"
#include "core/cause.h"
#include "http/http1.h"
#include "http/trace.h"

/*
 * What the configuration makes of one request: decided here once, for the proxy and for `curfew explain` alike, so that
 * the one can't differ from the other. No state, any thread.
 */
struct policy {
    enum cause refused;               /* CAUSE_NONE: it becomes a call */
    const char *detail;               /* of `refused`; NULL: none */
    const struct route_config *route; /* NULL: it was refused before it had one */
    int64_t deadline_ns;              /* the route's, or what the caller asks for if that is sooner */
    int64_t caller_ns;                /* what the caller asks for; NS_NEVER: nothing */
    struct trace trace;               /* that the upstream gets to see; not set: none */
    bool begins_trace;                /* it has to get a new one (trace_begin), in place of all that came */
};

/*
 * A request whose head is complete and sound, and whose first byte came at `begun_ns`. `is_grpc`: its grpc-timeout is
 * heeded, whatever the configuration lists.
 */
void policy_decide(struct policy *policy, const struct upstream_config *upstream,
                   const struct http1_head *head, int64_t begun_ns, bool is_grpc);

/* The route that takes the request. Of `head` only what the request line says is looked at: the rest may be to come. */
const struct route_config *policy_route(const struct upstream_config *upstream,
                                        const struct http1_head *head);

/* As policy_may_repeat, of a method that is not listed, or only by its name. */
bool policy_may_repeat_odd(const struct retries_config *retries, const struct http1_head *head)
    __attribute__((pure));

/*
 * May a request with this head be sent again once the API can have seen a part of it? By its method, or by the field
 * that tells the API that it is the same one. A field without a value is none.
 */
static inline bool policy_may_repeat(const struct retries_config *retries, const struct http1_head *head)
{
    return (retries->methods >> head->method_id & 1) != 0 || policy_may_repeat_odd(retries, head);
}

#endif
