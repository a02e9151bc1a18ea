#include "proxy/pools.h"

#include "base/invariant.h"
#include "base/mem.h"
#include "proxy/proxy.h"

static struct pool *new_pool(struct proxy *proxy)
{
    struct pool *pool = mem_alloc(sizeof(*pool));

    if (pool == NULL || pool_init(pool, 1, 0, proxy->loops, proxy->worker_count) == ST_OK)
        return pool;
    mem_free(pool);
    return NULL;
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

struct pool **pools_prepare(struct proxy *proxy)
{
    uint32_t count = proxy->numbering.pools.count;
    struct pool **pools = mem_calloc(count, sizeof(struct pool *));

    for (uint32_t i = 0; pools != NULL && i < count; i++) {
        pools[i] = i < proxy->pool_count ? proxy->pools[i] : new_pool(proxy);
        if (pools[i] == NULL) {
            pools_abort(proxy, pools, count);
            return NULL;
        }
    }
    return pools;
}

void pools_commit(struct proxy *proxy, struct pool **pools, uint32_t count, const struct snapshot *snapshot)
{
    mem_free(proxy->pools);
    proxy->pools = pools;
    proxy->pool_count = count;
    for (uint32_t i = 0; i < snapshot->pool_count; i++) {
        const struct pool_config *config = &snapshot->pools[i];

        PRE(config->index < count);
        if (config->is_new)
            pool_restart(pools[config->index], config->size, config->queue_size);
        else
            pool_resize(pools[config->index], config->size, config->queue_size);
    }
}
