#include "config/snapshot.h"

#include "config/arena.h"

const struct route_config *snapshot_route(const struct upstream_config *upstream, uint32_t id)
{
    return id < upstream->route_count ? &upstream->routes[id] : &upstream->default_route;
}

void snapshot_free(struct snapshot *snapshot)
{
    if (snapshot)
        arena_free(snapshot->arena);
}
