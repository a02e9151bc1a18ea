#include "proxy/proxy.h"

#include <sched.h>
#include <stdio.h>

#include "base/mem.h"
#include "proxy/access_log.h"
#include "proxy/drain.h"
#include "proxy/generation.h"
#include "proxy/switch.h"
#include "proxy/worker.h"
#include "proxy/reload.h"

/* The processors that this process may use. */
static uint32_t usable_processors(void)
{
    cpu_set_t set;
    int count;

    if (sched_getaffinity(0, sizeof(set), &set) < 0)
        return 1;
    count = CPU_COUNT(&set);
    return count > 0 ? (uint32_t)count : 1;
}

/* ---- pools --------------------------------------------------------------------------------------------- */

static struct pool *new_pool(struct proxy *proxy)
{
    struct pool *pool = mem_alloc(sizeof(*pool));

    if (pool == NULL || pool_init(pool, 1, 0, proxy->loops, proxy->worker_count) == ST_OK)
        return pool;
    mem_free(pool);
    return NULL;
}

void proxy_drop_pools(struct proxy *proxy, struct pool **pools, uint32_t count)
{
    for (uint32_t i = proxy->pool_count; pools != NULL && i < count; i++) {
        if (pools[i] != NULL)
            pool_fini(pools[i]);
        mem_free(pools[i]);
    }
    mem_free(pools);
}

struct pool **proxy_plan_pools(struct proxy *proxy)
{
    uint32_t count = proxy->numbering.pools.count;
    struct pool **pools = mem_calloc(count, sizeof(struct pool *));

    for (uint32_t i = 0; pools != NULL && i < count; i++) {
        pools[i] = i < proxy->pool_count ? proxy->pools[i] : new_pool(proxy);
        if (pools[i] == NULL) {
            proxy_drop_pools(proxy, pools, count);
            return NULL;
        }
    }
    return pools;
}

void proxy_commit_pools(struct proxy *proxy, struct pool **pools, uint32_t count,
                        const struct snapshot *snapshot)
{
    mem_free(proxy->pools);
    proxy->pools = pools;
    proxy->pool_count = count;
    for (uint32_t i = 0; i < snapshot->pool_count; i++) {
        const struct pool_config *config = &snapshot->pools[i];

        if (config->is_new)
            pool_restart(pools[config->index], config->size, config->queue_size);
        else
            pool_resize(pools[config->index], config->size, config->queue_size);
    }
}

/* ---- coming -------------------------------------------------------------------------------------------- */

static bool open_workers(struct proxy *proxy)
{
    for (uint32_t i = 0; i < proxy->worker_count; i++) {
        struct worker *pw = mem_zalloc(sizeof(*pw));

        if (pw == NULL)
            return false;
        if (worker_init(pw, proxy, i) != ST_OK) {
            mem_free(pw);
            return false;
        }
        proxy->workers[i] = pw;
        proxy->loops[i] = &pw->loop;
    }
    return true;
}

/* The first generation: as at a reload, but that nobody has to be waited for. */
static bool open_generation(struct proxy *proxy, struct snapshot **snapshot, char *why, size_t why_cap)
{
    struct generation_parts parts;

    if (!reload_draw(proxy, snapshot, &parts, why, why_cap))
        return false;
    snprintf(why, why_cap, "not enough memory or descriptors");
    for (uint32_t i = 0; i < proxy->worker_count; i++) {
        if (switch_prepare(proxy->workers[i], &parts) == ST_OK)
            continue;
        while (i-- > 0)
            switch_abort(proxy->workers[i]);
        reload_drop(proxy, &parts);
        return false;
    }
    reload_commit(proxy, &parts);
    for (uint32_t i = 0; i < proxy->worker_count; i++)
        switch_commit(proxy->workers[i]);
    return true;
}

