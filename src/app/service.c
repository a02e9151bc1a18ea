#include "app/service.h"

#include "runtime/listen.h"

void service_say_what(struct service *service)
{
    const struct snapshot *snapshot = proxy_snapshot(service->proxy);

    event_log_put(&service->log, LOG_DEBUG, "configuration %s: upstreams %u, pools %u, routes %u, workers %u",
                  service->config_path, snapshot->upstream_count, snapshot->pool_count, snapshot->route_count,
                  service->proxy->worker_count);
}

void service_say_where(struct service *service)
{
    char block[256];

    LIST_FOREACH(node, &service->proxy->doorsteps) {
        struct doorstep *step = CONTAINER_OF(node, struct doorstep, node);
        struct text text = text_over(block, sizeof(block));

        if (step->is_told)
            continue;
        step->is_told = true;

        listen_put_address(&text, step->address, step->fd);
        event_log_put(&service->log, LOG_INFO, "upstream %s listens on %.*s", step->upstream->name,
                      SPAN_FMT(text_span(&text)));
    }
    if (service->admin != NULL && !service->admin_is_told) {
        struct text text = text_over(block, sizeof(block));

        service->admin_is_told = true;
        admin_put_address(service->admin, &text);
        event_log_put(&service->log, LOG_INFO, "admin listens on %.*s", SPAN_FMT(text_span(&text)));
    }
}
