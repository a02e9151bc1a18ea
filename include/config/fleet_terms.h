#ifndef CURFEW_CONFIG_FLEET_TERMS_H
#define CURFEW_CONFIG_FLEET_TERMS_H

#include "config/snapshot.h"
#include "core/block.h"

/* How long a call may hold a permit of the pool, at most: by its route's deadline, and what follows a cut. */
int64_t pool_longest_ns(const struct snapshot *snapshot, const struct pool_config *pool);

/*
 * What a block of the pool's permits is lent by: of its size without what hosts own (reserve), which may be nothing at
 * all. The pool is one of the fleet.
 */
struct block_terms fleet_terms(const struct snapshot *snapshot, const struct pool_config *pool);

/*
 * This host's part of what is divided among the fleet's hosts alike, such as a rate while the store is away: one at the
 * least, if there is any. All of it, of a pool that is none of the fleet.
 */
uint32_t fleet_part(const struct snapshot *snapshot, const struct pool_config *pool, uint32_t whole);

#endif
