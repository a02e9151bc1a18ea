#include "proxy/proxy_worker.h"

#include <sys/random.h>

#include "base/mem.h"
#include "proxy/call.h"
#include "proxy/downstream.h"
#include "proxy/patrol.h"
#include "proxy/upstream.h"

/* Call ids are unique among workers, and hard to confuse with those of another run. */
static uint64_t first_call_id(uint32_t worker)
{
    uint16_t run = 0;

    if (getrandom(&run, sizeof(run), 0) != sizeof(run))
        run = 0;
    return (uint64_t)run << 48 | (uint64_t)worker << 40 | 1;
}

static size_t text_size(const struct snapshot *snapshot)
{
    size_t head = snapshot->limits.request_head_bytes;
    size_t added = 0;

    if (snapshot->limits.response_head_bytes > head)
        head = snapshot->limits.response_head_bytes;
    for (uint32_t i = 0; i < snapshot->upstream_count; i++) {
        const struct forward_rules *rules = &snapshot->upstreams[i].rules;
        size_t more = rules->base_path.len + rules->set_lines.len + rules->host.len;

        if (more > added)
            added = more;
    }
    return head + added + BUFFER_SIZE;
}

static void stop_doorways(struct proxy_worker *pw)
{
    for (uint32_t i = 0; i < pw->doorway_count; i++) {
        if (pw->doorways[i].open)
            acceptor_stop(&pw->doorways[i].acceptor);
        pw->doorways[i].open = false;
    }
}

static void end_downstreams(struct proxy_worker *pw)
{
    struct list_node all, *node;

    list_init(&all);
    list_append_all(&all, &pw->downstreams);
    while ((node = list_take_front(&all)) != NULL) {
        struct downstream *downstream = CONTAINER_OF(node, struct downstream, node);

        if (downstream->call != NULL)
            call_end(downstream->call, CAUSE_DRAINING, NULL);
        if (stream_is_open(&downstream->stream))
            downstream_destroy(downstream);
    }
}

/* Nothing of the proxy is left on the loop after this. */
static void close_all(struct proxy_worker *pw)
{
    stop_doorways(pw);
    end_downstreams(pw);
    upstream_finish_cuts(pw);
    for (uint32_t i = 0; i < pw->snapshot->upstream_count; i++)
        keepalive_fini(&pw->keepalive[i]);
    resolver_free(pw->resolver);
    pw->resolver = NULL;
    patrol_fini(pw);
}

static void shut(struct mail *mail)
{
    struct proxy_worker *pw = CONTAINER_OF(mail, struct proxy_worker, shut);

    close_all(pw);
    worker_stop(&pw->worker);
}

static bool allocate(struct proxy_worker *pw)
{
    const struct snapshot *snapshot = pw->snapshot;

    pw->text_cap = text_size(snapshot);
    pw->text = mem_alloc(pw->text_cap);
    pw->metrics = metrics_new(snapshot->upstream_count, snapshot->route_count);
    pw->calls = mem_calloc(snapshot->pool_count, sizeof(struct list_node));
    pw->keepalive = mem_calloc(snapshot->upstream_count, sizeof(struct keepalive));
    pw->doorways = mem_calloc(pw->proxy->doorstep_count, sizeof(struct doorway));
    return pw->text != NULL && pw->metrics != NULL && pw->calls != NULL && pw->keepalive != NULL &&
           pw->doorways != NULL;
}

static void release_memory(struct proxy_worker *pw)
{
    mem_free(pw->text);
    metrics_free(pw->metrics);
    mem_free(pw->calls);
    mem_free(pw->keepalive);
    mem_free(pw->doorways);
}

static enum status open_keepalives(struct proxy_worker *pw)
{
    for (uint32_t i = 0; i < pw->snapshot->upstream_count; i++) {
        if (keepalive_init(&pw->keepalive[i], pw, &pw->snapshot->upstreams[i]) == ST_OK)
            continue;
        while (i-- > 0)
            keepalive_fini(&pw->keepalive[i]);
        return ST_NOMEM;
    }
    return ST_OK;
}

