#include "proxy/lifetime.h"

#include <sched.h>
#include <stdio.h>

#include "base/mem.h"
#include "call/access_log.h"
#include "proxy/circuits.h"
#include "proxy/drain.h"
#include "proxy/generation.h"
#include "proxy/parts.h"
#include "proxy/proxy.h"
#include "proxy/retry_budgets.h"
#include "proxy/reload.h"
#include "proxy/switch.h"
#include "proxy/worker.h"
#include "proxy/worker_thread.h"
#include "runtime/loop.h"

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

    if (!parts_prepare(proxy, snapshot, &parts, why, why_cap))
        return false;
    snprintf(why, why_cap, "not enough memory or descriptors");
    for (uint32_t i = 0; i < proxy->worker_count; i++) {
        if (switch_prepare(proxy->workers[i], &parts) == ST_OK)
            continue;
        while (i-- > 0)
            switch_abort(proxy->workers[i]);
        parts_abort(proxy, &parts);
        return false;
    }
    parts_commit(proxy, &parts);
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
    dns_watch_init(&proxy->dns_watch, &ground->loop->mailbox, ground->say, ground->arg);
    handshake_watch_init(&proxy->handshake_watch, &ground->loop->mailbox, ground->say_of_callers,
                         ground->arg);
    address_book_init(&proxy->address_book);
    proxy->home = &ground->loop->mailbox;
    proxy->loop = ground->loop;
    proxy->say = ground->say;
    proxy->say_of_fleet = ground->say_of_fleet;
    proxy->say_arg = ground->arg;
    proxy->handed = ground->handed;
    proxy->handed_count = ground->handed_count;
    list_init(&proxy->generations);
    list_init(&proxy->listeners);
    proxy->worker_count = snapshot->workers != 0 ? snapshot->workers : usable_processors();
    heartbeat_init(&proxy->heartbeat, proxy->home, proxy->worker_count, ground->beat_every_ns);
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
    circuits_recall(proxy);
    free_workers(proxy);
    reload_free(proxy);
    drain_free(proxy);
    if (proxy->log != NULL)
        access_log_free(proxy->log);
    listeners_close(&proxy->listeners);
    circuits_free(proxy);
    if (proxy->fleet != NULL)
        fleet_free(proxy->fleet);
    for (uint32_t i = 0; i < proxy->pool_count; i++) {
        pool_fini(proxy->pools[i]);
        mem_free(proxy->pools[i]);
    }
    while ((node = list_take_front(&proxy->generations)) != NULL)
        generation_free(CONTAINER_OF(node, struct generation, node));
    numbering_fini(&proxy->numbering);
    handshake_watch_fini(&proxy->handshake_watch);
    dns_watch_fini(&proxy->dns_watch);
    address_book_fini(&proxy->address_book);
    heartbeat_fini(&proxy->heartbeat);
    mem_free(proxy->loops);
    mem_free(proxy->pools);
    retry_budgets_free(proxy);
    mem_free(proxy);
}
