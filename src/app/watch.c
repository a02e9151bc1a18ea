#include "app/watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/service.h"
#include "app/systemd.h"
#include "base/mem.h"
#include "runtime/loop.h"
#include "stats/history.h"

/* While draining, the time that is asked for each time; well beyond the next one. */
#define EXTEND_NS (10 * NS_PER_S)

struct watch {
    struct service *service;
    struct heartbeat_listener listener;
    bool listens;
    bool feeds; /* the watchdog */
    bool tells_systemd;
    char status[128]; /* as last sent */
};

static void say_status(struct watch *watch, const struct metrics *sum)
{
    struct history_totals ended = {0};
    uint64_t in_flight = 0, stuck = 0;
    char text[sizeof(watch->status)];

    for (uint32_t i = 0; i < sum->route_count; i++) {
        in_flight += sum->routes[i].started[0];
        history_add_route(&ended, &sum->routes[i]);
    }
    for (int phase = 0; phase < PHASE_COUNT; phase++)
        stuck += ended.stuck[phase];
    in_flight -= ended.completed + ended.failed + ended.rejected + ended.abandoned + stuck;

    snprintf(text, sizeof(text), "%s%" PRIu64 " calls in flight, %" PRIu64 " got stuck so far",
             watch->service->delaying   ? "about to drain: "
             : watch->service->draining ? "draining: "
                                        : "",
             in_flight, stuck);
    if (strcmp(text, watch->status) == 0)
        return;
    memcpy(watch->status, text, sizeof(text));
    systemd_status(text);
    event_log_put(&watch->service->log, LOG_DEBUG, "%s", text);
}

static void all_loops_turn(struct heartbeat_listener *listener, const struct heartbeat *heartbeat)
{
    struct watch *watch = CONTAINER_OF(listener, struct watch, listener);

    if (watch->feeds)
        systemd_alive();
    if (watch->service->draining)
        systemd_extend(EXTEND_NS);
    if (heartbeat->sum != NULL)
        say_status(watch, heartbeat->sum);
}

int64_t watch_rhythm_ns(void)
{
    int64_t watchdog_ns = systemd_watchdog_ns();

    return watchdog_ns != 0 && watchdog_ns / 2 < NS_PER_S ? watchdog_ns / 2 : NS_PER_S;
}

struct watch *watch_new(struct service *service)
{
    struct watch *watch = mem_zalloc(sizeof(*watch));

    if (watch == NULL)
        return NULL;
    watch->service = service;
    watch->feeds = systemd_watchdog_ns() != 0;
    watch->tells_systemd = getenv("NOTIFY_SOCKET") != NULL;
    watch->listener.beat = all_loops_turn;
    watch_renew(watch);
    return watch;
}

void watch_renew(struct watch *watch)
{
    struct service *service = watch->service;
    bool is_wanted = watch->tells_systemd || service->log.level >= LOG_DEBUG;

    if (is_wanted && !watch->listens)
        heartbeat_listen(&service->proxy->heartbeat, &watch->listener);
    if (!is_wanted && watch->listens)
        heartbeat_leave(&watch->listener);
    watch->listens = is_wanted;
}

void watch_free(struct watch *watch)
{
    if (watch == NULL)
        return;
    if (watch->listens)
        heartbeat_leave(&watch->listener);
    mem_free(watch);
}
