#include "proxy/keepalive.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "core/budget.h"
#include "proxy/downstream.h"
#include "proxy/proxy_worker.h"
#include "proxy/upstream.h"

static struct upstream *upstream_of(struct list_node *node)
{
    return CONTAINER_OF(node, struct upstream, node);
}

static struct keepalive *keepalive_of(const struct upstream *upstream)
{
    return upstream->worker->keepalive[upstream->config->index];
}

static void take_out(struct keepalive *keepalive, struct upstream *upstream)
{
    list_remove(&upstream->node);
    if (upstream->caller == NULL) {
        keepalive->count--;
        return;
    }
    upstream->caller->reserved = NULL;
    upstream->caller = NULL;
    keepalive->reserved_count--;
}

static void drop(struct keepalive *keepalive, struct upstream *upstream)
{
    take_out(keepalive, upstream);
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

/* When the first of those that are left has to go. */
static int64_t expire_list(struct keepalive *keepalive, struct list_node *list, int64_t now_ns)
{
    struct list_node *next = list->next;
    int64_t earliest_ns = NS_NEVER;

    while (next != list) {
        struct upstream *upstream = upstream_of(next);
        int64_t end_ns = end_of(keepalive, upstream);

        next = next->next;
        if (end_ns <= now_ns)
            drop(keepalive, upstream);
        else if (end_ns < earliest_ns)
            earliest_ns = end_ns;
    }
    return earliest_ns;
}

static void expire(struct timer *timer, int64_t now_ns)
{
    struct keepalive *keepalive = CONTAINER_OF(timer, struct keepalive, expiry);
    int64_t idle_ns = expire_list(keepalive, &keepalive->idle, now_ns);
    int64_t reserved_ns = expire_list(keepalive, &keepalive->reserved, now_ns);

    timer_set(&keepalive->worker->worker.timers, timer, idle_ns < reserved_ns ? idle_ns : reserved_ns);
}

struct keepalive *keepalive_new(struct proxy_worker *worker)
{
    struct keepalive *keepalive = mem_zalloc(sizeof(*keepalive));

    if (keepalive == NULL || timer_init(&worker->worker.timers, &keepalive->expiry, expire) != ST_OK) {
        mem_free(keepalive);
        return NULL;
    }
    list_init(&keepalive->idle);
    list_init(&keepalive->reserved);
    keepalive->worker = worker;
    return keepalive;
}

void keepalive_renew(struct keepalive *keepalive, const struct upstream_config *config)
{
    uint32_t workers = keepalive->worker->proxy->worker_count;
    uint32_t all = config != NULL ? config->keepalive.max_idle : 0;

    while (!list_is_empty(&keepalive->idle))
        drop(keepalive, upstream_of(keepalive->idle.next));
    while (!list_is_empty(&keepalive->reserved))
        drop(keepalive, upstream_of(keepalive->reserved.next));
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

static void drop_moved(struct keepalive *keepalive, struct list_node *list)
{
    struct list_node *next = list->next;

    while (next != list) {
        struct upstream *upstream = upstream_of(next);

        next = next->next;
        if (has_moved(keepalive, upstream))
            drop(keepalive, upstream);
    }
}

void keepalive_heed(struct keepalive *keepalive, struct dns_answer *answer)
{
    if (keepalive->answer != NULL && dns_answer_is_same(keepalive->answer, answer))
        return;
    dns_answer_release(&keepalive->answer);
    keepalive->answer = dns_answer_acquire(answer);
    if (++keepalive->answer_number == 0)
        keepalive->answer_number = 1;
    drop_moved(keepalive, &keepalive->idle);
    drop_moved(keepalive, &keepalive->reserved);
}

/* An idle connection has nothing to read; if it has, that is its end, or bytes that nobody asked for. */
static bool is_quiet(const struct upstream *upstream)
{
    char byte;

    return recv(upstream->stream.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static bool is_fit(const struct keepalive *keepalive, const struct upstream *upstream, int64_t now_ns,
                   bool probe)
{
    return end_of(keepalive, upstream) > now_ns && !upstream->stream.peer_ended &&
           (!probe || is_quiet(upstream));
}

struct upstream *keepalive_take(struct keepalive *keepalive, const struct upstream_config *config,
                                int64_t now_ns, bool probe)
{
    while (keepalive->config == config && !list_is_empty(&keepalive->idle)) {
        struct upstream *upstream = upstream_of(keepalive->idle.next);

        if (is_fit(keepalive, upstream, now_ns, probe)) {
            take_out(keepalive, upstream);
            return upstream;
        }
        drop(keepalive, upstream);
    }
    return NULL;
}

struct upstream *keepalive_take_reserved(struct downstream *caller, const struct upstream_config *config,
                                         int64_t now_ns, bool probe)
{
    struct upstream *upstream = caller->reserved;
    struct keepalive *keepalive = keepalive_of(upstream);

    if (upstream->config == config && is_fit(keepalive, upstream, now_ns, probe)) {
        take_out(keepalive, upstream);
        return upstream;
    }
    drop(keepalive, upstream);
    return NULL;
}

void keepalive_end_reservation(struct downstream *caller)
{
    if (caller->reserved != NULL)
        drop(keepalive_of(caller->reserved), caller->reserved);
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

/* True: it came to rest clean, may be used again, and was made under the configuration in force. */
static bool can_rest(struct keepalive *keepalive, struct upstream *upstream, int64_t now_ns)
{
    if (upstream->config != keepalive->config)
        return false;
    upstream->idle_since_ns = now_ns;
    return end_of(keepalive, upstream) > now_ns && !has_moved(keepalive, upstream) && !has_unread(upstream);
}

static void rest(struct keepalive *keepalive, struct upstream *upstream, struct list_node *list)
{
    int64_t end_ns = end_of(keepalive, upstream);

    upstream->call = NULL;
    list_push_front(list, &upstream->node);
    if (end_ns < keepalive->expiry.due_ns)
        timer_set(&keepalive->worker->worker.timers, &keepalive->expiry, end_ns);
}

void keepalive_put(struct keepalive *keepalive, struct upstream **upstream_at, int64_t now_ns)
{
    if (keepalive->count >= keepalive->max || !can_rest(keepalive, *upstream_at, now_ns)) {
        upstream_close(upstream_at);
        return;
    }
    rest(keepalive, *upstream_at, &keepalive->idle);
    keepalive->count++;
    *upstream_at = NULL;
}

void keepalive_reserve(struct keepalive *keepalive, struct upstream **upstream_at, struct downstream *caller,
                       int64_t now_ns)
{
    if (caller->reserved != NULL || !can_rest(keepalive, *upstream_at, now_ns)) {
        upstream_close(upstream_at);
        return;
    }
    rest(keepalive, *upstream_at, &keepalive->reserved);
    keepalive->reserved_count++;
    caller->reserved = *upstream_at;
    (*upstream_at)->caller = caller;
    *upstream_at = NULL;
}

void keepalive_stirred(struct upstream *upstream)
{
    if (has_unread(upstream))
        drop(keepalive_of(upstream), upstream);
}
