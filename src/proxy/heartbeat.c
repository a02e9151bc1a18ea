#include "proxy/heartbeat.h"

#include "base/invariant.h"
#include "proxy/proxy.h"
#include "proxy/worker.h"

static void answer(struct broadcast *broadcast, struct worker *pw)
{
    struct heartbeat *heartbeat = CONTAINER_OF(broadcast, struct heartbeat, broadcast);

    PRE(loop_is_own(&pw->loop)); /* whose metrics these are */
    pthread_mutex_lock(&broadcast->lock);
    if (heartbeat->sum != NULL)
        metrics_add(heartbeat->sum, pw->context.metrics);
    stuck_calls_take(&heartbeat->stuck, &pw->context.stuck);
    late_calls_take(&heartbeat->late, &pw->context.late);
    pthread_mutex_unlock(&broadcast->lock);
}

static void all_have_answered(struct broadcast *broadcast)
{
    struct heartbeat *heartbeat = CONTAINER_OF(broadcast, struct heartbeat, broadcast);

    LIST_FOREACH(node, &heartbeat->listeners) {
        struct heartbeat_listener *listener = CONTAINER_OF(node, struct heartbeat_listener, node);

        listener->beat(listener, heartbeat);
    }
}

enum status heartbeat_init(struct heartbeat *heartbeat, struct proxy *proxy)
{
    *heartbeat = (struct heartbeat){.asked_ns = 0};
    list_init(&heartbeat->listeners);
    return broadcast_init(&heartbeat->broadcast, proxy);
}

void heartbeat_fini(struct heartbeat *heartbeat)
{
    metrics_free(heartbeat->sum);
    broadcast_fini(&heartbeat->broadcast);
}

/* A block that is large enough is used again. */
static void renew_sum(struct heartbeat *heartbeat)
{
    const struct numbering *numbering = &heartbeat->broadcast.proxy->numbering;
    struct metrics *sum = heartbeat->sum;

    if (sum != NULL && sum->upstream_count >= numbering->upstreams.count &&
        sum->route_count >= numbering->routes.count) {
        metrics_clear(sum);
        return;
    }
    metrics_free(sum);
    heartbeat->sum = metrics_new(numbering->upstreams.count, numbering->routes.count);
}

void heartbeat_ask(struct heartbeat *heartbeat)
{
    if (heartbeat->broadcast.under_way)
        return;
    renew_sum(heartbeat);
    heartbeat->stuck.count = heartbeat->late.count = 0;
    heartbeat->asked_ns = loop_clock_ns();
    broadcast_start(&heartbeat->broadcast, answer, all_have_answered);
}

int64_t heartbeat_unanswered_ns(const struct heartbeat *heartbeat)
{
    return heartbeat->broadcast.under_way ? loop_clock_ns() - heartbeat->asked_ns : 0;
}
