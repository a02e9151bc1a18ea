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

/* How often, if nothing asks for more. */
#define EVERY_NS  NS_PER_S
/* How often is looked whether somebody wants it by now, whom a reload of log.level may have made. */
#define SELDOM_NS (10 * NS_PER_S)
/* While draining, the time that is asked for each time; well beyond the next one. */
#define EXTEND_NS (10 * NS_PER_S)

struct watch {
    struct service *service;
    struct timer tick;
    int64_t every_ns;
    struct heartbeat_listener listener;
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

static bool is_wanted(const struct watch *watch)
{
    return watch->tells_systemd || watch->service->log.level >= LOG_DEBUG;
}

static void tick(struct timer *timer, int64_t now_ns)
{
    struct watch *watch = CONTAINER_OF(timer, struct watch, tick);

    bool wanted = is_wanted(watch);

    timer_set(&watch->service->loop.timers, timer, now_ns + (wanted ? watch->every_ns : SELDOM_NS));
    if (wanted)
        heartbeat_ask(&watch->service->heartbeat);
}

/* Twice within the time that may pass, and no less often than every second; the status line has that rhythm too. */
static int64_t rhythm_ns(int64_t watchdog_ns)
{
    return watchdog_ns != 0 && watchdog_ns / 2 < EVERY_NS ? watchdog_ns / 2 : EVERY_NS;
}

struct watch *watch_new(struct service *service)
{
    int64_t watchdog_ns = systemd_watchdog_ns();
    struct watch *watch = mem_zalloc(sizeof(*watch));

    if (watch == NULL || timer_init(&service->loop.timers, &watch->tick, tick) != ST_OK) {
        mem_free(watch);
        return NULL;
    }
    watch->service = service;
    watch->every_ns = rhythm_ns(watchdog_ns);
    watch->feeds = watchdog_ns != 0;
    watch->tells_systemd = getenv("NOTIFY_SOCKET") != NULL;
    watch->listener.beat = all_loops_turn;
    list_push_back(&service->heartbeat.listeners, &watch->listener.node);
    timer_set(&service->loop.timers, &watch->tick, loop_now(&service->loop) + watch->every_ns);
    return watch;
}

void watch_free(struct watch *watch)
{
    if (watch == NULL)
        return;
    list_remove(&watch->listener.node);
    timer_fini(&watch->service->loop.timers, &watch->tick);
    mem_free(watch);
}
