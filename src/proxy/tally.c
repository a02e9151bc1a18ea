#include "proxy/tally.h"

#include "proxy/proxy.h"
#include "proxy/worker.h"

static void answer(struct broadcast *broadcast, struct worker *pw)
{
    struct tally *tally = CONTAINER_OF(broadcast, struct tally, broadcast);

    pthread_mutex_lock(&tally->lock);
    metrics_add(tally->sum, pw->metrics);
    stuck_calls_take(&tally->stuck, &pw->stuck);
    pthread_mutex_unlock(&tally->lock);
}

static void all_have_answered(struct broadcast *broadcast)
{
    struct tally *tally = CONTAINER_OF(broadcast, struct tally, broadcast);

    tally->under_way = false;
    tally->done(tally);
}

enum status tally_init(struct tally *tally, struct proxy *proxy, void (*done)(struct tally *tally))
{
    *tally = (struct tally){.done = done};
    if (broadcast_init(&tally->broadcast, proxy) != ST_OK)
        return ST_NOMEM;
    pthread_mutex_init(&tally->lock, NULL);
    return ST_OK;
}

void tally_fini(struct tally *tally)
{
    if (tally->under_way)
        mailbox_cancel(tally->broadcast.proxy->home, &tally->broadcast.reply);
    metrics_free(tally->sum);
    pthread_mutex_destroy(&tally->lock);
    broadcast_fini(&tally->broadcast);
}

/* A block that is large enough is used again. */
static bool make_room(struct tally *tally)
{
    const struct numbering *numbering = &tally->broadcast.proxy->numbering;
    struct metrics *sum = tally->sum;

    if (sum != NULL && sum->upstream_count >= numbering->upstreams.count &&
        sum->route_count >= numbering->routes.count) {
        metrics_clear(sum);
        return true;
    }
    sum = metrics_new(numbering->upstreams.count, numbering->routes.count);
    if (sum == NULL)
        return false;
    metrics_free(tally->sum);
    tally->sum = sum;
    return true;
}

bool tally_ask(struct tally *tally)
{
    if (tally->under_way || !make_room(tally))
        return false;
    tally->under_way = true;
    tally->stuck.count = 0;
    broadcast_start(&tally->broadcast, answer, all_have_answered);
    return true;
}
