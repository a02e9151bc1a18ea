#include "proxy/plan.h"

#include "base/mem.h"
#include "proxy/call.h"
#include "proxy/doorstep.h"
#include "proxy/downstream.h"
#include "proxy/edition.h"
#include "proxy/proxy_worker.h"

struct plan {
    const struct blueprint *blueprint;
    struct metrics *metrics;
    struct keepalive **keepalive; /* those that are there, and new ones */
    struct list_node *calls;
    struct pool **pools;
    char *text; /* NULL: the old one is large enough */
    size_t text_cap;
    struct http1_field *fields; /* likewise */
    uint32_t field_cap;
    struct list_node doorways; /* new ones */
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

static bool make_arrays(struct plan *plan)
{
    const struct blueprint *blueprint = plan->blueprint;

    plan->metrics = metrics_new(blueprint->upstream_count, blueprint->route_count);
    plan->keepalive = mem_calloc(blueprint->upstream_count, sizeof(struct keepalive *));
    plan->calls = mem_calloc(blueprint->pool_count, sizeof(struct list_node));
    plan->pools = mem_calloc(blueprint->pool_count, sizeof(struct pool *));
    if (plan->metrics == NULL || plan->keepalive == NULL || plan->calls == NULL || plan->pools == NULL)
        return false;
    for (uint32_t i = 0; i < blueprint->pool_count; i++) {
        list_init(&plan->calls[i]);
        plan->pools[i] = blueprint->pools[i];
    }
    return true;
}

/* Only ever larger. Of the room for fields, what no head fills takes no memory. */
static bool make_room(const struct proxy_worker *pw, struct plan *plan)
{
    const struct snapshot *snapshot = plan->blueprint->edition->snapshot;

    plan->text_cap = text_size(snapshot);
    plan->field_cap = (uint32_t)HTTP1_FIELDS_IN(longest_head(snapshot));
    if (plan->text_cap > pw->text_cap) {
        plan->text = mem_alloc(plan->text_cap);
        if (plan->text == NULL)
            return false;
    }
    if (plan->field_cap > pw->head.field_cap) {
        plan->fields = mem_alloc(plan->field_cap * sizeof(struct http1_field));
        if (plan->fields == NULL)
            return false;
    }
    return true;
}

static bool make_keepalives(struct proxy_worker *pw, struct plan *plan)
{
    for (uint32_t i = 0; i < plan->blueprint->upstream_count; i++) {
        plan->keepalive[i] = i < pw->upstream_places ? pw->keepalive[i] : keepalive_new(pw);
        if (plan->keepalive[i] == NULL)
            return false;
    }
    return true;
}

static bool make_doorway(struct proxy_worker *pw, struct plan *plan, const struct doorstep *step)
{
    struct doorway *doorway = mem_zalloc(sizeof(*doorway));

    if (doorway == NULL ||
        acceptor_init(&doorway->acceptor, &pw->worker, step->fd, downstream_accepted) != ST_OK) {
        mem_free(doorway);
        return false;
    }
    doorway->worker = pw;
    doorway->step = step;
    list_push_back(&plan->doorways, &doorway->node);
    return true;
}

/* A doorstep that nobody used before is new to all workers. */
static bool make_doorways(struct proxy_worker *pw, struct plan *plan)
{
    LIST_FOREACH(node, plan->blueprint->doorsteps) {
        const struct doorstep *step = CONTAINER_OF(node, struct doorstep, node);

        if (step->upstream == NULL && !make_doorway(pw, plan, step))
            return false;
    }
    return true;
}

enum status plan_make(struct proxy_worker *pw, const struct blueprint *blueprint)
{
    struct plan *plan = mem_zalloc(sizeof(*plan));

