#include "call/multiplex.h"

#include "base/invariant.h"
#include "base/mem.h"
#include "call/context.h"
#include "call/keepalive.h"
#include "core/budget.h"
#include "wire/h2_connection.h"

static struct carrier *carrier_at(struct list_node *node)
{
    return CONTAINER_OF(node, struct carrier, node);
}

void multiplex_watch(struct multiplex *multiplex, int64_t at_ns)
{
    if (at_ns < multiplex->watch.due_ns)
        timer_set(&multiplex->keepalive->context->loop->timers, &multiplex->watch, at_ns);
}

static void release_held(struct multiplex *multiplex)
{
    while (!list_is_empty(&multiplex->held)) {
        struct seat *seat = CONTAINER_OF(multiplex->held.next, struct seat, node);

        list_remove(&seat->node);
        multiplex_place_anew(multiplex, seat);
    }
}

/* Carriers may come and go at each look: the first of those that were not looked at is the next one. */
static void look(struct timer *timer, int64_t now_ns)
{
    struct multiplex *multiplex = CONTAINER_OF(timer, struct multiplex, watch);
    struct list_node looked_at;

    list_init(&looked_at);
    while (!list_is_empty(&multiplex->carriers)) {
        struct carrier *carrier = carrier_at(multiplex->carriers.next);

        list_remove(&carrier->node);
        list_push_back(&looked_at, &carrier->node);
        multiplex_watch(multiplex, carrier_look(carrier, now_ns));
    }
    list_append_all(&multiplex->carriers, &looked_at);
    if (multiplex->calm.until_ns <= now_ns)
        release_held(multiplex);
    else if (!list_is_empty(&multiplex->held))
        multiplex_watch(multiplex, multiplex->calm.until_ns);
}

/* What was noted of the API goes with its configuration. */
static void heed_config(struct multiplex *multiplex)
{
    const struct upstream_config *config = multiplex->keepalive->config;

    if (config == NULL || multiplex->config == config)
        return;
    multiplex->config = config;
    multiplex->calm = (struct calm){0};
    multiplex->probe_after_ns = config->http2.probe_after_ns;
    multiplex->knows_peer = multiplex->speaks_h1 = false;
}

/* NULL: no memory. */
static struct multiplex *of(struct keepalive *keepalive)
{
    struct multiplex *multiplex = keepalive->multiplex;

    if (multiplex != NULL) {
        heed_config(multiplex);
        return multiplex;
    }
    multiplex = mem_zalloc(sizeof(*multiplex));
    if (multiplex == NULL ||
        timer_init(&keepalive->context->loop->timers, &multiplex->watch, look) != ST_OK) {
        mem_free(multiplex);
        return NULL;
    }
    multiplex->keepalive = keepalive;
    list_init(&multiplex->carriers);
    list_init(&multiplex->held);
    multiplex->probe_after_ns = NS_NEVER;
    heed_config(multiplex);
    keepalive->multiplex = multiplex;
    return multiplex;
}

void multiplex_free(struct keepalive *keepalive)
{
    struct multiplex *multiplex = keepalive->multiplex;

    if (multiplex == NULL)
        return;
    while (!list_is_empty(&multiplex->carriers)) {
        struct carrier *carrier = carrier_at(multiplex->carriers.next);

        PRE(carrier->seats == 0);
        list_remove(&carrier->node);
        upstream_close(&carrier->upstream);
    }
    PRE(list_is_empty(&multiplex->held));
    timer_fini(&keepalive->context->loop->timers, &multiplex->watch);
    mem_free(multiplex);
    keepalive->multiplex = NULL;
}

/* ---- which connection ---------------------------------------------------------------------------------- */

/* May calls of this configuration begin on it? `made`: it is there, else it is being made. */
static bool fits(const struct multiplex *multiplex, const struct carrier *carrier,
                 const struct upstream_config *config, bool made)
{
    struct upstream *upstream = carrier->upstream;
    int64_t now_ns = loop_now(multiplex->keepalive->context->loop);

    if (upstream->config != config || carrier->dead || upstream_is_made(upstream) != made)
        return false;
    if (!made)
        return !multiplex->speaks_h1;
    return budget_end(upstream->opened_ns, config->keepalive.max_age_ns) > now_ns &&
           !upstream->transport.peer_ended && !upstream->h2->retired &&
           h2_connection_has_room(upstream->h2) && !keepalive_has_moved(multiplex->keepalive, upstream);
}

