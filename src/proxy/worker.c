#include "proxy/worker.h"

#include "base/invariant.h"
#include "base/mem.h"
#include "call/access_log.h"
#include "call/call.h"
#include "call/downstream.h"
#include "call/keepalive.h"
#include "runtime/address_book.h"
#include "runtime/circuit.h"

void worker_stop_listeners(struct worker *pw)
{
    struct list_node *node;

    while ((node = list_take_front(&pw->listeners)) != NULL) {
        struct listener_worker *lw = CONTAINER_OF(node, struct listener_worker, node);

        acceptor_stop(&lw->acceptor);
        mem_free(lw);
    }
}

static void add_calls(const struct call_list *calls, int64_t now_ns, struct metrics *metrics)
{
    CALL_LIST_FOREACH(call, calls) {
        struct upstream_metrics *upstream = &metrics->upstreams[call->config->index];

        upstream->in_flight[call->fsm.phase]++;
        metrics->routes[call->route->index].tunnels[0] += call->fsm.state == CALL_TUNNEL;
        upstream->by_age[metric_age_cell(call->fsm.phase, now_ns - call->fsm.begun_ns)]++;
        upstream->tries[0] += call->try->has_no_verdict;
        upstream->tries[0] += call->rival != NULL && call->rival->has_no_verdict;
        if (now_ns > call->fsm.deadline_ns)
            upstream->overdue[0]++;
    }
}

static void mark_breakers(const struct call_context *context, const struct upstream_config *upstream,
                          int64_t now_ns)
{
    for (uint32_t id = 0; id <= upstream->route_count; id++) {
        const struct route_config *route = snapshot_route(upstream, id);

        if (route_owns_circuit(route))
            context->metrics->routes[route->index]
                .breaker[circuit_look(context->circuits[route->circuit], now_ns).state] = 1;
    }
}

static void mark_addresses(const struct call_context *context, const struct upstream_config *upstream)
{
    struct address_states states;

    if (upstream->origin.eject.failures == 0)
        return;
    states = address_book_states(context->address_book, upstream_dialled(upstream));
    for (enum ejection_state state = 0; state < EJECTION_STATE_COUNT; state++)
        context->metrics->upstreams[upstream->index].addresses[state] = states.of[state];
}

/* By one worker, for the workers' gauges are added up. */
static void mark_states(const struct call_context *context, int64_t now_ns)
{
    const struct snapshot *snapshot = context->snapshot;
    struct metrics *metrics = context->metrics;

    for (uint32_t i = 0; i < snapshot->upstream_count; i++) {
        const struct upstream_config *upstream = &snapshot->upstreams[i];

        metrics->upstreams[upstream->index].observed[0] = upstream->observe;
        mark_breakers(context, upstream, now_ns);
        mark_addresses(context, upstream);
        metrics->upstreams[upstream->index].retry_tokens[0] =
            retry_tokens_level(upstream->retry_tokens) / RETRY_TOKEN;
    }
}

void worker_gauge(struct worker *pw)
{
    struct metrics *metrics = pw->context.metrics;
    int64_t now_ns = loop_now(&pw->loop);
    uint32_t idle = 0;

    PRE(loop_is_own(&pw->loop));
    metrics_clear_gauges(metrics);
    if (pw->loop.index == 0)
        mark_states(&pw->context, now_ns);
    for (uint32_t i = 0; i < pw->context.calls.pool_count; i++)
        add_calls(&pw->context.calls.by_pool[i], now_ns, metrics);
    for (uint32_t i = 0; i < pw->upstream_places; i++)
        idle += pw->context.keepalive[i]->count + pw->context.keepalive[i]->reserved_count;
    POST(idle <= pw->context.upstream_count);
    metrics->process.connections[SIDE_DOWNSTREAM] = pw->context.downstream_count;
    metrics->process.connections[SIDE_UPSTREAM] = pw->context.upstream_count - idle;
    metrics->process.connections[SIDE_UPSTREAM_IDLE] = idle;
}

void worker_add_metrics(const struct worker *pw, struct metrics *sum)
{
    metrics_add(sum, pw->context.metrics);
    if (pw->access_log != NULL && pw->loop.index == 0)
        sum->process.log_dropped[0] += access_log_lost(pw->access_log);
}
