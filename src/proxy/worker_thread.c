#include "proxy/worker_thread.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "call/audit.h"
#include "call/call.h"
#include "call/downstream.h"
#include "call/ghost.h"
#include "proxy/generation.h"
#include "call/keepalive.h"
#include "call/multiplex.h"
#include "proxy/pools.h"
#include "proxy/proxy.h"
#include "proxy/switch.h"
#include "call/upstream.h"
#include "proxy/worker.h"
#include "runtime/log_error.h"
#include "runtime/thread.h"

/* Seconds in which a worker, asked to stop, ends its calls and leaves its loop, as it does in one turn. */
#define STOP_S 5

/* Call ids are unique among workers, and hard to confuse with those of another run. */
static uint64_t first_call_id(uint32_t worker)
{
    uint16_t run = 0;

    if (getrandom(&run, sizeof(run), 0) != sizeof(run))
        run = 0;
    return (uint64_t)run << 48 | (uint64_t)worker << 40 | 1;
}

static void end_calls(struct call_list *list)
{
    struct call *call;

    while ((call = call_list_next(list, &list->places)) != NULL)
        call_end(call, call_fsm_shutdown(&call->fsm), NULL);
}

static void end_downstreams(struct worker *pw)
{
    struct call_set *calls = &pw->context.calls;

    for (uint32_t i = 0; i < calls->pool_count; i++)
        end_calls(&calls->by_pool[i]);
    end_calls(&calls->reading);
    while (!list_is_empty(&pw->context.downstreams))
        downstream_close(CONTAINER_OF(pw->context.downstreams.next, struct downstream, node));
}

/* Nothing of the proxy is left on the loop after this. */
static void close_all(struct worker *pw)
{
    switch_abort(pw);
    end_downstreams(pw);
    worker_stop_listeners(pw);
    upstream_finish_cuts(&pw->context);
    ghosts_end(&pw->context);
    for (uint32_t i = 0; i < pw->upstream_places; i++) {
        multiplex_free(pw->context.keepalive[i]);
        keepalive_free(pw->context.keepalive[i]);
    }
    POST(pw->context.downstream_count == 0 && pw->context.upstream_count == 0); /* all have been closed */
    pw->upstream_places = 0;
    pools_stop_time(pw->context.pools, 0, pw->context.calls.pool_count, &pw->loop);
    resolver_free(pw->context.resolver);
    pw->context.resolver = NULL;
    timer_fini(&pw->loop.timers, &pw->beat);
    timer_fini(&pw->loop.timers, &pw->second);
}

static void shut(struct mail *mail)
{
    struct worker *pw = CONTAINER_OF(mail, struct worker, shut);

    close_all(pw);
    loop_stop(&pw->loop);
}

static void release_memory(struct worker *pw)
{
    mem_free(pw->context.text);
    mem_free(pw->context.head.fields);
    metrics_free(pw->context.metrics);
    call_set_fini(&pw->context.calls);
    mem_free(pw->context.pools);
    mem_free(pw->context.circuits);
    mem_free(pw->context.keepalive);
}

/* Of the upstream that has most, the oldest: one that may be used again is worth less than a call that is there. */
static bool find_descriptor(struct loop *loop)
{
    struct worker *pw = CONTAINER_OF(loop, struct worker, loop);
    struct keepalive *most = NULL;

    for (uint32_t i = 0; i < pw->upstream_places; i++)
        if (most == NULL || pw->context.keepalive[i]->count > most->count)
            most = pw->context.keepalive[i];
    return most != NULL && keepalive_give_up_one(most);
}

/* Connections to addresses that a name no longer has are not used again. */
static void heed(struct worker *pw, const struct dns_news *news)
{
    for (uint32_t i = 0; i < pw->upstream_places; i++) {
        const struct upstream_config *config = pw->context.keepalive[i]->config;

        const struct origin *origin = config != NULL ? upstream_dialled(config) : NULL;

        if (origin != NULL && !origin->host_is_ip && strcasecmp(origin->host, news->host) == 0)
            keepalive_heed(pw->context.keepalive[i], news->answer);
    }
}

static void heard_from_dns(void *arg, const struct dns_news *news)
{
    struct worker *pw = arg;

    dns_watch_note(&pw->proxy->dns_watch, news, loop_now(&pw->loop));
    if (news->answer != NULL)
        heed(pw, news);
}

/* Together with the heartbeat, so that both cost one wake-up. */
static int64_t next_second_ns(const struct worker *pw, int64_t now_ns)
{
    return timer_next_multiple(pw->proxy->heartbeat.began_ns, NS_PER_S, now_ns);
}

