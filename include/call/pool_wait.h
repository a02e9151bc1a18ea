#ifndef CURFEW_CALL_POOL_WAIT_H
#define CURFEW_CALL_POOL_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "config/snapshot.h"
#include "core/cause.h"
#include "core/permit.h"
#include "http/http1.h"
#include "runtime/pool.h"
#include "stats/start_times.h"

/*
 * What a call tells a pool that asks how long it can wait (route_config.waits), and what it makes of a refusal. Pure.
 * `deadline_ns` is the end of the call; of an observed one, which is under no other limit, its ceiling: what `least`
 * would have refused of that is noted alone. `times` is what is known of the route, or NULL.
 */

/* By what its waiters share the queue with others: the first value of a field, or the caller's address; empty: none. */
struct span pool_wait_key(const struct pool_config *pool, const struct http1_head *head, struct span caller);

/* Before it asks for a permit. */
void pool_wait_tell(struct permit *permit, const struct route_config *route, const struct start_times *times,
                    int64_t deadline_ns, int64_t now_ns);

/*
 * It has waited, and its turn has come: is it too late after all, by what has been learnt of its route meanwhile? Then
 * it is refused as it would have been by the pool, and its permit goes on.
 */
bool pool_wait_is_too_late(const struct route_config *route, const struct start_times *times,
                           int64_t deadline_ns, int64_t now_ns);

/* Why a permit was refused. */
enum cause pool_wait_cause(enum permit_answer refused);
/* What ends a wait for a permit, or comes in its place: of a pool that is lent nothing, it is that. */
enum cause pool_wait_true_cause(struct pool *pool, enum cause cause);

/* After how many seconds asking again may be of use, for a call that has no permit; at least 1. */
uint64_t pool_wait_retry_after_s(const struct permit *permit, int64_t now_ns);

#endif
