#include "app/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/service.h"
#include "app/systemd.h"
#include "runtime/loop.h"

/* How often, if nothing asks for more. */
#define EVERY_NS  NS_PER_S
/* While draining, the time that is asked for each time; well beyond the next one. */
#define EXTEND_NS (10 * NS_PER_S)

static void say_status(struct watch *watch, unsigned long long in_flight, unsigned long long stuck)
{
    char text[sizeof(watch->status)];

    snprintf(text, sizeof(text), "%s%llu calls in flight, %llu got stuck so far",
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

static void all_loops_turn(struct pulse *pulse)
{
    struct watch *watch = CONTAINER_OF(pulse, struct watch, pulse);

    if (watch->feeds)
        systemd_alive();
    if (watch->service->draining)
        systemd_extend(EXTEND_NS);
    say_status(watch, atomic_load(&pulse->in_flight), atomic_load(&pulse->stuck));
}

static void tick(evutil_socket_t fd, short what, void *arg)
{
    struct watch *watch = arg;

    (void)fd;
    (void)what;
    if (watch->tells_systemd || watch->service->log.level >= LOG_DEBUG)
        pulse_ask(&watch->pulse);
}

/* Twice within the time that may pass, and no less often than every second; the status line has that rhythm too. */
static struct timeval rhythm(int64_t watchdog_ns)
{
    int64_t every_ns = watchdog_ns != 0 && watchdog_ns / 2 < EVERY_NS ? watchdog_ns / 2 : EVERY_NS;

    return (struct timeval){every_ns / NS_PER_S, every_ns % NS_PER_S / NS_PER_US};
}

enum status watch_init(struct watch *watch, struct service *service)
{
    int64_t watchdog_ns = systemd_watchdog_ns();
    struct timeval every = rhythm(watchdog_ns);

    watch->service = service;
    watch->feeds = watchdog_ns != 0;
    watch->tells_systemd = getenv("NOTIFY_SOCKET") != NULL;
    watch->has_pulse = pulse_init(&watch->pulse, service->proxy, all_loops_turn) == ST_OK;
    if (!watch->has_pulse)
        return ST_NOMEM;
    watch->tick = event_new(service->base, -1, EV_PERSIST, tick, watch);
    return watch->tick != NULL && event_add(watch->tick, &every) == 0 ? ST_OK : ST_NOMEM;
}

void watch_fini(struct watch *watch)
{
    if (watch->tick != NULL)
        event_free(watch->tick);
    if (watch->has_pulse)
        pulse_fini(&watch->pulse);
}
