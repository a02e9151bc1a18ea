#include "proxy/scrape.h"

#include <pthread.h>
#include <stdbool.h>

#include "base/mem.h"
#include "proxy/proxy.h"
#include "proxy/worker.h"

struct question {
    struct mail mail;
    struct scrape *scrape;
    struct worker *worker;
};

struct scrape {
    struct proxy *proxy;
    pthread_mutex_t lock;
    struct metrics *sum; /* under lock until all have answered */
    uint32_t unanswered; /* under lock */
    bool forgotten;      /* under lock */
    bool with_histograms;
    struct mailbox *reply_to;
    struct mail reply;
    scrape_fn done;
    void *arg;
    struct question questions[];
};

static void free_scrape(struct scrape *scrape)
{
    atomic_fetch_sub(&scrape->proxy->scrape_count, 1);
    metrics_free(scrape->sum);
    pthread_mutex_destroy(&scrape->lock);
    mem_free(scrape);
}

static void all_answered(struct mail *mail)
{
    struct scrape *scrape = CONTAINER_OF(mail, struct scrape, reply);

    /* The worker that posted this may still be on its way out of the lock. */
    pthread_mutex_lock(&scrape->lock);
    pthread_mutex_unlock(&scrape->lock);
    for (int i = 0; i < RESULT_COUNT; i++)
        scrape->sum->process.reloads[i] += scrape->proxy->reloads[i];
    scrape->done(scrape->arg, scrape->sum);
    free_scrape(scrape);
}

static void answer(struct mail *mail)
{
    struct question *question = CONTAINER_OF(mail, struct question, mail);
    struct scrape *scrape = question->scrape;
    bool nobody_waits;

    /* Which takes its time if there are many calls: no other worker is to wait for that. */
    worker_gauge(question->worker);
    pthread_mutex_lock(&scrape->lock);
    worker_add_metrics(question->worker, scrape->sum);
    if (scrape->with_histograms)
        metrics_add_histograms(scrape->sum, question->worker->metrics);
    scrape->unanswered--;
    nobody_waits = scrape->unanswered == 0 && scrape->forgotten;
    if (scrape->unanswered == 0 && !scrape->forgotten)
        mailbox_post(scrape->reply_to, &scrape->reply);
    pthread_mutex_unlock(&scrape->lock);
    if (nobody_waits)
        free_scrape(scrape);
}

static struct scrape *start(struct proxy *proxy, bool with_histograms, struct mailbox *reply_to,
                            scrape_fn done, void *arg)
{
    uint32_t count = proxy->worker_count;
    struct scrape *scrape = mem_zalloc(sizeof(*scrape) + count * sizeof(struct question));

    if (scrape == NULL)
        return NULL;
    scrape->proxy = proxy;
    scrape->sum = metrics_new(proxy->numbering.upstreams.count, proxy->numbering.routes.count);
    if (scrape->sum == NULL) {
        mem_free(scrape);
        return NULL;
    }
    pthread_mutex_init(&scrape->lock, NULL);
    atomic_fetch_add(&proxy->scrape_count, 1);
    scrape->unanswered = count;
    scrape->with_histograms = with_histograms;
    scrape->reply_to = reply_to;
    mail_init(&scrape->reply, all_answered);
    scrape->done = done;
    scrape->arg = arg;
    for (uint32_t i = 0; i < count; i++) {
        struct question *question = &scrape->questions[i];

        question->scrape = scrape;
        question->worker = proxy->workers[i];
        mail_init(&question->mail, answer);
    }
    for (uint32_t i = 0; i < count; i++)
        mailbox_post(&proxy->loops[i]->mailbox, &scrape->questions[i].mail);
    return scrape;
}

struct scrape *scrape_start(struct proxy *proxy, struct mailbox *reply_to, scrape_fn done, void *arg)
{
    return start(proxy, false, reply_to, done, arg);
}

struct scrape *scrape_start_histograms(struct proxy *proxy, struct mailbox *reply_to, scrape_fn done,
                                       void *arg)
{
    return start(proxy, true, reply_to, done, arg);
}

void scrape_forget(struct scrape *scrape)
{
    bool answered;

    pthread_mutex_lock(&scrape->lock);
    scrape->forgotten = true;
    answered = scrape->unanswered == 0;
    pthread_mutex_unlock(&scrape->lock);
    if (!answered)
        return;
    mailbox_cancel(scrape->reply_to, &scrape->reply);
    free_scrape(scrape);
}
