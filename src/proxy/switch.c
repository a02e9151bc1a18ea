#include "proxy/switch.h"

#include "base/invariant.h"
#include "base/mem.h"
#include "call/call.h"
#include "proxy/listeners.h"
#include "call/downstream.h"
#include "call/access_log.h"
#include "proxy/generation.h"
#include "call/keepalive.h"
#include "proxy/parts.h"
#include "proxy/pools.h"
#include "proxy/worker.h"

struct generation_switch {
    const struct generation_parts *parts;
    struct metrics *metrics;
    struct keepalive **keepalive; /* those that are there, and new ones */
    struct call_list *calls;
    struct pool **pools;
    struct circuit **circuits;
    bool keeps_time; /* of new pools */
    char *text;      /* NULL: the old one is large enough */
    size_t text_cap;
    struct http1_field *fields; /* likewise */
    uint32_t field_cap;
    struct list_node listeners; /* new ones */
};

/* ---- making ready -------------------------------------------------------------------------------------- */

static size_t longest_head(const struct snapshot *snapshot)
{
    const struct limits_config *limits = &snapshot->limits;

    return limits->request_head_bytes > limits->response_head_bytes ? limits->request_head_bytes
                                                                    : limits->response_head_bytes;
}

/* Room for the longest head with all that may be added to it; that is a CR for each line that LF alone ended, too. */
static size_t text_size(const struct snapshot *snapshot)
{
    size_t head = longest_head(snapshot) + HTTP1_FIELDS_IN(longest_head(snapshot));
    size_t added = 0;

    for (uint32_t i = 0; i < snapshot->upstream_count; i++) {
        const struct forward_rules *rules = &snapshot->upstreams[i].rules;
        size_t more = rules->base_path.len + rules->set_lines.len + rules->host.len;

        if (more > added)
            added = more;
    }
    return head + added + BUFFER_SIZE;
}

static bool make_arrays(struct generation_switch *next)
{
    const struct generation_parts *parts = next->parts;

    PRE(parts->pool_count >= next->parts->generation->snapshot->pool_count);
    next->metrics = metrics_new(parts->upstream_count, parts->route_count);
    next->keepalive = mem_calloc(parts->upstream_count, sizeof(struct keepalive *));
    next->calls = call_lists_new(parts->pool_count);
    next->pools = mem_calloc(parts->pool_count, sizeof(struct pool *));
    next->circuits = mem_calloc(parts->route_count, sizeof(struct circuit *));
    if (next->metrics == NULL || next->keepalive == NULL || next->calls == NULL || next->pools == NULL ||
        next->circuits == NULL)
        return false;
    for (uint32_t i = 0; i < parts->route_count; i++)
        next->circuits[i] = parts->circuits[i];
    for (uint32_t i = 0; i < parts->pool_count; i++)
        next->pools[i] = parts->pools[i];
    return true;
}

/* Only ever larger. Of the room for fields, what no head fills takes no memory. */
static bool make_room(const struct worker *pw, struct generation_switch *next)
{
    const struct snapshot *snapshot = next->parts->generation->snapshot;

    next->text_cap = text_size(snapshot);
    next->field_cap = (uint32_t)HTTP1_FIELDS_IN(longest_head(snapshot));
    if (next->text_cap > pw->context.text_cap) {
        next->text = mem_alloc(next->text_cap);
        if (next->text == NULL)
            return false;
    }
    if (next->field_cap > pw->context.head.field_cap) {
        next->fields = mem_alloc(next->field_cap * sizeof(struct http1_field));
        if (next->fields == NULL)
            return false;
    }
    return true;
}

static bool make_keepalives(struct worker *pw, struct generation_switch *next)
{
    for (uint32_t i = 0; i < next->parts->upstream_count; i++) {
        next->keepalive[i] = i < pw->upstream_places ? pw->context.keepalive[i] : keepalive_new(&pw->context);
        if (next->keepalive[i] == NULL)
            return false;
    }
    return true;
}

static bool make_listener(struct worker *pw, struct generation_switch *next, const struct listener *listener)
{
    struct listener_worker *lw = mem_zalloc(sizeof(*lw));

    if (lw == NULL || acceptor_init(&lw->acceptor, &pw->loop, listener->fd, downstream_accepted) != ST_OK) {
        mem_free(lw);
        return false;
    }
    lw->acceptor.count = downstream_counts;
    lw->context = &pw->context;
    lw->begin = call_begin;
    lw->listener = listener;
    list_push_back(&next->listeners, &lw->node);
    return true;
}

