#include "proxy/broadcast.h"

#include "base/invariant.h"
#include "base/mem.h"
#include "proxy/proxy.h"
#include "proxy/worker.h"

static void all_have(struct mail *mail)
{
    struct broadcast *broadcast = CONTAINER_OF(mail, struct broadcast, reply);

    PRE(broadcast->under_way && atomic_load(&broadcast->left) == 0);
    broadcast->under_way = false;
    broadcast->done(broadcast);
}

static void run_part(struct mail *mail)
{
    struct broadcast_part *part = CONTAINER_OF(mail, struct broadcast_part, mail);
    struct broadcast *broadcast = part->broadcast;
    struct mailbox *home = broadcast->proxy->home;

    PRE(atomic_load(&broadcast->left) > 0); /* it has not answered yet */
    part->again = false;
    broadcast->run(broadcast, part->worker);
    if (part->again)
        loop_defer(&part->worker->loop, &part->mail);
    else if (atomic_fetch_sub(&broadcast->left, 1) == 1)
        mailbox_post(home, &broadcast->reply);
}

enum status broadcast_init(struct broadcast *broadcast, struct proxy *proxy)
{
    uint32_t count = proxy->worker_count;

    *broadcast =
        (struct broadcast){.proxy = proxy, .parts = mem_calloc(count, sizeof(struct broadcast_part))};
    if (broadcast->parts == NULL)
        return ST_NOMEM;
    pthread_mutex_init(&broadcast->lock, NULL);
    mail_init(&broadcast->reply, all_have);
    for (uint32_t i = 0; i < count; i++) {
        struct broadcast_part *part = &broadcast->parts[i];

        mail_init(&part->mail, run_part);
        part->broadcast = broadcast;
        part->worker = proxy->workers[i];
    }
    return ST_OK;
}

void broadcast_fini(struct broadcast *broadcast)
{
    if (broadcast->under_way)
        mailbox_cancel(broadcast->proxy->home, &broadcast->reply);
    pthread_mutex_destroy(&broadcast->lock);
    mem_free(broadcast->parts);
    broadcast->parts = NULL;
}

void broadcast_start(struct broadcast *broadcast, broadcast_run_fn run, broadcast_done_fn done)
{
    struct proxy *proxy = broadcast->proxy;

    PRE(!broadcast->under_way); /* the parts are in the workers' mailboxes until they have answered */
    broadcast->run = run;
    broadcast->done = done;
    broadcast->under_way = true;
    broadcast->renamed = proxy->renamed;
    atomic_store(&broadcast->left, proxy->worker_count);
    for (uint32_t i = 0; i < proxy->worker_count; i++)
        mailbox_post(&proxy->loops[i]->mailbox, &broadcast->parts[i].mail);
}

void broadcast_run_again(struct broadcast *broadcast, const struct worker *pw)
{
    PRE(loop_is_own(&pw->loop) && broadcast->parts[pw->loop.index].worker == pw);
    broadcast->parts[pw->loop.index].again = true;
}

bool broadcast_is_stale(const struct broadcast *broadcast)
{
    return broadcast->renamed != broadcast->proxy->renamed;
}
