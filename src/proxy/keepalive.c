#include "proxy/keepalive.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "core/budget.h"
#include "proxy/proxy_worker.h"
#include "proxy/upstream.h"

static struct upstream *upstream_of(struct list_node *node)
{
    return CONTAINER_OF(node, struct upstream, node);
}

static void drop(struct keepalive *keepalive, struct upstream *upstream)
{
    list_remove(&upstream->node);
    keepalive->count--;
    upstream_close(&upstream);
}

/* When an idle connection has to go: it has been idle for as long as we or the upstream allow, or is too old. */
static int64_t end_of(const struct keepalive *keepalive, const struct upstream *upstream)
{
    const struct keepalive_config *limits = &keepalive->config->keepalive;
    int64_t said_ns = upstream->said.idle_ns;
    int64_t idle_ns = said_ns < limits->idle_timeout_ns ? said_ns : limits->idle_timeout_ns;
    int64_t idle_end_ns = budget_end(upstream->idle_since_ns, idle_ns);
    int64_t age_end_ns = budget_end(upstream->opened_ns, limits->max_age_ns);

    return idle_end_ns < age_end_ns ? idle_end_ns : age_end_ns;
}

static void expire(struct timer *timer, int64_t now_ns)
{
    struct keepalive *keepalive = CONTAINER_OF(timer, struct keepalive, expiry);
    struct list_node *next = keepalive->idle.next;
    int64_t earliest_ns = NS_NEVER;

    while (next != &keepalive->idle) {
        struct upstream *upstream = upstream_of(next);
        int64_t end_ns = end_of(keepalive, upstream);

        next = next->next;
        if (end_ns <= now_ns)
            drop(keepalive, upstream);
        else if (end_ns < earliest_ns)
            earliest_ns = end_ns;
    }
    timer_set(&keepalive->worker->worker.timers, timer, earliest_ns);
}

struct keepalive *keepalive_new(struct proxy_worker *worker)
{
    struct keepalive *keepalive = mem_zalloc(sizeof(*keepalive));

    if (keepalive == NULL || timer_init(&worker->worker.timers, &keepalive->expiry, expire) != ST_OK) {
        mem_free(keepalive);
        return NULL;
    }
    list_init(&keepalive->idle);
    keepalive->worker = worker;
    return keepalive;
}

void keepalive_renew(struct keepalive *keepalive, const struct upstream_config *config)
{
    uint32_t workers = keepalive->worker->proxy->worker_count;
    uint32_t all = config != NULL ? config->keepalive.max_idle : 0;

    while (!list_is_empty(&keepalive->idle))
        drop(keepalive, upstream_of(keepalive->idle.next));
    dns_answer_release(&keepalive->answer);
    keepalive->max = all / workers + (keepalive->worker->worker.index < all % workers ? 1 : 0);
    keepalive->config = config;
}

void keepalive_free(struct keepalive *keepalive)
{
    keepalive_renew(keepalive, NULL);
    timer_fini(&keepalive->worker->worker.timers, &keepalive->expiry);
    mem_free(keepalive);
}

/* Is its address still one that the upstream's name has? Each connection is compared with each answer once. */
static bool has_moved(const struct keepalive *keepalive, struct upstream *upstream)
{
    if (keepalive->answer == NULL || upstream->answer_number == keepalive->answer_number)
        return false;
    upstream->answer_number = keepalive->answer_number;
    return !dns_answer_has(keepalive->answer, &upstream->peer);
}

void keepalive_heed(struct keepalive *keepalive, struct dns_answer *answer)
{
    struct list_node *next = keepalive->idle.next;

    if (keepalive->answer != NULL && dns_answer_is_same(keepalive->answer, answer))
        return;
    dns_answer_release(&keepalive->answer);
    keepalive->answer = dns_answer_acquire(answer);
    if (++keepalive->answer_number == 0)
        keepalive->answer_number = 1;
    while (next != &keepalive->idle) {
        struct upstream *upstream = upstream_of(next);

        next = next->next;
        if (has_moved(keepalive, upstream))
            drop(keepalive, upstream);
    }
}

/* An idle connection has nothing to read; if it has, that is its end, or bytes that nobody asked for. */
static bool is_quiet(const struct upstream *upstream)
{
    char byte;

    return recv(upstream->stream.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

struct upstream *keepalive_take(struct keepalive *keepalive, const struct upstream_config *config,
                                int64_t now_ns, bool probe)
{
    while (keepalive->config == config && !list_is_empty(&keepalive->idle)) {
        struct upstream *upstream = upstream_of(keepalive->idle.next);

        if (end_of(keepalive, upstream) <= now_ns || upstream->stream.peer_ended ||
            (probe && !is_quiet(upstream))) {
            drop(keepalive, upstream);
            continue;
        }
        list_remove(&upstream->node);
        keepalive->count--;
        return upstream;
    }
    return NULL;
}

/*
 * Bytes that were here before the connection came to rest raise no event any more. They belong to no request: whoever
 * took the connection next would take them for his response. Under TLS, a read also takes session tickets, which are
 * no content.
 */
static bool has_unread(struct upstream *upstream)
{
    char byte;
    size_t len;

    return upstream->stream.can_read && stream_read(&upstream->stream, &byte, 1, &len) != ST_AGAIN;
}

void keepalive_put(struct keepalive *keepalive, struct upstream **upstream_at, int64_t now_ns)
{
    struct upstream *upstream = *upstream_at;
    int64_t end_ns;

    /* Made under another configuration, maybe for another address. */
    if (upstream->config != keepalive->config) {
        upstream_close(upstream_at);
        return;
    }
    upstream->idle_since_ns = now_ns;
    end_ns = end_of(keepalive, upstream);
    if (keepalive->count >= keepalive->max || end_ns <= now_ns || has_moved(keepalive, upstream) ||
        has_unread(upstream)) {
        upstream_close(upstream_at);
        return;
    }
    *upstream_at = NULL;
    upstream->call = NULL;
    list_push_front(&keepalive->idle, &upstream->node);
    keepalive->count++;
    if (end_ns < keepalive->expiry.due_ns)
        timer_set(&keepalive->worker->worker.timers, &keepalive->expiry, end_ns);
}

void keepalive_stirred(struct upstream *upstream)
{
    struct keepalive *keepalive = upstream->worker->keepalive[upstream->config->index];

    if (has_unread(upstream))
        drop(keepalive, upstream);
}
