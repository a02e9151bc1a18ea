#include "app/explain_pool.h"

#include <inttypes.h>
#include <stdio.h>

#include "app/admin_client.h"
#include "app/explain_place.h"
#include "base/number.h"
#include "config/fleet_terms.h"
#include "view/metrics_page.h"

/* For a curfew that may run. */
#define PATIENCE_S 1

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

/* Of a fleet's rate, what this host has by itself. */
static void print_rate(const struct snapshot *snapshot, const struct pool_config *pool)
{
    char block[40], part_block[40];
    struct text rate = text_over(block, sizeof(block)), part = text_over(part_block, sizeof(part_block));

    if (pool->rate_per_hour == 0)
        return;
    number_put_rate(&rate, pool->rate_per_hour);
    printf("            %.*s may start%s, after a rest %" PRIu32 " at once; others wait for their slot\n",
           SPAN_FMT(text_span(&rate)), pool->fleet != NULL ? " over the fleet" : "", pool->rate_burst);
    if (pool->fleet == NULL)
        return;
    number_put_rate(&part, fleet_part(snapshot, pool, pool->rate_per_hour));
    printf("            while the store is away, %.*s and %" PRIu32 " at once on each of %" PRIu32 " hosts\n",
           SPAN_FMT(text_span(&part)), fleet_part(snapshot, pool, pool->rate_burst), snapshot->fleet.hosts);
}

/* Calls of the curfew that runs by this file; negative: none does, or it has no such pool in a fleet. */
static double ask_held(const struct snapshot *snapshot, const struct pool_config *pool)
{
    const struct admin_question question = {snapshot->admin.text, "GET", "/metrics", PATIENCE_S, true};
    const struct metrics_page_pool *found = NULL;
    struct metrics_page page = {0};
    struct admin_answer answer = {0};
    char why[256];
    double held = -1;

    if (snapshot->has_admin && admin_client_ask(&question, &answer, why, sizeof(why)) &&
        answer.status == 200 && metrics_page_read(&page, answer.content))
        found = metrics_page_find_pool(&page, pool->name);
    if (found != NULL && found->fleet_size > 0)
        held = found->held;
    metrics_page_free(&page);
    admin_answer_free(&answer);
    return held;
}

/* That the size is the fleet's, and what this host may have of it. */
static void print_fleet(const struct snapshot *snapshot, const struct pool_config *pool)
{
    double held;

    if (pool->fleet == NULL)
        return;
    printf("            %" PRIu32 " over the fleet %s, where it is %s; this host has %" PRIu32 " at most",
           pool->size, snapshot->fleet.name, pool->fleet, pool->host_size);
    if (pool->reserve != 0)
        printf(", %" PRIu32 " of them without the store", pool->reserve);
    held = ask_held(snapshot, pool);
    if (held >= 0)
        printf("; this host holds %.0f now", held);
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