/* A listener that nobody used before is new to all workers. */
static bool make_listeners(struct worker *pw, struct generation_switch *next)
{
    LIST_FOREACH(node, next->parts->listeners) {
        const struct listener *listener = CONTAINER_OF(node, struct listener, node);

        if (listener->upstream == NULL && !make_listener(pw, next, listener))
            return false;
    }
    return true;
}

static bool keep_time(struct worker *pw, struct generation_switch *next)
{
    next->keeps_time =
        pools_keep_time(next->pools, pw->context.calls.pool_count, next->parts->pool_count, &pw->loop);
    return next->keeps_time;
}

enum status switch_prepare(struct worker *pw, const struct generation_parts *parts)
{
    struct generation_switch *next = mem_zalloc(sizeof(*next));

    PRE(pw->next == NULL); /* one switch at a time, which is committed or aborted */
    if (next == NULL)
        return ST_NOMEM;
    pw->next = next;
    next->parts = parts;
    list_init(&next->listeners);
    if (make_arrays(next) && make_room(pw, next) && make_keepalives(pw, next) && make_listeners(pw, next) &&
        keep_time(pw, next))
        return ST_OK;
    switch_abort(pw);
    return ST_NOMEM;
}

static void free_listeners(struct list_node *listeners)
{
    struct list_node *node;

    while ((node = list_take_front(listeners)) != NULL) {
        struct listener_worker *lw = CONTAINER_OF(node, struct listener_worker, node);

        acceptor_stop(&lw->acceptor);
        mem_free(lw);
    }
}

void switch_abort(struct worker *pw)
{
    struct generation_switch *next = pw->next;

    if (next == NULL)
        return;
    pw->next = NULL;
    if (next->keeps_time)
        pools_stop_time(next->pools, pw->context.calls.pool_count, next->parts->pool_count, &pw->loop);
    free_listeners(&next->listeners);
    for (uint32_t i = pw->upstream_places; next->keepalive != NULL && i < next->parts->upstream_count; i++)
        if (next->keepalive[i] != NULL)
            keepalive_free(next->keepalive[i]);
    metrics_free(next->metrics);
    mem_free(next->keepalive);
    mem_free(next->calls);
    mem_free(next->pools);
    mem_free(next->circuits);
    mem_free(next->text);
    mem_free(next->fields);
    mem_free(next);
}

/* ---- going over ---------------------------------------------------------------------------------------- */

/*
 * How long calls take is known for the limits that they had: under other ones it is found out anew. What they need from
 * their permit on is the API's affair, and stays known.
 */
static void take_spread_over(struct worker *pw, struct generation_switch *next,
                             const struct route_config *route)
{
    next->metrics->start_times[route->index] = pw->context.metrics->start_times[route->index];
    pw->context.metrics->start_times[route->index] = NULL;
    for (enum metric_spread spread = 0; spread < SPREAD_COUNT; spread++) {
        struct duration_histogram **from = metrics_spread(pw->context.metrics, spread, route->index);

        if (*from == NULL || !route_has_same_limits((*from)->terms, route))
            continue;
        (*from)->terms = route;
        *metrics_spread(next->metrics, spread, route->index) = *from;
        *from = NULL;
    }
}

/* What stays goes on counting; a newcomer whose number was another one's begins at zero. */
static void take_counters_over(struct worker *pw, struct generation_switch *next)
{
    const struct snapshot *snapshot = next->parts->generation->snapshot;

    if (pw->context.metrics != NULL)
        metrics_take(next->metrics, pw->context.metrics);
    for (uint32_t i = 0; i < snapshot->upstream_count; i++) {
        const struct upstream_config *upstream = &snapshot->upstreams[i];

        if (upstream->is_new)
            metrics_clear_upstream(next->metrics, upstream->index);
        for (uint32_t id = 0; id <= upstream->route_count; id++) {
            const struct route_config *route = snapshot_route(upstream, id);

            if (route->is_new)
                metrics_clear_route(next->metrics, route->index);
            else
                take_spread_over(pw, next, route);
        }
    }
    metrics_free(pw->context.metrics);
    pw->context.metrics = next->metrics;
}