enum status proxy_worker_init(struct proxy_worker *pw, struct proxy *proxy, uint32_t index)
{
    *pw =
        (struct proxy_worker){.proxy = proxy, .snapshot = proxy->snapshot, .next_call = first_call_id(index)};
    list_init(&pw->reading);
    list_init(&pw->downstreams);
    list_init(&pw->cutting);
    mail_init(&pw->shut, shut);
    if (worker_init(&pw->worker, index) != ST_OK)
        return ST_NOMEM;
    if (!allocate(pw))
        goto no_memory;
    for (uint32_t i = 0; i < pw->snapshot->pool_count; i++)
        list_init(&pw->calls[i]);
    if (proxy->log != NULL)
        pw->log = access_log_ring(proxy->log, index);
    pw->resolver = resolver_new(&pw->worker);
    if (pw->resolver == NULL)
        goto no_memory;
    if (patrol_init(pw) != ST_OK)
        goto no_patrol;
    if (open_keepalives(pw) == ST_OK)
        return ST_OK;
    patrol_fini(pw);
no_patrol:
    resolver_free(pw->resolver);
no_memory:
    release_memory(pw);
    worker_fini(&pw->worker);
    return ST_NOMEM;
}

void proxy_worker_fini(struct proxy_worker *pw)
{
    if (pw->resolver != NULL)
        close_all(pw);
    worker_fini(&pw->worker);
    release_memory(pw);
}

static enum status open_doorways(struct proxy_worker *pw)
{
    for (uint32_t i = 0; i < pw->proxy->doorstep_count; i++) {
        struct doorway *doorway = &pw->doorways[pw->doorway_count++];
        const struct doorstep *step = &pw->proxy->doorsteps[i];

        doorway->worker = pw;
        doorway->upstream = step->upstream;
        if (acceptor_start(&doorway->acceptor, &pw->worker, step->fd, downstream_accepted) != ST_OK)
            return ST_NOMEM;
        doorway->open = true;
    }
    return ST_OK;
}

static void *run(void *arg)
{
    struct proxy_worker *pw = arg;

    worker_run(&pw->worker);
    return NULL;
}

enum status proxy_worker_start(struct proxy_worker *pw)
{
    patrol_start(pw);
    if (open_doorways(pw) != ST_OK || pthread_create(&pw->thread, NULL, run, pw) != 0)
        return ST_NOMEM;
    pw->running = true;
    return ST_OK;
}

void proxy_worker_stop(struct proxy_worker *pw)
{
    if (!pw->running)
        return;
    mailbox_post(&pw->worker.mailbox, &pw->shut);
    pthread_join(pw->thread, NULL);
    pw->running = false;
    /* A scrape may have asked while the worker was leaving: it is answered in its place. */
    mailbox_deliver(&pw->worker.mailbox);
}

static void add_calls(const struct list_node *calls, int64_t now_ns, struct metrics *sum)
{
    LIST_FOREACH(node, calls) {
        const struct call *call = CONTAINER_OF(node, struct call, node);
        struct upstream_metrics *upstream = &sum->upstreams[call->config->index];

        upstream->in_flight[call->fsm.phase]++;
        if (now_ns > call->fsm.deadline_ns)
            upstream->overdue[0]++;
    }
}

void proxy_worker_add_metrics(struct proxy_worker *pw, struct metrics *sum)
{
    int64_t now_ns = worker_now(&pw->worker);
    uint32_t idle = 0;

    metrics_add(sum, pw->metrics);
    for (uint32_t i = 0; i < pw->snapshot->pool_count; i++)
        add_calls(&pw->calls[i], now_ns, sum);
    for (uint32_t i = 0; i < pw->snapshot->upstream_count; i++)
        idle += pw->keepalive[i].count;
    sum->process.connections[SIDE_DOWNSTREAM] += pw->downstream_count;
    sum->process.connections[SIDE_UPSTREAM] += pw->upstream_count - idle;
    sum->process.connections[SIDE_UPSTREAM_IDLE] += idle;
    if (pw->log != NULL && pw->worker.index == 0)
        sum->process.log_dropped[0] += access_log_lost(pw->proxy->log);
}