/* The fullest, so that few connections are in use, and others come to rest. */
static struct carrier *fullest(struct multiplex *multiplex, const struct upstream_config *config, bool made,
                               bool (*is_out)(const void *arg, const struct upstream *upstream),
                               const void *arg)
{
    struct carrier *best = NULL;

    LIST_FOREACH(node, &multiplex->carriers) {
        struct carrier *carrier = carrier_at(node);

        if (!fits(multiplex, carrier, config, made) || carrier_room(carrier) == 0)
            continue;
        if (is_out != NULL && is_out(arg, carrier->upstream))
            continue;
        if (best == NULL || carrier->slots.open > best->slots.open)
            best = carrier;
    }
    return best;
}

static struct upstream *give(struct carrier *carrier, const struct seat_order *order)
{
    struct seat *seat = seat_new(order);

    if (seat != NULL)
        carrier_seat(carrier, seat);
    else
        carrier_settle(carrier);
    return seat != NULL ? &seat->upstream : NULL;
}

/* One that was idle is in use again. NULL: it takes no call, and is closed. */
static struct carrier *wake(struct upstream *upstream)
{
    if (carrier_room(upstream->shared) == 0) {
        upstream_close(&upstream);
        return NULL;
    }
    carrier_wake(upstream->shared);
    return upstream->shared;
}

struct upstream *multiplex_take(struct keepalive *keepalive, const struct seat_order *order,
                                bool (*is_out)(const void *arg, const struct upstream *upstream),
                                const void *arg)
{
    struct multiplex *multiplex = of(keepalive);
    int64_t now_ns = loop_now(order->context->loop);
    struct upstream *upstream;
    struct carrier *carrier;

    if (multiplex == NULL)
        return NULL;
    carrier = fullest(multiplex, order->config, true, is_out, arg);
    while (carrier == NULL) {
        upstream = keepalive_take(keepalive, order->config, NULL, now_ns, !order->repeatable);
        if (upstream == NULL)
            return NULL;
        if (is_out != NULL && is_out(arg, upstream)) {
            upstream_close(&upstream);
            continue;
        }
        if (upstream->shared == NULL) {
            upstream->events = order->events;
            upstream->user = order->user;
            return upstream;
        }
        carrier = wake(upstream);
    }
    return give(carrier, order);
}

static void hold(struct multiplex *multiplex, struct seat *seat)
{
    list_push_back(&multiplex->held, &seat->node);
    seat->upstream.waits = true;
    seat->upstream.events->phase(&seat->upstream, PHASE_CONNECT);
    multiplex_watch(multiplex, multiplex->calm.until_ns);
}

bool multiplex_place(struct multiplex *multiplex, struct seat *seat)
{
    const struct upstream_config *config = seat->upstream.config;
    struct carrier *carrier = fullest(multiplex, config, true, NULL, NULL);

    if (carrier == NULL)
        carrier = fullest(multiplex, config, false, NULL, NULL);
    if (carrier == NULL && multiplex->calm.until_ns > loop_now(seat->upstream.context->loop)) {
        hold(multiplex, seat);
        return true;
    }
    if (carrier == NULL)
        carrier = carrier_new(multiplex, seat);
    if (carrier != NULL)
        carrier_seat(carrier, seat);
    return carrier != NULL;
}

void multiplex_place_anew(struct multiplex *multiplex, struct seat *seat)
{
    if (!multiplex_place(multiplex, seat))
        seat->upstream.events->connected(&seat->upstream, CAUSE_INTERNAL, NULL);
    else if (!seat->upstream.waits)
        seat->upstream.events->connected(&seat->upstream, CAUSE_NONE, NULL);
}

struct upstream *multiplex_connect(struct keepalive *keepalive, const struct seat_order *order)
{
    struct multiplex *multiplex = of(keepalive);
    struct seat *seat = multiplex != NULL ? seat_new(order) : NULL;

    if (seat == NULL)
        return NULL;
    if (multiplex_place(multiplex, seat))
        return &seat->upstream;
    seat_free(seat);
    return NULL;
}
