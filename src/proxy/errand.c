#include "proxy/errand.h"

#include "base/mem.h"
#include "proxy/proxy.h"
#include "proxy/proxy_worker.h"

static void all_have(struct mail *mail)
{
    struct errand *errand = CONTAINER_OF(mail, struct errand, reply);

    errand->done(errand);
}

static void run_leg(struct mail *mail)
{
    struct errand_leg *leg = CONTAINER_OF(mail, struct errand_leg, mail);
    struct errand *errand = leg->errand;
    struct mailbox *home = errand->proxy->home;

    errand->run(errand, leg->worker);
    if (atomic_fetch_sub(&errand->left, 1) == 1)
        mailbox_post(home, &errand->reply);
}

enum status errand_init(struct errand *errand, struct proxy *proxy)
{
    uint32_t count = proxy->worker_count;

    *errand = (struct errand){.proxy = proxy, .legs = mem_calloc(count, sizeof(struct errand_leg))};
    if (errand->legs == NULL)
        return ST_NOMEM;
    mail_init(&errand->reply, all_have);
    for (uint32_t i = 0; i < count; i++) {
        struct errand_leg *leg = &errand->legs[i];

        mail_init(&leg->mail, run_leg);
        leg->errand = errand;
        leg->worker = proxy->workers[i];
    }
    return ST_OK;
}

void errand_fini(struct errand *errand)
{
    mem_free(errand->legs);
    errand->legs = NULL;
}

void errand_start(struct errand *errand, errand_run_fn run, errand_done_fn done)
{
    struct proxy *proxy = errand->proxy;

    errand->run = run;
    errand->done = done;
    atomic_store(&errand->left, proxy->worker_count);
    for (uint32_t i = 0; i < proxy->worker_count; i++)
        mailbox_post(&proxy->loops[i]->mailbox, &errand->legs[i].mail);
}
