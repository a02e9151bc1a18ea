#include "admin/labels.h"

#include "base/mem.h"
#include "proxy/generation.h"

static void label(struct labels *labels, const struct upstream_config *upstream)
{
    if (upstream->index < labels->upstream_count) {
        labels->upstreams[upstream->index] = upstream->name;
        labels->forwards[upstream->index] = upstream->forward != NULL;
    }
    for (uint32_t id = 0; id <= upstream->route_count; id++) {
        const struct route_config *route = snapshot_route(upstream, id);

        if (route->index < labels->route_count)
            labels->routes[route->index] = (struct route_label){route->name, upstream->index};
    }
}

bool labels_init(struct labels *labels, const struct proxy *proxy, uint32_t upstream_count,
                 uint32_t route_count)
{
    *labels = (struct labels){
        .upstream_count = upstream_count,
        .route_count = route_count,
        .upstreams = mem_calloc(upstream_count, sizeof(char *)),
        .forwards = mem_calloc(upstream_count, sizeof(bool)),
        .routes = mem_calloc(route_count, sizeof(struct route_label)),
    };
    if (!labels->upstreams || !labels->forwards || !labels->routes)
        return false;
    LIST_FOREACH(node, &proxy->generations) {
        const struct snapshot *snapshot = CONTAINER_OF(node, struct generation, node)->snapshot;

        for (uint32_t i = 0; i < snapshot->upstream_count; i++)
            label(labels, &snapshot->upstreams[i]);
    }
    return true;
}

void labels_fini(struct labels *labels)
{
    mem_free(labels->upstreams);
    mem_free(labels->forwards);
    mem_free(labels->routes);
}

const char *labels_upstream(const struct labels *labels, uint32_t upstream)
{
    return upstream < labels->upstream_count ? labels->upstreams[upstream] : NULL;
}

bool labels_is_forward(const struct labels *labels, uint32_t upstream)
{
    return upstream < labels->upstream_count && labels->forwards[upstream];
}

const char *labels_route(const struct labels *labels, uint32_t route)
{
    return route < labels->route_count ? labels->routes[route].name : NULL;
}
