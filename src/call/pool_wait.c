#include "call/pool_wait.h"

#include "base/invariant.h"
#include "core/budget.h"

/* A slot that leaves less is of no use, whatever the route's median is. */
#define LEAST_FOR_A_SLOT_NS NS_PER_MS
/* One that is counted on may come so much late: it has to leave that as well, and may then have lost it. */
#define SLOT_IS_LATE_NS     (5 * NS_PER_MS)

static int64_t more(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* What has to be left of a call when its turn comes, by the pool's `least`; 0: anything will do. */
static int64_t find_least_ns(const struct pool_config *pool, const struct start_times *times)
{
    int64_t least_ns = pool->least_ns == LEAST_IS_P95 ? start_times_p95_ns(times) : pool->least_ns;

    return least_ns < 0 || least_ns == NS_NEVER ? 0 : least_ns;
}

/* What has to be left of it by what is known at this moment, with `late_ns` for a slot to come late; 0: likewise. */
static int64_t find_needed_ns(const struct pool_config *pool, const struct start_times *times,
                              int64_t late_ns)
{
    int64_t least_ns = find_least_ns(pool, times);

    if (pool->rate_per_hour == 0)
        return least_ns;
    return more(least_ns, more(start_times_median_ns(times), LEAST_FOR_A_SLOT_NS) + late_ns);
}

struct span pool_wait_key(const struct pool_config *pool, const struct http1_head *head, struct span caller)
{
    if (pool->shares_by_caller)
        return caller;
    for (uint32_t i = 0; i < head->field_count; i++)
        if (span_eq_nocase(head->fields[i].name, pool->share_by))
            return head->fields[i].value;
    return SPAN_LIT("");
}

void pool_wait_tell(struct permit *permit, const struct route_config *route, const struct start_times *times,
                    int64_t deadline_ns, int64_t now_ns)
{
    const struct pool_config *pool = route->waits;
    int64_t queue_end_ns = budget_end(now_ns, route->queue_timeout_ns);
    int64_t slot_end_ns = deadline_ns - find_needed_ns(pool, times, SLOT_IS_LATE_NS);
    int64_t needed_ns = route->ceiling_ns == NS_NEVER ? find_needed_ns(pool, times, 0) : 0;

    PRE(permit->state == PERMIT_FREE);
    permit->start_by_ns = needed_ns != 0 ? deadline_ns - needed_ns : NS_NEVER;
    permit->wait_until_ns = slot_end_ns < queue_end_ns ? slot_end_ns : queue_end_ns;
}

bool pool_wait_is_too_late(const struct route_config *route, const struct start_times *times,
                           int64_t deadline_ns, int64_t now_ns)
{
    int64_t needed_ns = find_needed_ns(route->waits, times, 0);

    return needed_ns != 0 && deadline_ns - needed_ns < now_ns;
}

enum cause pool_wait_cause(enum permit_answer refused)
{
    static const enum cause causes[] = {
        [PERMIT_QUEUE_FULL] = CAUSE_QUEUE_FULL,
        [PERMIT_TOO_LATE] = CAUSE_TOO_LATE,
        [PERMIT_RATE] = CAUSE_NO_SLOT,
        [PERMIT_PAUSED] = CAUSE_PAUSED,
    };

    PRE(refused > PERMIT_QUEUED && refused <= PERMIT_PAUSED);
    return causes[refused];
}

enum cause pool_wait_true_cause(struct pool *pool, enum cause cause)
{
    bool is_of_wait = cause == CAUSE_QUEUE_FULL || cause == CAUSE_QUEUE_LIMIT || cause == CAUSE_DEADLINE;

    return is_of_wait && pool_is_void(pool) ? CAUSE_FLEET_UNAVAILABLE : cause;
}

uint64_t pool_wait_retry_after_s(const struct permit *permit, int64_t now_ns)
{
    int64_t left_ns = permit->refused >= PERMIT_RATE ? permit->slot_ns - now_ns : 0;

    return left_ns > NS_PER_S ? (uint64_t)((left_ns + NS_PER_S - 1) / NS_PER_S) : 1;
}
