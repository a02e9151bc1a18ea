#ifndef CURFEW_PROXY_POOLS_H
#define CURFEW_PROXY_POOLS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/snapshot.h"

struct loop;
struct pool;
struct proxy;

/* The pools of the next generation: by number, which stays whoever has it. Main thread. */

/* A pool for each number, as the snapshot needs them: those that are there, and new ones. NULL: no memory. */
struct pool **pools_prepare(struct proxy *proxy, const struct snapshot *snapshot)
    __attribute__((warn_unused_result));
/* Gives up the new ones. */
void pools_abort(struct proxy *proxy, struct pool **pools, uint32_t count);
/* They are the proxy's pools from now on, as large as the snapshot wants them. */
void pools_commit(struct proxy *proxy, struct pool **pools, uint32_t count, const struct snapshot *snapshot);

/*
 * A worker keeps the time of those pools from number `from` on that are at home on its loop; false: it can't, and keeps
 * that of none of these. It stops before it leaves. Worker's thread.
 */
bool pools_keep_time(struct pool *const *pools, uint32_t from, uint32_t count, const struct loop *loop)
    __attribute__((warn_unused_result));
void pools_stop_time(struct pool *const *pools, uint32_t from, uint32_t count, const struct loop *loop);

#endif