    if (plan == NULL)
        return ST_NOMEM;
    pw->plan = plan;
    plan->blueprint = blueprint;
    list_init(&plan->doorways);
    if (make_arrays(plan) && make_room(pw, plan) && make_keepalives(pw, plan) && make_doorways(pw, plan))
        return ST_OK;
    plan_drop(pw);
    return ST_NOMEM;
}

static void free_doorways(struct list_node *doorways)
{
    struct list_node *node;

    while ((node = list_take_front(doorways)) != NULL) {
        struct doorway *doorway = CONTAINER_OF(node, struct doorway, node);

        acceptor_stop(&doorway->acceptor);
        mem_free(doorway);
    }
}

void plan_drop(struct proxy_worker *pw)
{
    struct plan *plan = pw->plan;

    if (plan == NULL)
        return;
    pw->plan = NULL;
    free_doorways(&plan->doorways);
    for (uint32_t i = pw->upstream_places; plan->keepalive != NULL && i < plan->blueprint->upstream_count;
         i++)
        if (plan->keepalive[i] != NULL)
            keepalive_free(plan->keepalive[i]);
    metrics_free(plan->metrics);
    mem_free(plan->keepalive);
    mem_free(plan->calls);
    mem_free(plan->pools);
    mem_free(plan->text);
    mem_free(plan->fields);
    mem_free(plan);
}

/* ---- going over ---------------------------------------------------------------------------------------- */

/* How long calls take is known for the limits that they had: under other ones it is found out anew. */
static void take_spread_over(struct proxy_worker *pw, struct plan *plan, const struct route_config *route)
{
    struct duration_histogram *histogram = pw->metrics->histograms[route->index];

    if (histogram == NULL || !route_has_same_limits(histogram->terms, route))
        return;
    histogram->terms = route;
    plan->metrics->histograms[route->index] = histogram;
    pw->metrics->histograms[route->index] = NULL;
}

/* What stays goes on counting; a newcomer whose number was another one's begins at zero. */
static void take_counters_over(struct proxy_worker *pw, struct plan *plan)
{
    const struct snapshot *snapshot = plan->blueprint->edition->snapshot;

    if (pw->metrics != NULL)
        metrics_take(plan->metrics, pw->metrics);
    for (uint32_t i = 0; i < snapshot->upstream_count; i++) {
        const struct upstream_config *upstream = &snapshot->upstreams[i];

        if (upstream->is_new)
            metrics_clear_upstream(plan->metrics, upstream->index);
        for (uint32_t id = 0; id <= upstream->route_count; id++) {
            const struct route_config *route = snapshot_route(upstream, id);

            if (route->is_new)
                metrics_clear_route(plan->metrics, route->index);
            else
                take_spread_over(pw, plan, route);
        }
    }
    metrics_free(pw->metrics);
    pw->metrics = plan->metrics;
}

static void take_calls_over(struct proxy_worker *pw, struct plan *plan)
{
    for (uint32_t i = 0; i < pw->pool_places; i++)
        list_append_all(&plan->calls[i], &pw->calls[i]);
    mem_free(pw->calls);
    mem_free(pw->pools);
    pw->calls = plan->calls;
    pw->pools = plan->pools;
    pw->pool_places = plan->blueprint->pool_count;
}

/*
 * All idle connections are closed, and names are looked up anew: whatever is sent from now on goes by the new
 * policy, address and certificates.
 */
static void take_connections_over(struct proxy_worker *pw, struct plan *plan)
{
    const struct snapshot *snapshot = plan->blueprint->edition->snapshot;

    mem_free(pw->keepalive);
    pw->keepalive = plan->keepalive;
    pw->upstream_places = plan->blueprint->upstream_count;
    for (uint32_t i = 0; i < pw->upstream_places; i++)
        keepalive_renew(pw->keepalive[i], NULL);
    for (uint32_t i = 0; i < snapshot->upstream_count; i++)
        keepalive_renew(pw->keepalive[snapshot->upstreams[i].index], &snapshot->upstreams[i]);
    resolver_renew(pw->resolver);
}

/* Callers who came in by a listener that is gone are answered, under the old edition, and leave. */
static void repoint_callers(struct proxy_worker *pw)
{
    LIST_FOREACH(node, &pw->downstreams) {
        struct downstream *downstream = CONTAINER_OF(node, struct downstream, node);

        if (downstream->doorway == NULL)
            continue;
        if (downstream->doorway->step->upstream != NULL) {
            downstream->upstream = downstream->doorway->step->upstream;
            continue;
        }
        downstream->doorway = NULL;
        downstream_wind_down(downstream);
    }
}

static void change_doorways(struct proxy_worker *pw, struct plan *plan)
{
    struct list_node all, gone, *node;

    list_init(&all);
    list_init(&gone);
    list_append_all(&all, &pw->doorways);
    while ((node = list_take_front(&all)) != NULL) {
        struct doorway *doorway = CONTAINER_OF(node, struct doorway, node);
        bool stays = doorway->step->upstream != NULL;

        /* Whoever has connected already is let in. */
        if (!stays && doorway->step->handed == NULL)
            acceptor_empty(&doorway->acceptor);
        list_push_back(stays ? &pw->doorways : &gone, &doorway->node);
    }
    list_append_all(&pw->doorways, &plan->doorways);
    repoint_callers(pw);
    LIST_FOREACH(at, &pw->doorways) {
        struct doorway *doorway = CONTAINER_OF(at, struct doorway, node);

        doorway->upstream = doorway->step->upstream;
        acceptor_start(&doorway->acceptor);
    }
    free_doorways(&gone);
}

void plan_apply(struct proxy_worker *pw)
{
    struct plan *plan = pw->plan;
    const struct blueprint *blueprint = plan->blueprint;

    pw->plan = NULL;
    take_counters_over(pw, plan);
    take_calls_over(pw, plan);
    take_connections_over(pw, plan);
    if (plan->text != NULL) {
        mem_free(pw->text);
        pw->text = plan->text;
        pw->text_cap = plan->text_cap;
    }
    if (plan->fields != NULL) {
        mem_free(pw->head.fields);
        pw->head.fields = plan->fields;
        pw->head.field_cap = plan->field_cap;
    }
    pw->access_log = blueprint->log;
    pw->log = blueprint->log != NULL ? access_log_ring(blueprint->log, pw->worker.index) : NULL;
    if (pw->edition != NULL)
        edition_retire(pw->edition, pw);
    pw->edition = blueprint->edition;
    pw->snapshot = pw->edition->snapshot;
    change_doorways(pw, plan);
    mem_free(plan);
}
