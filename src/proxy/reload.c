#include "proxy/reload.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/mem.h"
#include "proxy/access_log.h"
#include "proxy/edition.h"
#include "proxy/errand.h"
#include "proxy/proxy.h"
#include "proxy/proxy_worker.h"

struct reload {
    struct proxy *proxy;
    struct errand errand;
    struct blueprint blueprint;
    struct access_log *old_log; /* of no use when all workers have gone over */
    atomic_bool failed;         /* a worker could not make ready */
    reload_fn done;
    void *arg;
};

/* ---- the main thread's part ---------------------------------------------------------------------------- */

static bool open_log(struct proxy *proxy, struct blueprint *blueprint, char *why, size_t why_cap)
{
    const struct log_config *config = &blueprint->edition->snapshot->log;

    blueprint->log = NULL;
    blueprint->log_fd = -1;
    if (config->access == ACCESS_OFF)
        return true;
    blueprint->log_fd = access_log_open(config, why, why_cap);
    if (blueprint->log_fd < 0)
        return false;
    blueprint->log = proxy->log;
    if (proxy->log != NULL)
        return true;
    snprintf(why, why_cap, "no memory for the access log");
    blueprint->log = access_log_new(blueprint->log_fd, proxy->worker_count);
    if (blueprint->log == NULL)
        access_log_close(blueprint->log_fd);
    blueprint->log_fd = -1;
    return blueprint->log != NULL;
}

static void drop_log(struct proxy *proxy, struct blueprint *blueprint)
{
    if (blueprint->log != NULL && blueprint->log != proxy->log)
        access_log_free(blueprint->log);
    if (blueprint->log_fd >= 0)
        access_log_close(blueprint->log_fd);
}

bool reload_draw(struct proxy *proxy, struct snapshot **snapshot, struct blueprint *blueprint, char *why,
                 size_t why_cap)
{
    struct edition *edition = edition_new(proxy, snapshot, why, why_cap);

    if (edition == NULL)
        return false;
    *blueprint = (struct blueprint){
        .edition = edition,
        .pools = proxy_plan_pools(proxy),
        .pool_count = proxy->numbering.pools.count,
        .upstream_count = proxy->numbering.upstreams.count,
        .route_count = proxy->numbering.routes.count,
        .doorsteps = &proxy->doorsteps,
    };
    if (blueprint->pools == NULL) {
        snprintf(why, why_cap, "not enough memory");
        goto no_pools;
    }
    if (!doorsteps_plan(&proxy->doorsteps, edition->snapshot, proxy->handed, proxy->handed_count, why,
                        why_cap))
        goto no_doorsteps;
    if (open_log(proxy, blueprint, why, why_cap))
        return true;
    doorsteps_forget_plan(&proxy->doorsteps);
no_doorsteps:
    proxy_drop_pools(proxy, blueprint->pools, blueprint->pool_count);
no_pools:
    edition_free(edition);
    return false;
}

void reload_drop(struct proxy *proxy, struct blueprint *blueprint)
{
    drop_log(proxy, blueprint);
    doorsteps_forget_plan(&proxy->doorsteps);
    proxy_drop_pools(proxy, blueprint->pools, blueprint->pool_count);
    edition_free(blueprint->edition);
}

void reload_commit(struct proxy *proxy, struct blueprint *blueprint)
{
    struct edition *edition = blueprint->edition;

    proxy_commit_pools(proxy, blueprint->pools, blueprint->pool_count, edition->snapshot);
    doorsteps_commit(&proxy->doorsteps);
    if (blueprint->log_fd >= 0)
        access_log_turn(blueprint->log, blueprint->log_fd);
    proxy->log = blueprint->log;
    edition->number = proxy->edition != NULL ? proxy->edition->number + 1 : 1;
    clock_gettime(CLOCK_REALTIME, &edition->since);
    list_push_back(&proxy->editions, &edition->node);
    proxy->edition = edition;
    proxy->renamed++;
}

/* ---- the workers' part --------------------------------------------------------------------------------- */

static void end(struct reload *reload, const char *why)
{
    struct proxy *proxy = reload->proxy;
    reload_fn done = reload->done;
    void *arg = reload->arg;

    proxy->reload = NULL;
    errand_fini(&reload->errand);
    mem_free(reload);
    done(arg, why);
}

static struct reload *reload_of(struct errand *errand)
{
    return CONTAINER_OF(errand, struct reload, errand);
}

/* A worker that has closed everything is at its end, and makes nothing ready any more. */
static void make_ready(struct errand *errand, struct proxy_worker *pw)
{
    struct reload *reload = reload_of(errand);

    if (pw->resolver == NULL || plan_make(pw, &reload->blueprint) != ST_OK)
        atomic_store(&reload->failed, true);
}

static void go_over(struct errand *errand, struct proxy_worker *pw)
{
    (void)errand;
    if (pw->plan != NULL)
        plan_apply(pw);
}

static void give_up(struct errand *errand, struct proxy_worker *pw)
{
    (void)errand;
    plan_drop(pw);
}

static void all_have_gone_over(struct errand *errand)
{
    struct reload *reload = reload_of(errand);

    doorsteps_sweep(&reload->proxy->doorsteps);
    if (reload->old_log != NULL)
        access_log_free(reload->old_log);
    end(reload, NULL);
}

static void all_have_given_up(struct errand *errand)
{
    struct reload *reload = reload_of(errand);
    bool failed = atomic_load(&reload->failed);

    reload_drop(reload->proxy, &reload->blueprint);
    end(reload, failed ? "not enough memory or descriptors" : "it is about to end");
}

static void all_are_ready(struct errand *errand)
{
    struct reload *reload = reload_of(errand);
    struct proxy *proxy = reload->proxy;

    if (atomic_load(&reload->failed) || proxy->drain != NULL) {
        errand_start(errand, give_up, all_have_given_up);
        return;
    }
    reload->old_log = reload->blueprint.log != proxy->log ? proxy->log : NULL;
    reload_commit(proxy, &reload->blueprint);
    errand_start(errand, go_over, all_have_gone_over);
}

void proxy_reload(struct proxy *proxy, struct snapshot *snapshot, reload_fn done, void *arg)
{
    struct reload *reload = mem_zalloc(sizeof(*reload));
    char why[512] = "not enough memory";

    if (reload != NULL && errand_init(&reload->errand, proxy) == ST_OK) {
        reload->proxy = proxy;
        reload->done = done;
        reload->arg = arg;
        if (reload_draw(proxy, &snapshot, &reload->blueprint, why, sizeof(why))) {
            proxy->reload = reload;
            errand_start(&reload->errand, make_ready, all_are_ready);
            return;
        }
        errand_fini(&reload->errand);
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
    if (reload->blueprint.edition != proxy->edition)
        reload_drop(proxy, &reload->blueprint);
    else if (reload->old_log != NULL)
        access_log_free(reload->old_log);
    errand_fini(&reload->errand);
    mem_free(reload);
}
