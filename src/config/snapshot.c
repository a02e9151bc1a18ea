#include "config/snapshot.h"

#include "config/arena.h"

const struct route_config *snapshot_route(const struct upstream_config *upstream, uint32_t id)
{
    return id < upstream->route_count ? &upstream->routes[id] : &upstream->default_route;
}

void upstream_put_origin(struct text *out, const struct upstream_config *upstream)
{
    bool is_ipv6 = upstream->origin.host_is_ip && upstream->origin.ip.family == ENDPOINT_IPV6;

    text_printf(out, is_ipv6 ? "%s://[%s]" : "%s://%s", upstream->tls.enabled ? "https" : "http",
                upstream->origin.host);
    if (upstream->origin.port != (upstream->tls.enabled ? 443 : 80))
        text_printf(out, ":%u", upstream->origin.port);
}

const char *snapshot_pool_name(const struct snapshot *snapshot, uint32_t number)
{
    for (uint32_t i = 0; i < snapshot->pool_count; i++)
        if (snapshot->pools[i].index == number)
            return snapshot->pools[i].name;
    return NULL;
}

static bool have_same_streams(const struct streams_config *a, const struct streams_config *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return a->deadline_ns == b->deadline_ns && a->first_event_ns == b->first_event_ns &&
           a->idle_ns == b->idle_ns;
}

bool route_has_same_limits(const struct route_config *a, const struct route_config *b)
{
    return a->deadline_ns == b->deadline_ns && a->ceiling_ns == b->ceiling_ns &&
           a->queue_timeout_ns == b->queue_timeout_ns && a->connect_ns == b->connect_ns &&
           a->first_byte_ns == b->first_byte_ns && a->begin_ns == b->begin_ns && a->idle_ns == b->idle_ns &&
           a->min_rate.bytes == b->min_rate.bytes && a->min_rate.per_ns == b->min_rate.per_ns &&
           have_same_streams(a->streams, b->streams);
}

void snapshot_free(struct snapshot *snapshot)
{
    if (snapshot)
        arena_free(snapshot->arena);
}