struct proxy *proxy_new(struct snapshot *snapshot, const struct proxy_ground *ground, char *why,
                        size_t why_cap)
{
    struct proxy *proxy = mem_zalloc(sizeof(*proxy));

    snprintf(why, why_cap, "not enough memory or descriptors");
    if (proxy == NULL)
        goto no_memory;
    dns_watch_init(&proxy->dns_watch, ground->home, ground->say, ground->arg);
    address_book_init(&proxy->address_book);
    proxy->home = ground->home;
    proxy->handed = ground->handed;
    proxy->handed_count = ground->handed_count;
    list_init(&proxy->generations);
    list_init(&proxy->listeners);
    proxy->worker_count = snapshot->workers != 0 ? snapshot->workers : usable_processors();
    proxy->workers = mem_calloc(proxy->worker_count, sizeof(struct worker *));
    proxy->loops = mem_calloc(proxy->worker_count, sizeof(struct loop *));
    if (proxy->workers != NULL && proxy->loops != NULL && open_workers(proxy) &&
        open_generation(proxy, &snapshot, why, why_cap))
        return proxy;
    proxy_free(proxy);
no_memory:
    snapshot_free(snapshot);
    return NULL;
}

enum status proxy_start(struct proxy *proxy)
{
    for (uint32_t i = 0; i < proxy->worker_count; i++)
        if (worker_start(proxy->workers[i]) != ST_OK)
            return ST_NOMEM;
    atomic_store(&proxy->ready, true);
    return ST_OK;
}

/* ---- going --------------------------------------------------------------------------------------------- */

void proxy_stop(struct proxy *proxy)
{
    atomic_store(&proxy->ready, false);
    for (uint32_t i = 0; proxy->workers != NULL && i < proxy->worker_count; i++)
        if (proxy->workers[i] != NULL)
            worker_stop(proxy->workers[i]);
}

static void free_workers(struct proxy *proxy)
{
    for (uint32_t i = 0; proxy->workers != NULL && i < proxy->worker_count; i++) {
        if (proxy->workers[i] != NULL)
            worker_fini(proxy->workers[i]);
        mem_free(proxy->workers[i]);
    }
    mem_free(proxy->workers);
}

void proxy_free(struct proxy *proxy)
{
    struct list_node *node;

    proxy_stop(proxy);
    /* What the workers have said last: their mails are parts of them. */
    mailbox_deliver(proxy->home);
    free_workers(proxy);
    reload_free(proxy);
    drain_free(proxy);
    if (proxy->log != NULL)
        access_log_free(proxy->log);
    listeners_close(&proxy->listeners);
    for (uint32_t i = 0; i < proxy->pool_count; i++) {
        pool_fini(proxy->pools[i]);
        mem_free(proxy->pools[i]);
    }
    while ((node = list_take_front(&proxy->generations)) != NULL)
        generation_free(CONTAINER_OF(node, struct generation, node));
    numbering_fini(&proxy->numbering);
    dns_watch_fini(&proxy->dns_watch);
    address_book_fini(&proxy->address_book);
    mem_free(proxy->loops);
    mem_free(proxy->pools);
    mem_free(proxy);
}

/* ---- asking -------------------------------------------------------------------------------------------- */

const struct snapshot *proxy_snapshot(const struct proxy *proxy)
{
    return proxy->generation->snapshot;
}

struct pool_figures proxy_pool_figures(struct proxy *proxy, uint32_t pool)
{
    return pool_figures(proxy->pools[pool]);
}

void proxy_announce_end(struct proxy *proxy)
{
    atomic_store(&proxy->ready, false);
}

bool proxy_is_ready(const struct proxy *proxy)
{
    return atomic_load(&proxy->ready);
}

bool proxy_reopen_log(struct proxy *proxy, char *why, size_t why_cap)
{
    int fd;

    if (proxy->log == NULL)
        return true;
    fd = access_log_open(&proxy_snapshot(proxy)->log, why, why_cap);
    if (fd >= 0)
        access_log_turn(proxy->log, fd);
    return fd >= 0;
}
