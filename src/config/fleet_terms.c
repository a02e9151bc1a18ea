#include "config/fleet_terms.h"

#include "base/invariant.h"

/* The least time between two requests of one pool to the store. */
#define GAP_NS (2 * NS_PER_MS)

static bool uses(const struct upstream_config *upstream, const struct pool_config *pool)
{
    for (uint32_t id = 0; id <= upstream->route_count; id++)
        if (snapshot_route(upstream, id)->pool == pool->index)
            return true;
    return false;
}

/* A call whose later tries go to another upstream holds permits of that one, by its own deadline. */
static bool leads_to(const struct route_config *route, const struct pool_config *pool)
{
    return route->pool == pool->index || (route->retries.fallback && uses(route->retries.fallback, pool));
}

int64_t pool_longest_ns(const struct snapshot *snapshot, const struct pool_config *pool)
{
    int64_t longest_ns = 0;

    for (uint32_t i = 0; i < snapshot->upstream_count; i++) {
        const struct upstream_config *upstream = &snapshot->upstreams[i];

        for (uint32_t id = 0; id <= upstream->route_count; id++) {
            const struct route_config *route = snapshot_route(upstream, id);

            if (leads_to(route, pool) && route_longest_ns(route) > longest_ns)
                longest_ns = route_longest_ns(route);
        }
    }
    return longest_ns + pool->linger_ns;
}

static uint32_t without(uint32_t size, uint64_t reserve)
{
    return reserve < size ? size - (uint32_t)reserve : 0;
}

static uint32_t fallback_size(const struct fleet_config *fleet, uint32_t lent)
{
    switch (fleet->fallback) {
    case FLEET_OPEN: return lent;
    case FLEET_SHARE: return fleet->hosts != 0 ? lent / fleet->hosts : 0;
    default: return 0;
    }
}

struct block_terms fleet_terms(const struct snapshot *snapshot, const struct pool_config *pool)
{
    const struct fleet_config *fleet = &snapshot->fleet;
    struct block_terms terms = {
        .size = without(pool->size, (uint64_t)pool->reserve * fleet->hosts),
        .host_size = without(pool->host_size, pool->reserve),
        .weight = pool->weight,
        .glides = fleet->fallback == FLEET_SHARE,
        .longest_ns = pool_longest_ns(snapshot, pool),
        .renew_ns = fleet->renew_ns,
        .gap_ns = GAP_NS,
        .timeout_ns = fleet->store.timeout_ns,
    };

    PRE(pool->fleet != NULL && fleet->enabled);
    terms.fallback_size = fallback_size(fleet, terms.size);
    terms.lease_ns = block_lease_ns(&terms, fleet->ride_out_ns);
    return terms;
}

uint32_t fleet_part(const struct snapshot *snapshot, const struct pool_config *pool, uint32_t whole)
{
    uint32_t hosts = pool->fleet != NULL && snapshot->fleet.hosts != 0 ? snapshot->fleet.hosts : 1;

    return whole == 0 || whole >= hosts ? whole / hosts : 1;
}
