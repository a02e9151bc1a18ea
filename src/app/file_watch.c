#include "app/file_watch.h"

#include <string.h>

#include "app/reload.h"
#include "app/service.h"
#include "base/number.h"
#include "runtime/loop.h"

/* With what is waited for until all is still, well below the two seconds after the last write that are promised. */
#define EVERY_NS (200 * NS_PER_MS)

/* After a load that failed for want of memory or descriptors, whatever the files say. */
#define RETRY_NS (5 * NS_PER_S)

/* Takes what the list has as seen. */
static void see(struct file_watch *watch, struct file_list *now)
{
    file_list_fini(&watch->seen);
    watch->seen = *now;
    *now = (struct file_list){0};
}

/* Without memory for it, the next time will do. */
static void look(struct file_watch *watch)
{
    struct file_list now = {0};
    const char *changed;

    if (config_file_look(watch->service->config, &now) &&
        (changed = file_list_difference(&watch->seen, &now)) != NULL) {
        if (!watch->settle.has_changed)
            event_log_put(&watch->service->log, LOG_INFO, "watch: %s has changed", changed);
        settle_changed(&watch->settle, loop_clock_ns());
        see(watch, &now);
    }
    file_list_fini(&now);
}

static void tick(evutil_socket_t fd, short what, void *arg)
{
    struct file_watch *watch = arg;

    (void)fd;
    (void)what;
    if (watch->service->draining || watch->service->reloading)
        return;
    look(watch);
    if (settle_take(&watch->settle, loop_clock_ns()))
        reload_ask(watch->service);
}

enum status file_watch_init(struct file_watch *watch, struct service *service)
{
    watch->service = service;
    watch->tick = event_new(service->base, -1, EV_PERSIST, tick, watch);
    if (watch->tick == NULL)
        return ST_NOMEM;
    file_watch_renew(watch);
    return ST_OK;
}

void file_watch_fini(struct file_watch *watch)
{
    if (watch->tick != NULL)
        event_free(watch->tick);
    file_list_fini(&watch->seen);
}

void file_watch_renew(struct file_watch *watch)
{
    static const struct timeval every = {.tv_usec = EVERY_NS / NS_PER_US};
    const struct service *service = watch->service;
    struct file_list loaded = {0};

    watch->settle = (struct settle){0};
    if (!proxy_snapshot(service->proxy)->watch || strcmp(service->config_path, "-") == 0) {
        (void)event_del(watch->tick); /* which may not be pending */
        return;
    }
    /* Without the memory, files that are as they were look as if they had changed: that is one reload too many. */
    if (!file_list_append(&loaded, &service->config->sources) ||
        !file_list_append(&loaded, &service->config->named))
        file_list_fini(&loaded);
    see(watch, &loaded);
    if (service->config->is_short)
        settle_changed(&watch->settle, loop_clock_ns() + RETRY_NS);
    if (!event_pending(watch->tick, EV_TIMEOUT, NULL) && event_add(watch->tick, &every) != 0)
        event_log_put(&watch->service->log, LOG_ERROR, "watch: not enough memory to watch the files");
}
