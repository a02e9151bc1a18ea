#include "proxy/pools.h"

#include "base/invariant.h"
#include "base/mem.h"
#include "config/fleet_terms.h"
#include "proxy/proxy.h"

/* The pools' homes are spread over the workers. */
static struct pool *new_pool(struct proxy *proxy, uint32_t number)
{
    struct pool *pool = mem_alloc(sizeof(*pool));

    if (pool != NULL && pool_init(pool, 1, 0, proxy->loops, proxy->worker_count) != ST_OK) {
        mem_free(pool);
        return NULL;
    }
    if (pool != NULL)
        pool->home = proxy->loops[number % proxy->worker_count];
    return pool;
}

void pools_abort(struct proxy *proxy, struct pool **pools, uint32_t count)
{
    for (uint32_t i = proxy->pool_count; pools != NULL && i < count; i++) {
        if (pools[i] != NULL)
            pool_fini(pools[i]);
        mem_free(pools[i]);
    }
    mem_free(pools);
}

static bool fill(struct proxy *proxy, struct pool **pools, uint32_t count, const struct snapshot *snapshot)
{
    for (uint32_t i = 0; i < count; i++) {
        pools[i] = i < proxy->pool_count ? proxy->pools[i] : new_pool(proxy, i);
        if (pools[i] == NULL)
            return false;
    }
    for (uint32_t i = 0; i < snapshot->pool_count; i++) {
        const struct pool_config *config = &snapshot->pools[i];

        if (pool_is_shared(config) && pool_make_sharable(pools[config->index]) != ST_OK)
            return false;
    }
    return true;
}

struct pool **pools_prepare(struct proxy *proxy, const struct snapshot *snapshot)
{
    uint32_t count = proxy->numbering.pools.count;
    struct pool **pools = mem_calloc(count, sizeof(struct pool *));

    if (pools == NULL || fill(proxy, pools, count, snapshot))
        return pools;
    pools_abort(proxy, pools, count);
    return NULL;
}

static struct pool_terms terms_of(const struct snapshot *snapshot, const struct pool_config *config)
{
    return (struct pool_terms){
        .size = config->host_size,
        .queue_size = config->queue_size,
        .adapt_min = config->adapt.min,
        .timed = pool_asks_for_time(config),
        .rate_per_hour = fleet_part(snapshot, config, config->rate_per_hour),
        .rate_burst = fleet_part(snapshot, config, config->rate_burst),
        .fleet_per_hour = config->fleet != NULL ? config->rate_per_hour : 0,
        .pauses = config->pause.max_ns != 0,
        .is_shared = pool_is_shared(config),
        .is_leased = config->fleet != NULL,
    };
}

void pools_commit(struct proxy *proxy, struct pool **pools, uint32_t count, const struct snapshot *snapshot)
{
    mem_free(proxy->pools);
    proxy->pools = pools;
    proxy->pool_count = count;
    for (uint32_t i = 0; i < snapshot->pool_count; i++) {
        const struct pool_config *config = &snapshot->pools[i];

        struct pool_terms terms = terms_of(snapshot, config);

        PRE(config->index < count);
        if (config->is_new)
            pool_restart(pools[config->index], &terms);
        else
            pool_set(pools[config->index], &terms);
    }
}

bool pools_keep_time(struct pool *const *pools, uint32_t from, uint32_t count, const struct loop *loop)
{
    for (uint32_t i = from; i < count; i++) {
        if (pools[i]->home == loop && pool_keep_time(pools[i]) != ST_OK) {
            pools_stop_time(pools, from, i, loop);
            return false;
        }
    }
    return true;
}

void pools_stop_time(struct pool *const *pools, uint32_t from, uint32_t count, const struct loop *loop)
{
    for (uint32_t i = from; i < count; i++)
        if (pools[i]->home == loop)
            pool_stop_time(pools[i]);
}