static void take_calls_over(struct worker *pw, struct generation_switch *next)
{
    PRE(next->parts->pool_count >=
        pw->context.calls.pool_count); /* a number that was a pool's stays a place */
    call_set_grow(&pw->context.calls, next->calls, next->parts->pool_count);
    mem_free(pw->context.pools);
    pw->context.pools = next->pools;
    mem_free(pw->context.circuits);
    pw->context.circuits = next->circuits;
}

/*
 * All idle connections are closed, and names are looked up anew: whatever is sent from now on goes by the new
 * policy, address and certificates.
 */
static void take_connections_over(struct worker *pw, struct generation_switch *next)
{
    const struct snapshot *snapshot = next->parts->generation->snapshot;

    PRE(next->parts->upstream_count >= pw->upstream_places);
    mem_free(pw->context.keepalive);
    pw->context.keepalive = next->keepalive;
    pw->upstream_places = next->parts->upstream_count;
    for (uint32_t i = 0; i < pw->upstream_places; i++)
        keepalive_renew(pw->context.keepalive[i], NULL);
    for (uint32_t i = 0; i < snapshot->upstream_count; i++)
        keepalive_renew(pw->context.keepalive[snapshot->upstreams[i].index], &snapshot->upstreams[i]);
    resolver_renew(pw->context.resolver);
}

/* NULL: callers speak plain HTTP there. */
static struct tls_server *tls_of(const struct generation *generation, const struct listener *listener)
{
    return listener->is_tls ? generation->caller_tls[listener->upstream - generation->snapshot->upstreams]
                            : NULL;
}

/* Callers who came in by a listener that is gone are answered, under the old generation, and leave. */
static void repoint_callers(struct worker *pw)
{
    LIST_FOREACH(node, &pw->context.downstreams) {
        struct downstream *downstream = CONTAINER_OF(node, struct downstream, node);

        if (downstream->listener == NULL)
            continue;
        if (downstream->listener->listener->upstream != NULL) {
            downstream_set_terms(downstream, generation_terms(pw->generation, pw),
                                 downstream->listener->listener->upstream,
                                 tls_of(pw->generation, downstream->listener->listener));
            continue;
        }
        downstream->listener = NULL;
        downstream_wind_down(downstream);
    }
}

static void change_listeners(struct worker *pw, struct generation_switch *next)
{
    struct list_node all, gone, *node;

    list_init(&all);
    list_init(&gone);
    list_append_all(&all, &pw->listeners);
    while ((node = list_take_front(&all)) != NULL) {
        struct listener_worker *lw = CONTAINER_OF(node, struct listener_worker, node);
        bool stays = lw->listener->upstream != NULL;

        /* Whoever has connected already is let in. */
        if (!stays && lw->listener->handed == NULL)
            acceptor_empty(&lw->acceptor);
        list_push_back(stays ? &pw->listeners : &gone, &lw->node);
    }
    list_append_all(&pw->listeners, &next->listeners);
    repoint_callers(pw);
    LIST_FOREACH(at, &pw->listeners) {
        struct listener_worker *lw = CONTAINER_OF(at, struct listener_worker, node);

        lw->terms = generation_terms(pw->generation, pw);
        lw->upstream = lw->listener->upstream;
        lw->tls = tls_of(pw->generation, lw->listener);
        acceptor_start(&lw->acceptor);
    }
    free_listeners(&gone);
}

void switch_commit(struct worker *pw)
{
    struct generation_switch *next = pw->next;
    const struct generation_parts *parts = next->parts;

    PRE(loop_is_own(&pw->loop) && parts->generation != pw->generation);
    pw->next = NULL;
    take_counters_over(pw, next);
    take_calls_over(pw, next);
    take_connections_over(pw, next);
    if (next->text != NULL) {
        mem_free(pw->context.text);
        pw->context.text = next->text;
        pw->context.text_cap = next->text_cap;
    }
    if (next->fields != NULL) {
        mem_free(pw->context.head.fields);
        pw->context.head.fields = next->fields;
        pw->context.head.field_cap = next->field_cap;
    }
    pw->access_log = parts->log;
    pw->context.log = parts->log != NULL ? access_log_ring(parts->log, pw->loop.index) : NULL;
    if (pw->generation != NULL)
        generation_retire(pw->generation, pw);
    pw->generation = parts->generation;
    context_set_snapshot(&pw->context, pw->generation->snapshot);
    change_listeners(pw, next);
    POST(pw->context.text_cap >= text_size(pw->context.snapshot));
    POST(list_is_empty(&next->listeners));
    mem_free(next);
}
