#include "proxy/parts.h"

#include <stdio.h>
#include <time.h>

#include "base/invariant.h"
#include "call/access_log.h"
#include "proxy/circuits.h"
#include "proxy/generation.h"
#include "proxy/listeners.h"
#include "proxy/pools.h"
#include "proxy/proxy.h"
#include "proxy/retry_budgets.h"

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

/* A fleet that is no more is one to be left. */
static bool prepare_fleet(struct proxy *proxy, struct generation_parts *parts, char *why, size_t why_cap)
{
    const struct snapshot *snapshot = parts->generation->snapshot;

    if (proxy->fleet == NULL && !snapshot->fleet.enabled)
        return true;
    snprintf(why, why_cap, "not enough memory");
    if (proxy->fleet == NULL)
        proxy->fleet = fleet_new(proxy->loop, proxy->say_of_fleet, proxy->say_arg);
    if (proxy->fleet != NULL)
        parts->fleet = fleet_prepare(proxy->fleet, snapshot, why, why_cap);
    return parts->fleet != NULL;
}

static void abort_fleet(struct proxy *proxy, struct generation_parts *parts)
{
    if (parts->fleet != NULL)
        fleet_abort(proxy->fleet, parts->fleet);
}

static void abort_log(struct proxy *proxy, struct generation_parts *parts)
{
    if (parts->log != NULL && parts->log != proxy->log)
        access_log_free(parts->log);
    if (parts->log_fd >= 0)
        access_log_close(parts->log_fd);
}

bool parts_prepare(struct proxy *proxy, struct snapshot **snapshot, struct generation_parts *parts, char *why,
                   size_t why_cap)
{
    struct generation *generation = generation_new(proxy, snapshot, why, why_cap);

    if (generation == NULL)
        return false;
    *parts = (struct generation_parts){
        .generation = generation,
        .pools = pools_prepare(proxy, generation->snapshot),
        .circuits = circuits_prepare(proxy, generation->snapshot),
        .pool_count = proxy->numbering.pools.count,
        .upstream_count = proxy->numbering.upstreams.count,
        .route_count = proxy->numbering.routes.count,
        .listeners = &proxy->listeners,
    };
    if (parts->pools == NULL || parts->circuits == NULL ||
        !retry_budgets_prepare(proxy, generation->snapshot)) {
        snprintf(why, why_cap, "not enough memory");
        goto no_listeners;
    }
    if (!prepare_fleet(proxy, parts, why, why_cap) ||
        !listeners_prepare(&proxy->listeners, generation->snapshot, proxy->handed, proxy->handed_count, why,
                           why_cap))
        goto no_listeners;
    if (open_log(proxy, parts, why, why_cap))
        return true;
    listeners_abort(&proxy->listeners);
no_listeners:
    abort_fleet(proxy, parts);
    circuits_abort(proxy, parts->circuits, parts->route_count);
    pools_abort(proxy, parts->pools, parts->pool_count);
    generation_free(generation);
    return false;
}

void parts_abort(struct proxy *proxy, struct generation_parts *parts)
{
    abort_log(proxy, parts);
    abort_fleet(proxy, parts);
    listeners_abort(&proxy->listeners);
    circuits_abort(proxy, parts->circuits, parts->route_count);
    pools_abort(proxy, parts->pools, parts->pool_count);
    generation_free(parts->generation);
}

void parts_commit(struct proxy *proxy, struct generation_parts *parts)
{
    struct generation *generation = parts->generation;

    PRE(parts->pool_count >= proxy->pool_count && generation != proxy->generation);
    pools_commit(proxy, parts->pools, parts->pool_count, generation->snapshot);
    if (parts->fleet != NULL)
        fleet_commit(proxy->fleet, parts->fleet, generation->snapshot, proxy->pools);
    circuits_commit(proxy, parts->circuits, parts->route_count, generation->snapshot);
    retry_budgets_commit(generation->snapshot);
    listeners_commit(&proxy->listeners);
    if (parts->log_fd >= 0)
        access_log_turn(parts->log, parts->log_fd);
    proxy->log = parts->log;
    generation->number = proxy->generation != NULL ? proxy->generation->number + 1 : 1;
    clock_gettime(CLOCK_REALTIME, &generation->since);
    list_push_back(&proxy->generations, &generation->node);
    proxy->generation = generation;
    proxy->snapshot = generation->snapshot;
    proxy->renamed++;
    heartbeat_renumber(&proxy->heartbeat,
                       &(struct heartbeat_numbers){generation, parts->upstream_count, parts->route_count});
}
