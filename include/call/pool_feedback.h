#ifndef CURFEW_CALL_POOL_FEEDBACK_H
#define CURFEW_CALL_POOL_FEEDBACK_H

#include "config/snapshot.h"
#include "http/http1.h"
#include "runtime/pool.h"

/*
 * What the head of a final response, or of a 101, tells the pool that its permit is of, if that asks for it: pool.adapt
 * makes it smaller where the API refuses, and pool.pause holds it back for as long as the API asks for, and lets more
 * calls start with each good answer behind a pause. `route` is the call's. Worker's thread.
 */
void pool_feedback(struct pool *pool, struct loop *loop, const struct pool_ticket *ticket,
                   const struct route_config *route, const struct http1_head *head);

/* Does it tell the pool anything? What is no error does so on the way back from a refusal or a pause alone. */
static inline bool pool_feedback_is_due(const struct pool *pool, const struct pool_ticket *ticket,
                                        const struct route_config *route, uint16_t status)
{
    return (route->refusals != NULL || route->waits != NULL) &&
           (status >= STATUS_SET_MIN || ticket->permit.round != 0 || pool_is_lowered(pool));
}

#endif
