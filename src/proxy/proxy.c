#include "proxy/proxy.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "proxy/access_log.h"
#include "proxy/proxy_worker.h"
#include "runtime/listen.h"

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

static bool open_pools(struct proxy *proxy)
{
    const struct snapshot *snapshot = proxy->snapshot;

    for (uint32_t i = 0; i < snapshot->pool_count; i++) {
        const struct pool_config *config = &snapshot->pools[i];

        if (pool_init(&proxy->pools[i], config->size, config->queue_size, proxy->loops,
                      proxy->worker_count) == ST_OK)
            continue;
        while (i-- > 0)
            pool_fini(&proxy->pools[i]);
        return false;
    }
    proxy->pools_open = true;
    return true;
}

static bool open_tls(struct proxy *proxy, char *why, size_t why_cap)
{
    const struct snapshot *snapshot = proxy->snapshot;

    for (uint32_t i = 0; i < snapshot->upstream_count; i++) {
        if (!snapshot->upstreams[i].tls.enabled)
            continue;
        proxy->tls[i] = tls_client_new(&snapshot->upstreams[i], proxy->worker_count, why, why_cap);
        if (proxy->tls[i] == NULL)
            return false;
    }
    return true;
}

static bool open_doorstep(struct proxy *proxy, const struct upstream_config *upstream,
                          const struct address *address, char *why, size_t why_cap)
{
    struct doorstep *step = &proxy->doorsteps[proxy->doorstep_count];

    *step = (struct doorstep){.address = address, .upstream = upstream, .fd = listen_open(address)};
    if (step->fd < 0) {
        snprintf(why, why_cap, "upstreams.%s.listen: %s: %s", upstream->name, address->text, strerror(errno));
        return false;
    }
    proxy->doorstep_count++;
    return true;
}

static bool open_doorsteps(struct proxy *proxy, char *why, size_t why_cap)
{
    const struct snapshot *snapshot = proxy->snapshot;

    for (uint32_t i = 0; i < snapshot->upstream_count; i++) {
        const struct upstream_config *upstream = &snapshot->upstreams[i];

        for (uint32_t j = 0; j < upstream->listen_count; j++)
            if (!open_doorstep(proxy, upstream, &upstream->listen[j], why, why_cap))
                return false;
    }
    return true;
}

static bool open_workers(struct proxy *proxy)
{
    for (uint32_t i = 0; i < proxy->worker_count; i++) {
        struct proxy_worker *pw = mem_zalloc(sizeof(*pw));

        if (pw == NULL)
            return false;
        if (proxy_worker_init(pw, proxy, i) != ST_OK) {
            mem_free(pw);
            return false;
        }
        proxy->workers[i] = pw;
        proxy->loops[i] = &pw->worker;
    }
    return true;
}

static bool allocate(struct proxy *proxy)
{
    const struct snapshot *snapshot = proxy->snapshot;
    uint32_t doorsteps = 0;

    for (uint32_t i = 0; i < snapshot->upstream_count; i++)
        doorsteps += snapshot->upstreams[i].listen_count;
    proxy->workers = mem_calloc(proxy->worker_count, sizeof(struct proxy_worker *));
    proxy->loops = mem_calloc(proxy->worker_count, sizeof(struct worker *));
    proxy->pools = mem_calloc(snapshot->pool_count, sizeof(struct pool));
    proxy->tls = mem_calloc(snapshot->upstream_count, sizeof(struct tls_client *));
    proxy->doorsteps = mem_calloc(doorsteps, sizeof(struct doorstep));
    return proxy->workers != NULL && proxy->loops != NULL && proxy->pools != NULL && proxy->tls != NULL &&
           proxy->doorsteps != NULL;
}

struct proxy *proxy_new(const struct snapshot *snapshot, char *why, size_t why_cap)
{
    struct proxy *proxy = mem_zalloc(sizeof(*proxy));

    snprintf(why, why_cap, "not enough memory or descriptors");
    if (proxy == NULL)
        return NULL;
    proxy->snapshot = snapshot;
    proxy->worker_count = snapshot->workers != 0 ? snapshot->workers : usable_processors();
    if (!allocate(proxy) || !open_tls(proxy, why, why_cap) || !open_doorsteps(proxy, why, why_cap))
        goto failed;
    if (snapshot->log.access != ACCESS_OFF) {
        proxy->log = access_log_new(&snapshot->log, proxy->worker_count, why, why_cap);
        if (proxy->log == NULL)
            goto failed;
    }
    snprintf(why, why_cap, "not enough memory or descriptors");
    if (open_pools(proxy) && open_workers(proxy))
        return proxy;
failed:
    proxy_free(proxy);
    return NULL;
}

enum status proxy_start(struct proxy *proxy)
{
    for (uint32_t i = 0; i < proxy->worker_count; i++)
        if (proxy_worker_start(proxy->workers[i]) != ST_OK)
            return ST_NOMEM;
    atomic_store(&proxy->ready, true);
    return ST_OK;
}

void proxy_stop(struct proxy *proxy)
{
    atomic_store(&proxy->ready, false);
    for (uint32_t i = 0; proxy->workers != NULL && i < proxy->worker_count; i++)
        if (proxy->workers[i] != NULL)
            proxy_worker_stop(proxy->workers[i]);
}

static void free_workers(struct proxy *proxy)
{
    for (uint32_t i = 0; proxy->workers != NULL && i < proxy->worker_count; i++) {
        if (proxy->workers[i] != NULL)
            proxy_worker_fini(proxy->workers[i]);
        mem_free(proxy->workers[i]);
    }
    mem_free(proxy->workers);
}

void proxy_free(struct proxy *proxy)
{
    const struct snapshot *snapshot = proxy->snapshot;

    proxy_stop(proxy);
    free_workers(proxy);
    if (proxy->log != NULL)
        access_log_free(proxy->log);
    for (uint32_t i = 0; proxy->pools_open && i < snapshot->pool_count; i++)
        pool_fini(&proxy->pools[i]);
    for (uint32_t i = 0; proxy->tls != NULL && i < snapshot->upstream_count; i++)
        if (proxy->tls[i] != NULL)
            tls_client_free(proxy->tls[i]);
    for (uint32_t i = 0; i < proxy->doorstep_count; i++)
        listen_close(proxy->doorsteps[i].address, proxy->doorsteps[i].fd);
    mem_free(proxy->loops);
    mem_free(proxy->pools);
    mem_free(proxy->tls);
    mem_free(proxy->doorsteps);
    mem_free(proxy);
}

const struct snapshot *proxy_snapshot(const struct proxy *proxy)
{
    return proxy->snapshot;
}

struct pool_figures proxy_pool_figures(struct proxy *proxy, uint32_t pool)
{
    return pool_figures(&proxy->pools[pool]);
}

bool proxy_is_ready(const struct proxy *proxy)
{
    return atomic_load(&proxy->ready);
}
