#include "app/file_watch.h"

#include <string.h>

#include "app/file_list.h"
#include "app/service.h"
#include "base/mem.h"
#include "base/number.h"
#include "core/settle.h"
#include "runtime/loop.h"

/* While all is still, and while something changes: with what it has to be still for, well below the 2 s promised. */
#define EVERY_NS      (500 * NS_PER_MS)
#define EVERY_SOON_NS (200 * NS_PER_MS)

/* After a load that failed for want of memory or descriptors, whatever the files say. */
#define RETRY_NS      (5 * NS_PER_S)

struct file_watch {
    struct service *service;
    void (*reload)(struct service *service);
    struct timer tick;     /* set while files are watched */
    struct file_list seen; /* as they were when they were last looked at */
    struct settle settle;
};

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

/* In step with the heartbeat, which wakes the main thread up as well. */
static void look_again(struct file_watch *watch, int64_t now_ns)
{
    int64_t every_ns = watch->settle.has_changed ? EVERY_SOON_NS : EVERY_NS;
    int64_t next_ns = timer_next_multiple(watch->service->proxy->heartbeat.began_ns, every_ns, now_ns);

    timer_set(&watch->service->loop.timers, &watch->tick, next_ns);
}

static void tick(struct timer *timer, int64_t now_ns)
{
    struct file_watch *watch = CONTAINER_OF(timer, struct file_watch, tick);
    bool looks = !watch->service->draining && !watch->service->reloading;

    if (looks)
        look(watch);
    look_again(watch, now_ns);
    if (looks && settle_take(&watch->settle, loop_clock_ns()))
        watch->reload(watch->service);
}

struct file_watch *file_watch_new(struct service *service, void (*reload)(struct service *service))
{
    struct file_watch *watch = mem_zalloc(sizeof(*watch));

    if (watch == NULL || timer_init(&service->loop.timers, &watch->tick, tick) != ST_OK) {
        mem_free(watch);
        return NULL;
    }
    watch->service = service;
    watch->reload = reload;
    file_watch_renew(watch);
    return watch;
}

void file_watch_free(struct file_watch *watch)
{
    if (watch == NULL)
        return;
    timer_fini(&watch->service->loop.timers, &watch->tick);
    file_list_fini(&watch->seen);
    mem_free(watch);
}

void file_watch_renew(struct file_watch *watch)
{
    struct service *service = watch->service;
    struct file_list loaded = {0};

    watch->settle = (struct settle){0};
    if (!proxy_snapshot(service->proxy)->watch || strcmp(service->config_path, "-") == 0) {
        timer_set(&service->loop.timers, &watch->tick, NS_NEVER);
        return;
    }
    /* Without the memory, files that are as they were look as if they had changed: that is one reload too many. */
    if (!file_list_append(&loaded, &service->config->sources) ||
        !file_list_append(&loaded, &service->config->named))
        file_list_fini(&loaded);
    see(watch, &loaded);
    if (service->config->is_short)
        settle_changed(&watch->settle, loop_clock_ns() + RETRY_NS);
    look_again(watch, loop_now(&service->loop));
}
