#include "proxy/drain.h"

#include "base/mem.h"
#include "proxy/call.h"
#include "proxy/downstream.h"
#include "proxy/errand.h"
#include "proxy/proxy.h"
#include "proxy/proxy_worker.h"

struct drain {
    struct errand errand;
    drain_fn done;
    void *arg;
    uint32_t busy; /* workers that have callers */
};

void drain_worker_is_empty(struct proxy_worker *pw)
{
    if (pw->empty)
        return;
    pw->empty = true;
    mailbox_post(pw->proxy->home, &pw->emptied);
}

void drain_worker_emptied(struct mail *mail)
{
    struct proxy_worker *pw = CONTAINER_OF(mail, struct proxy_worker, emptied);
    struct drain *drain = pw->proxy->drain;

    drain->busy--;
    if (drain->busy == 0)
        drain->done(drain->arg);
}

/* Those whom nobody else knows are let in first: the socket is about to be closed. */
static void close_doors(struct proxy_worker *pw)
{
    LIST_FOREACH(node, &pw->doorways) {
        struct doorway *doorway = CONTAINER_OF(node, struct doorway, node);

        if (doorway->step->handed == NULL)
            acceptor_empty(&doorway->acceptor);
    }
    LIST_FOREACH(node, &pw->downstreams) {
        struct downstream *downstream = CONTAINER_OF(node, struct downstream, node);

        downstream->doorway = NULL;
        downstream_wind_down(downstream);
    }
    proxy_worker_stop_doorways(pw);
}

static void turn_waiters_away(struct list_node *calls)
{
    struct list_node *next = calls->next;

    while (next != calls) {
        struct call *call = CONTAINER_OF(next, struct call, node);

        next = next->next;
        if (call->fsm.state == CALL_QUEUED)
            call_end(call, CAUSE_DRAINING, NULL);
    }
}

static void begin(struct errand *errand, struct proxy_worker *pw)
{
    (void)errand;
    if (pw->resolver == NULL)
        return;
    pw->draining = true;
    close_doors(pw);
    for (uint32_t i = 0; i < pw->pool_places; i++)
        turn_waiters_away(&pw->calls[i]);
    turn_waiters_away(&pw->unseen);
    if (pw->downstream_count == 0)
        drain_worker_is_empty(pw);
}

static void all_have_begun(struct errand *errand)
{
    doorsteps_close(&errand->proxy->doorsteps);
}

enum status proxy_drain(struct proxy *proxy, drain_fn done, void *arg)
{
    struct drain *drain = mem_zalloc(sizeof(*drain));

    atomic_store(&proxy->ready, false);
    if (drain == NULL || errand_init(&drain->errand, proxy) != ST_OK) {
        mem_free(drain);
        return ST_NOMEM;
    }
    drain->done = done;
    drain->arg = arg;
    drain->busy = proxy->worker_count;
    proxy->drain = drain;
    errand_start(&drain->errand, begin, all_have_begun);
    return ST_OK;
}

void drain_free(struct proxy *proxy)
{
    struct drain *drain = proxy->drain;

    if (drain == NULL)
        return;
    proxy->drain = NULL;
    errand_fini(&drain->errand);
    mem_free(drain);
}
