#include "proxy/reload.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/mem.h"
#include "proxy/access_log.h"
#include "proxy/generation.h"
#include "proxy/broadcast.h"
#include "proxy/proxy.h"
#include "proxy/worker.h"

struct reload {
    struct proxy *proxy;
    struct broadcast broadcast;
    struct generation_parts parts;
    struct access_log *old_log; /* of no use when all workers have gone over */
    atomic_bool failed;         /* a worker could not make ready */
    reload_fn done;
    void *arg;
};

/* ---- the main thread's part ---------------------------------------------------------------------------- */

static bool open_log(struct proxy *proxy, struct generation_parts *parts, char *why, size_t why_cap)
{
    const struct log_config *config = &parts->generation->snapshot->log;

    parts->log = NULL;
    parts->log_fd = -1;
    if (config->access == ACCESS_OFF)
        return true;
    parts->log_fd = access_log_open(config, why, why_cap);
    if (parts->log_fd < 0)
        return false;
    parts->log = proxy->log;
    if (proxy->log != NULL)
        return true;
    snprintf(why, why_cap, "no memory for the access log");
    parts->log = access_log_new(parts->log_fd, proxy->worker_count);
    if (parts->log == NULL)
        access_log_close(parts->log_fd);
    parts->log_fd = -1;
    return parts->log != NULL;
}

static void drop_log(struct proxy *proxy, struct generation_parts *parts)
{
    if (parts->log != NULL && parts->log != proxy->log)
        access_log_free(parts->log);
    if (parts->log_fd >= 0)
        access_log_close(parts->log_fd);
}

bool reload_draw(struct proxy *proxy, struct snapshot **snapshot, struct generation_parts *parts, char *why,
                 size_t why_cap)
{
    struct generation *generation = generation_new(proxy, snapshot, why, why_cap);

    if (generation == NULL)
        return false;
    *parts = (struct generation_parts){
        .generation = generation,
        .pools = proxy_plan_pools(proxy),
        .pool_count = proxy->numbering.pools.count,
        .upstream_count = proxy->numbering.upstreams.count,
        .route_count = proxy->numbering.routes.count,
        .listeners = &proxy->listeners,
    };
    if (parts->pools == NULL) {
        snprintf(why, why_cap, "not enough memory");
        goto no_pools;
    }
    if (!listeners_prepare(&proxy->listeners, generation->snapshot, proxy->handed, proxy->handed_count, why,
                           why_cap))
        goto no_listeners;
    if (open_log(proxy, parts, why, why_cap))
        return true;
    listeners_abort(&proxy->listeners);
no_listeners:
    proxy_drop_pools(proxy, parts->pools, parts->pool_count);
no_pools:
    generation_free(generation);
    return false;
}

void reload_drop(struct proxy *proxy, struct generation_parts *parts)
{
    drop_log(proxy, parts);
    listeners_abort(&proxy->listeners);
    proxy_drop_pools(proxy, parts->pools, parts->pool_count);
    generation_free(parts->generation);
}

void reload_commit(struct proxy *proxy, struct generation_parts *parts)
{
    struct generation *generation = parts->generation;

    proxy_commit_pools(proxy, parts->pools, parts->pool_count, generation->snapshot);
    listeners_commit(&proxy->listeners);
    if (parts->log_fd >= 0)
        access_log_turn(parts->log, parts->log_fd);
    proxy->log = parts->log;
    generation->number = proxy->generation != NULL ? proxy->generation->number + 1 : 1;
    clock_gettime(CLOCK_REALTIME, &generation->since);
    list_push_back(&proxy->generations, &generation->node);
    proxy->generation = generation;
    proxy->renamed++;
}

/* ---- the workers' part --------------------------------------------------------------------------------- */

static void end(struct reload *reload, const char *why)
{
    struct proxy *proxy = reload->proxy;
    reload_fn done = reload->done;
    void *arg = reload->arg;

    proxy->reload = NULL;
    broadcast_fini(&reload->broadcast);
    mem_free(reload);
    done(arg, why);
}

static struct reload *reload_of(struct broadcast *broadcast)
{
    return CONTAINER_OF(broadcast, struct reload, broadcast);
}

/* A worker that has closed everything is at its end, and makes nothing ready any more. */
static void make_ready(struct broadcast *broadcast, struct worker *pw)
{
    struct reload *reload = reload_of(broadcast);

    if (pw->resolver == NULL || switch_prepare(pw, &reload->parts) != ST_OK)
        atomic_store(&reload->failed, true);
}

static void go_over(struct broadcast *broadcast, struct worker *pw)
{
    (void)broadcast;
    if (pw->next != NULL)
        switch_commit(pw);
}

static void give_up(struct broadcast *broadcast, struct worker *pw)
{
    (void)broadcast;
    switch_abort(pw);
}

static void all_have_gone_over(struct broadcast *broadcast)
{
    struct reload *reload = reload_of(broadcast);

    listeners_sweep(&reload->proxy->listeners);
    if (reload->old_log != NULL)
        access_log_free(reload->old_log);
    end(reload, NULL);
}

static void all_have_given_up(struct broadcast *broadcast)
{
    struct reload *reload = reload_of(broadcast);
    bool failed = atomic_load(&reload->failed);

    reload_drop(reload->proxy, &reload->parts);
    end(reload, failed ? "not enough memory or descriptors" : "it is about to end");
}

static void all_are_ready(struct broadcast *broadcast)
{
    struct reload *reload = reload_of(broadcast);
    struct proxy *proxy = reload->proxy;

    if (atomic_load(&reload->failed) || proxy->drain != NULL) {
        broadcast_start(broadcast, give_up, all_have_given_up);
        return;
    }
    reload->old_log = reload->parts.log != proxy->log ? proxy->log : NULL;
    reload_commit(proxy, &reload->parts);
    broadcast_start(broadcast, go_over, all_have_gone_over);
}

void proxy_reload(struct proxy *proxy, struct snapshot *snapshot, reload_fn done, void *arg)
{
    struct reload *reload = mem_zalloc(sizeof(*reload));
    char why[512] = "not enough memory";

    if (reload != NULL && broadcast_init(&reload->broadcast, proxy) == ST_OK) {
        reload->proxy = proxy;
        reload->done = done;
        reload->arg = arg;
        if (reload_draw(proxy, &snapshot, &reload->parts, why, sizeof(why))) {
            proxy->reload = reload;
            broadcast_start(&reload->broadcast, make_ready, all_are_ready);
            return;
        }
        broadcast_fini(&reload->broadcast);
    }
    mem_free(reload);
    snapshot_free(snapshot);
    done(arg, why);
}

void reload_free(struct proxy *proxy)
{
    struct reload *reload = proxy->reload;

    if (reload == NULL)
        return;
    proxy->reload = NULL;
    if (reload->parts.generation != proxy->generation)
        reload_drop(proxy, &reload->parts);
    else if (reload->old_log != NULL)
        access_log_free(reload->old_log);
    broadcast_fini(&reload->broadcast);
    mem_free(reload);
}
