#include "app/service.h"

#include "runtime/listen.h"

void service_say_what(struct service *service)
{
    const struct snapshot *snapshot = proxy_snapshot(service->proxy);

    event_log_put(&service->log, LOG_DEBUG, "configuration %s: upstreams %u, pools %u, routes %u, workers %u",
                  service->config_path, snapshot->upstream_count, snapshot->pool_count, snapshot->route_count,
                  service->proxy->worker_count);
}

static void say_of_admin(struct service *service, const struct admin_listener *listener, const char *what)
{
    char block[256];
    struct text text = text_over(block, sizeof(block));

    if (listener == NULL)
        return;
    admin_listener_put_address(listener, &text);
    event_log_put(&service->log, LOG_INFO, "%s %.*s", what, SPAN_FMT(text_span(&text)));
}

void service_say_where(struct service *service)
{
    char block[256];

    LIST_FOREACH(node, &service->proxy->listeners) {
        struct listener *step = CONTAINER_OF(node, struct listener, node);
        struct text text = text_over(block, sizeof(block));

        if (step->is_told)
            continue;
        step->is_told = true;

        listen_put_address(&text, step->address, step->fd);
        event_log_put(&service->log, LOG_INFO, "upstream %s listens on %.*s", step->upstream->name,
                      SPAN_FMT(text_span(&text)));
    }
    if (service->admin != NULL && !service->admin_is_told) {
        service->admin_is_told = true;
        say_of_admin(service, admin_listener(service->admin), "admin listens on");
        say_of_admin(service, admin_metrics_listener(service->admin), "metrics are served on");
    }
}
