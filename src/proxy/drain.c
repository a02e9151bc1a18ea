#include "proxy/drain.h"

#include "base/invariant.h"
#include "base/mem.h"
#include "call/call.h"
#include "call/downstream.h"
#include "proxy/broadcast.h"
#include "proxy/proxy.h"
#include "proxy/worker.h"

struct drain {
    struct broadcast broadcast;
    drain_fn begun, done;
    void *arg;
    uint32_t busy; /* workers that have callers */
};

static void worker_emptied(struct mail *mail)
{
    struct worker *pw = CONTAINER_OF(mail, struct worker, emptied);
    struct drain *drain = pw->proxy->drain;

    PRE(drain->busy > 0); /* each worker says it once */
    drain->busy--;
    if (drain->busy == 0)
        drain->done(drain->arg);
}

/* This worker's last caller has gone. Its own thread. */
static void worker_is_empty(struct call_context *context)
{
    struct worker *pw = CONTAINER_OF(context, struct worker, context);

    PRE(context->draining && context->downstream_count == 0);
    if (pw->empty)
        return;
    pw->empty = true;
    mailbox_post(pw->proxy->home, &pw->emptied);
}

/* Those whom nobody else knows are let in first: the socket is about to be closed. */
static void close_doors(struct worker *pw)
{
    LIST_FOREACH(node, &pw->listeners) {
        struct listener_worker *lw = CONTAINER_OF(node, struct listener_worker, node);

        if (lw->listener->handed == NULL)
            acceptor_empty(&lw->acceptor);
    }
    LIST_FOREACH(node, &pw->context.downstreams) {
        struct downstream *downstream = CONTAINER_OF(node, struct downstream, node);

        downstream->listener = NULL;
        downstream_wind_down(downstream);
    }
    worker_stop_listeners(pw);
}

static void turn_waiters_away(struct call_list *calls)
{
    struct call_cursor cursor;
    struct call *call;

    call_cursor_start(&cursor, calls);
    while ((call = call_cursor_next(&cursor)) != NULL)
        call_turn_away(call);
}

static void begin(struct broadcast *broadcast, struct worker *pw)
{
    if (pw->context.resolver == NULL || pw->context.draining)
        return;
    mail_init(&pw->emptied, worker_emptied);
    pw->context.emptied = worker_is_empty;
    pw->context.draining = true;
    close_doors(pw);
    for (uint32_t i = 0; i < pw->context.calls.pool_count; i++)
        turn_waiters_away(&pw->context.calls.by_pool[i]);
    if (pw->context.downstream_count == 0)
        worker_is_empty(&pw->context);
    broadcast_run_again(broadcast, pw); /* what waiters are told over HTTP/2 goes first, and is deferred */
}

static void all_have_begun(struct broadcast *broadcast)
{
    struct drain *drain = CONTAINER_OF(broadcast, struct drain, broadcast);

    listeners_close(&broadcast->proxy->listeners);
    drain->begun(drain->arg);
}

enum status proxy_drain(struct proxy *proxy, drain_fn begun, drain_fn done, void *arg)
{
    struct drain *drain = mem_zalloc(sizeof(*drain));

    PRE(proxy->drain == NULL); /* once */
    atomic_store(&proxy->ready, false);
    if (drain == NULL || broadcast_init(&drain->broadcast, proxy) != ST_OK) {
        mem_free(drain);
        return ST_NOMEM;
    }
    drain->begun = begun;
    drain->done = done;
    drain->arg = arg;
    drain->busy = proxy->worker_count;
    proxy->drain = drain;
    broadcast_start(&drain->broadcast, begin, all_have_begun);
    return ST_OK;
}

void drain_free(struct proxy *proxy)
{
    struct drain *drain = proxy->drain;

    if (drain == NULL)
        return;
    proxy->drain = NULL;
    broadcast_fini(&drain->broadcast);
    mem_free(drain);
}
