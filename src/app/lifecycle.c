#include "app/lifecycle.h"

#include <signal.h>

#include "app/reload.h"
#include "app/service.h"
#include "base/list.h"
#include "base/number.h"
#include "core/budget.h"
#include "proxy/drain.h"

/* What a stop may take beyond its drain. */
#define STOP_SPARE_NS (5 * NS_PER_S)
/* A worker that does not answer by then is not waited for. */
#define HASTE_NS      NS_PER_S

static void has_left(void *arg)
{
    struct service *service = arg;

    loop_stop(&service->loop);
}

/* What the fleet has lent is of use to others at once, if they are told. */
static void drained(void *arg)
{
    struct service *service = arg;

    /* Those that were ended are not meant. */
    if (service->ending)
        return;
    event_log_put(&service->log, LOG_INFO, "drain: all calls have ended");
    if (service->proxy->fleet != NULL)
        fleet_leave(service->proxy->fleet, has_left, service);
    else
        has_left(service);
}

static void end_at_once(struct service *service)
{
    service->ending = true;
    loop_stop(&service->loop);
}

static void time_is_up(struct timer *timer, int64_t now_ns)
{
    struct service *service = CONTAINER_OF(timer, struct service, drain_is_over);

    (void)now_ns;
    event_log_put(&service->log, LOG_WARN, "drain: the time for it is up, calls in flight are ended");
    end_at_once(service);
}

static void set_time(struct service *service, struct timer *timer, int64_t for_ns)
{
    timer_set(&service->loop.timers, timer, budget_end(loop_refresh_now(&service->loop), for_ns));
}

static void waiters_are_gone(void *arg)
{
    struct service *service = arg;

    if (service->hasty)
        end_at_once(service);
}

/*
 * A call ends by its deadline, so this takes no longer than the longest one in flight, whatever `drain_ns` allows. It
 * is begun even where that is 0: those who wait are refused before permits come back from the calls that are ended, or
 * some would get one, and be sent to the API in vain.
 */
static void drain(struct service *service, int64_t drain_ns)
{
    service->delaying = false;
    service->hasty = drain_ns == 0;
    set_time(service, &service->drain_is_over, service->hasty ? HASTE_NS : drain_ns);
    if (proxy_drain(service->proxy, waiters_are_gone, drained, service) != ST_OK)
        end_at_once(service);
}

static void delay_is_over(struct timer *timer, int64_t now_ns)
{
    struct service *service = CONTAINER_OF(timer, struct service, delay_is_over);

    (void)now_ns;
    event_log_put(&service->log, LOG_INFO, "drain: drain_delay is over, no more calls are taken");
    drain(service, proxy_snapshot(service->proxy)->drain_ns);
}

/*
 * Whoever asks hears of it from now on. Those who send calls, a load balancer or the proxies of a cluster, may hear of
 * it later, so calls are taken as ever for as long as drain_delay says.
 */
static void begin_end(struct service *service)
{
    const struct snapshot *snapshot = proxy_snapshot(service->proxy);

    service->draining = true;
    proxy_announce_end(service->proxy);
    systemd_stopping(snapshot->drain_delay_ns + snapshot->drain_ns + STOP_SPARE_NS);
    service->delaying = snapshot->drain_delay_ns != 0;
    if (service->delaying)
        set_time(service, &service->delay_is_over, snapshot->drain_delay_ns);
    else
        drain(service, snapshot->drain_ns);
}

static void end_soon(struct service *service)
{
    if (!service->delaying) {
        end_at_once(service);
        return;
    }
    timer_set(&service->loop.timers, &service->delay_is_over, NS_NEVER);
    drain(service, 0);
}

static void end_asked(evutil_socket_t number, short what, void *arg)
{
    struct service *service = arg;

    (void)what;
    if (service->draining) {
        event_log_put(&service->log, LOG_INFO, "signal %d: ending at once", (int)number);
        end_soon(service);
        return;
    }
    event_log_put(&service->log, LOG_INFO, "signal %d: ending", (int)number);
    begin_end(service);
}

static void reload_asked(evutil_socket_t number, short what, void *arg)
{
    (void)number;
    (void)what;
    reload_ask(arg);
}

static void reopen_asked(evutil_socket_t number, short what, void *arg)
{
    struct service *service = arg;
    char why[512];

    (void)number;
    (void)what;
    if (proxy_reopen_log(service->proxy, why, sizeof(why)))
        event_log_put(&service->log, LOG_INFO, "log: opened anew");
    else
        event_log_put(&service->log, LOG_ERROR, "log: %s; going on with the old one", why);
}

enum status lifecycle_init(struct service *service)
{
    static const struct {
        int number;
        event_callback_fn came;
    } signals[SERVICE_SIGNALS] = {
        {SIGTERM, end_asked},
        {SIGINT, end_asked},
        {SIGHUP, reload_asked},
        {SIGUSR1, reopen_asked},
    };

    if (timer_init(&service->loop.timers, &service->delay_is_over, delay_is_over) != ST_OK ||
        timer_init(&service->loop.timers, &service->drain_is_over, time_is_up) != ST_OK)
        return ST_NOMEM;
    for (int i = 0; i < SERVICE_SIGNALS; i++) {
        service->signals[i] = evsignal_new(service->loop.base, signals[i].number, signals[i].came, service);
        if (service->signals[i] == NULL || event_add(service->signals[i], NULL) < 0)
            return ST_NOMEM;
    }
    return ST_OK;
}

void lifecycle_fini(struct service *service)
{
    for (int i = 0; i < SERVICE_SIGNALS; i++)
        if (service->signals[i] != NULL)
            event_free(service->signals[i]);
    if (service->delay_is_over.fn != NULL)
        timer_fini(&service->loop.timers, &service->delay_is_over);
    if (service->drain_is_over.fn != NULL)
        timer_fini(&service->loop.timers, &service->drain_is_over);
}
