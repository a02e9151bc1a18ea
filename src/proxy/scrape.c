#include "proxy/scrape.h"

#include "base/invariant.h"
#include "base/mem.h"
#include "proxy/broadcast.h"
#include "proxy/proxy.h"
#include "proxy/worker.h"

struct scrape {
    struct broadcast broadcast;
    struct metrics *sum;
    bool with_histograms;
    scrape_fn done; /* NULL: it was forgotten */
    void *arg;
};

static void free_scrape(struct scrape *scrape)
{
    PRE(scrape->broadcast.proxy->scrape_count > 0 && !scrape->broadcast.under_way);
    scrape->broadcast.proxy->scrape_count--;
    metrics_free(scrape->sum);
    broadcast_fini(&scrape->broadcast);
    mem_free(scrape);
}

static void answer(struct broadcast *broadcast, struct worker *pw)
{
    struct scrape *scrape = CONTAINER_OF(broadcast, struct scrape, broadcast);

    /* Which takes its time if there are many calls: no other worker is to wait for that. */
    worker_gauge(pw);
    pthread_mutex_lock(&broadcast->lock);
    worker_add_metrics(pw, scrape->sum);
    if (scrape->with_histograms)
        metrics_add_histograms(scrape->sum, pw->context.metrics);
    pthread_mutex_unlock(&broadcast->lock);
}

static void all_have_answered(struct broadcast *broadcast);

/* False: no memory. */
static bool ask(struct scrape *scrape)
{
    const struct numbering *numbering = &scrape->broadcast.proxy->numbering;

    metrics_free(scrape->sum);
    scrape->sum = metrics_new(numbering->upstreams.count, numbering->routes.count);
    if (scrape->sum == NULL)
        return false;
    broadcast_start(&scrape->broadcast, answer, all_have_answered);
    return true;
}

static void all_have_answered(struct broadcast *broadcast)
{
    struct scrape *scrape = CONTAINER_OF(broadcast, struct scrape, broadcast);

    if (scrape->done != NULL && broadcast_is_stale(broadcast) && ask(scrape))
        return;
    for (int i = 0; scrape->sum != NULL && i < RESULT_COUNT; i++)
        scrape->sum->process.reloads[i] += broadcast->proxy->reloads[i];
    if (scrape->done != NULL)
        scrape->done(scrape->arg, scrape->sum);
    free_scrape(scrape);
}

struct scrape *scrape_start(struct proxy *proxy, bool with_histograms, scrape_fn done, void *arg)
{
    struct scrape *scrape = mem_zalloc(sizeof(*scrape));

    if (scrape == NULL || broadcast_init(&scrape->broadcast, proxy) != ST_OK) {
        mem_free(scrape);
        return NULL;
    }
    proxy->scrape_count++;
    scrape->with_histograms = with_histograms;
    scrape->done = done;
    scrape->arg = arg;
    if (ask(scrape))
        return scrape;
    free_scrape(scrape);
    return NULL;
}

void scrape_forget(struct scrape *scrape)
{
    scrape->done = NULL;
}