static void look_after(struct timer *timer, int64_t now_ns)
{
    struct worker *pw = CONTAINER_OF(timer, struct worker, second);

    generation_look_after(pw);
    audit_round(&pw->context, now_ns);
    timer_set(&pw->loop.timers, timer, next_second_ns(pw, now_ns));
}

static void speak(struct timer *timer, int64_t now_ns)
{
    struct worker *pw = CONTAINER_OF(timer, struct worker, beat);

    heartbeat_speak(&pw->proxy->heartbeat, pw, now_ns);
    timer_set(&pw->loop.timers, timer, heartbeat_next_ns(&pw->proxy->heartbeat, now_ns));
}

enum status worker_init(struct worker *pw, struct proxy *proxy, uint32_t index)
{
    *pw = (struct worker){.proxy = proxy};
    pw->context = (struct call_context){
        .loop = &pw->loop,
        .address_book = &proxy->address_book,
        .worker_count = proxy->worker_count,
        .callers = &proxy->downstream_count,
        .replay = &proxy->replay,
        .handshake_watch = &proxy->handshake_watch,
        .next_call = first_call_id(index),
        .caller_common.user = &downstream_user,
    };
    list_init(&pw->retired);
    call_set_init(&pw->context.calls);
    list_init(&pw->context.downstreams);
    handshakes_init(&pw->context.handshakes, &pw->loop);
    list_init(&pw->context.cutting);
    list_init(&pw->listeners);
    mail_init(&pw->shut, shut);
    (void)sem_init(&pw->left, 0, 0); /* fails only for values that are too large */
    if (loop_init(&pw->loop, index) != ST_OK)
        return ST_NOMEM;
    pw->loop.find_descriptor = find_descriptor;
    pw->context.resolver = resolver_new(&pw->loop);
    if (pw->context.resolver == NULL)
        goto no_resolver;
    resolver_on_news(pw->context.resolver, heard_from_dns, pw);
    if (timer_init(&pw->loop.timers, &pw->second, look_after) != ST_OK)
        goto no_timer;
    if (timer_init(&pw->loop.timers, &pw->beat, speak) == ST_OK)
        return ST_OK;
    timer_fini(&pw->loop.timers, &pw->second);
no_timer:
    resolver_free(pw->context.resolver);
no_resolver:
    loop_fini(&pw->loop);
    return ST_NOMEM;
}

void worker_fini(struct worker *pw)
{
    if (pw->context.resolver != NULL)
        close_all(pw);
    loop_fini(&pw->loop);
    (void)sem_destroy(&pw->left);
    release_memory(pw);
}

/*
 * A worker that can't go on takes the process with it: its calls would stand still past their deadlines, and callers
 * would go on connecting to it. Whoever supervises the process starts it anew.
 */
static void *run(void *arg)
{
    struct worker *pw = arg;

    if (loop_run(&pw->loop) != ST_OK) {
        log_error("the event loop of worker %u has failed: ending", pw->loop.index);
        _exit(EXIT_FAILURE);
    }
    (void)sem_post(&pw->left); /* fails only at SEM_VALUE_MAX */
    return NULL;
}

enum status worker_start(struct worker *pw)
{
    int64_t now_ns = loop_clock_ns();

    timer_set(&pw->loop.timers, &pw->second, next_second_ns(pw, now_ns));
    timer_set(&pw->loop.timers, &pw->beat, heartbeat_next_ns(&pw->proxy->heartbeat, now_ns));
    pw->running = thread_start(&pw->thread, run, pw) == ST_OK;
    return pw->running ? ST_OK : ST_NOMEM;
}

/* Not by a join with a time limit: one goes by the wall clock, and the other is unknown to ThreadSanitizer. */
static bool leaves_in_time(struct worker *pw)
{
    struct timespec end;
    int result;

    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += STOP_S;
    do {
        result = sem_clockwait(&pw->left, CLOCK_MONOTONIC, &end);
    } while (result != 0 && errno == EINTR);
    return result == 0;
}

void worker_stop(struct worker *pw)
{
    if (!pw->running)
        return;
    mailbox_post(&pw->loop.mailbox, &pw->shut);
    if (!leaves_in_time(pw)) {
        log_error("worker %u hangs: ending without it", pw->loop.index);
        _exit(EXIT_FAILURE);
    }
    pthread_join(pw->thread, NULL);
    pw->running = false;
    /* A scrape may have asked while the worker was leaving: it is answered in its place. */
    mailbox_deliver(&pw->loop.mailbox);
}
