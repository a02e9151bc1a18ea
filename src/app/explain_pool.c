#include "app/explain_pool.h"

#include <inttypes.h>
#include <stdio.h>

#include "app/explain_place.h"
#include "base/number.h"
#include "config/fleet_terms.h"

static void print_linger(const struct explanation *e, const struct pool_config *pool)
{
    if (pool->linger_ns == 0)
        return;
    printf("            after a cut, its permit stays held for %s: the API may be working on\n",
           number_duration_text(pool->linger_ns).text);
    if (e->target.upstream->late)
        printf("            and what the API still says is written down (late)\n");
}

static void print_statuses(const struct status_set *set)
{
    for (uint32_t code = STATUS_SET_MIN; code < STATUS_SET_END; code++)
        if (status_set_has(set, code))
            printf(" %" PRIu32, code);
}

static void print_pause(const struct pool_config *pool)
{
    if (pool->pause.max_ns == 0)
        return;
    printf("            nothing starts for as long as Retry-After says, %s at most, after",
           number_duration_text(pool->pause.max_ns).text);
    print_statuses(&pool->pause.statuses);
    printf(" of the API; then one call first\n");
}

static void print_adapt(const struct pool_config *pool)
{
    if (pool->adapt.min == 0)
        return;
    printf("            and fewer, down to %" PRIu32 ", after", pool->adapt.min);
    print_statuses(&pool->adapt.when);
    printf(" of the API\n");
}

static void print_share(const struct pool_config *pool)
{
    if (pool->shares_by_caller)
        printf("            callers' addresses are served in turn\n");
    else if (pool->share_by.len != 0)
        printf("            values of %.*s are served in turn\n", SPAN_FMT(pool->share_by));
}

static void print_least(const struct pool_config *pool)
{
    if (pool->least_ns == LEAST_IS_P95)
        printf("            whose turn comes when less is left than 19 of 20 calls need is refused\n");
    else if (pool->least_ns != NS_NEVER)
        printf("            whose turn comes when less than %s is left is refused\n",
               number_duration_text(pool->least_ns).text);
}

/* Of a fleet's rate, this host has its part. */
static void print_rate(const struct snapshot *snapshot, const struct pool_config *pool)
{
    uint32_t per_hour = fleet_part(snapshot, pool, pool->rate_per_hour);
    char block[40], whole_block[40];
    struct text rate = text_over(block, sizeof(block)), whole = text_over(whole_block, sizeof(whole_block));

    if (pool->rate_per_hour == 0)
        return;
    number_put_rate(&rate, per_hour);
    printf("            %.*s may start, after a rest %" PRIu32 " at once; others wait for their slot",
           SPAN_FMT(text_span(&rate)), fleet_part(snapshot, pool, pool->rate_burst));
    number_put_rate(&whole, pool->rate_per_hour);
    if (per_hour != pool->rate_per_hour)
        printf(" (one of %" PRIu32 " hosts' part of %.*s)", snapshot->fleet.hosts,
               SPAN_FMT(text_span(&whole)));
    printf("\n");
}

/* That the size is the fleet's, and what this host may have of it. */
static void print_fleet(const struct snapshot *snapshot, const struct pool_config *pool)
{
    if (pool->fleet == NULL)
        return;
    printf("            over all curfews of the fleet %s, where it is %s; this host has %" PRIu32 " at most",
           snapshot->fleet.name, pool->fleet, pool->host_size);
    if (pool->reserve != 0)
        printf(", %" PRIu32 " of them without the store", pool->reserve);
    printf("\n");
}

void explain_pool_print(const struct explanation *e)
{
    const struct pool_config *pool = explanation_pool(e);

    printf("%-12s%s: %" PRIu32 " calls at once, %" PRIu32 " may wait (", "pool", pool->name, pool->size,
           pool->queue_size);
    explain_place_print(e->policy.route->at.pool);
    printf(")\n");
    print_fleet(e->snapshot, pool);
    print_share(pool);
    print_least(pool);
    print_rate(e->snapshot, pool);
    print_pause(pool);
    print_linger(e, pool);
    print_adapt(pool);
}
