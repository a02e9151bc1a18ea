#include "proxy/reload.h"

#include <stdatomic.h>

#include "base/mem.h"
#include "call/access_log.h"
#include "proxy/broadcast.h"
#include "proxy/parts.h"
#include "proxy/proxy.h"
#include "proxy/switch.h"
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

    if (pw->context.resolver == NULL || switch_prepare(pw, &reload->parts) != ST_OK)
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

    parts_abort(reload->proxy, &reload->parts);
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
    parts_commit(proxy, &reload->parts);
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
        if (parts_prepare(proxy, &snapshot, &reload->parts, why, sizeof(why))) {
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
        parts_abort(proxy, &reload->parts);
    else if (reload->old_log != NULL)
        access_log_free(reload->old_log);
    broadcast_fini(&reload->broadcast);
    mem_free(reload);
}
