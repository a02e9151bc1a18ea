#ifndef CURFEW_CORE_PERMIT_LENT_H
#define CURFEW_CORE_PERMIT_LENT_H

#include "core/permit.h"

/* A pool of permits whose rate is a fleet's: what its agent (core/turn) does with it. It has a rate of its own. */

/* From now on starts take slots that were lent; there are none yet. */
void permit_pool_use_lent(struct permit_pool *pool);
/*
 * From now on they have the pool's own rate, its bucket empty: the first one at `first_ns`. Others may have news.
 */
void permit_pool_use_own(struct permit_pool *pool, int64_t first_ns);

/* Its rate and its pauses are its own from now on. Others may have news. */
void permit_pool_leave_fleet(struct permit_pool *pool);

/* How many of those that wait may start as soon as they have slots, if `size` may be out? 0: some slots are left. */
uint32_t permit_pool_wants_slots(const struct permit_pool *pool, uint32_t size, int64_t now_ns)
    __attribute__((pure));
/* For how long, about, the waiters that can wait longest can wait for a slot. Somebody waits. */
int64_t permit_pool_patience_ns(const struct permit_pool *pool, int64_t now_ns);

/*
 * Refuses those waiters whose slot, by what the fleet now lets expect, would come too late for them. Others may have
 * news. Takes as long as there are waiters.
 */
void permit_pool_trim(struct permit_pool *pool, int64_t now_ns);

#endif
