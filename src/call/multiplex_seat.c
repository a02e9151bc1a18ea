/* A seat's life: made for a call, in use, and given up. */
#include "base/invariant.h"
#include "base/mem.h"
#include "call/context.h"
#include "call/multiplex.h"
#include "runtime/loop.h"
#include "wire/h2_connection.h"
#include "wire/h2_exchange.h"

/* How long the kernel may take over a reset before the connection is cut off. */
#define RESET_NS NS_PER_S

static void leave(struct upstream *upstream, bool is_cut, struct pool *pool, struct pool_ticket *ticket);
static void cut_now(struct upstream *upstream);

static const struct upstream_seat_ops ops = {.leave = leave, .cut_now = cut_now};

struct seat *seat_new(const struct seat_order *order)
{
    struct seat *seat = mem_zalloc(sizeof(*seat));

    if (seat == NULL)
        return NULL;
    transport_init(&seat->upstream.transport);
    list_init(&seat->upstream.node);
    list_init(&seat->node);
    seat->upstream.seat = &ops;
    seat->upstream.context = order->context;
    seat->upstream.terms = order->terms;
    seat->upstream.config = order->config;
    seat->upstream.events = order->events;
    seat->upstream.user = order->user;
    seat->limit_ns = order->limit_ns;
    if (order->shunned != NULL)
        seat->shunned = *order->shunned;
    seat->repeatable = order->repeatable;
    order->terms->users++;
    return seat;
}

static void free_seat(struct deferred_free *deferred_free)
{
    mem_free(CONTAINER_OF(deferred_free, struct seat, upstream.deferred_free));
}

void seat_free(struct seat *seat)
{
    PRE(seat->upstream.carrier == NULL && list_is_alone(&seat->node) && list_is_empty(&seat->upstream.node));
    PRE(seat->exchange == NULL && seat->upstream.terms->users > 0);
    seat->upstream.terms->users--;
    loop_free_later(seat->upstream.context->loop, &seat->upstream.deferred_free, free_seat);
}

/* Away from its carrier, for which that may be the end. */
static void quit(struct seat *seat)
{
    struct upstream *connection = seat->upstream.carrier;

    list_remove(&seat->node);
    if (connection != NULL)
        carrier_unseat(seat);
    seat_free(seat);
    if (connection != NULL)
        carrier_settle(connection->shared);
}

void seat_end_leaving(struct seat *seat)
{
    PRE(seat->parting.ticket.permit.state == PERMIT_HELD);
    list_remove(&seat->upstream.node);
    pool_give_back(seat->parting.pool, &seat->parting.ticket);
    quit(seat);
}

static void cut_now(struct upstream *upstream)
{
    PRE(upstream->carrier != NULL);
    carrier_die(upstream->carrier->shared);
}

/* The permit stays held until the reset is out, or, at UINT64_MAX, until the connection is gone. */
static void wait_until_gone(struct seat *seat, uint64_t gone_at, struct pool *pool,
                            struct pool_ticket *ticket)
{
    struct upstream *upstream = &seat->upstream;
    struct carrier *carrier = upstream->carrier->shared;

    seat->gone_at = gone_at;
    seat->left_ns = loop_now(upstream->context->loop);
    PRE(ticket->permit.state == PERMIT_HELD);
    upstream_part(upstream, &seat->parting, pool, ticket);
    list_push_back(&carrier->leaving, &seat->node);
    if (gone_at != UINT64_MAX)
        multiplex_watch(carrier->multiplex, seat->left_ns + RESET_NS);
    h2_connection_wants_turn(upstream->h2); /* which sees to whether others are left */
}

/* True: a RST_STREAM has been drawn. */
static bool reset(struct carrier *carrier, struct seat *seat)
{
    struct h2_connection *h2 = seat->upstream.h2;
    int64_t now_ns = loop_now(seat->upstream.context->loop);
    bool resets;

    carrier->resetting = true; /* it is counted here */
    resets = h2_exchange_cut(seat->exchange);
    carrier->resetting = false;
    if (!resets)
        return false;
    if (slots_reset_call(&carrier->slots, now_ns, seat->reads == h2->reads)) {
        h2_connection_ping(h2);
        multiplex_watch(carrier->multiplex, now_ns + seat->upstream.config->http2.probe_timeout_ns);
    }
    carrier->reset_at = h2->pulled;
    return true;
}

/* The stream is open at the API, and stays so until the connection's end: no connection sees too many resets. */
static void abandon(struct carrier *carrier, struct seat *seat, struct pool *pool, struct pool_ticket *ticket)
{
    h2_exchange_lose(seat->exchange);
    carrier->running--;
    carrier->slots.retired = true;
    if (pool != NULL && ticket->permit.state == PERMIT_HELD)
        wait_until_gone(seat, UINT64_MAX, pool, ticket);
    else
        quit(seat);
}

static void cut_stream(struct carrier *carrier, struct seat *seat, struct pool *pool,
                       struct pool_ticket *ticket)
{
    struct h2_connection *h2 = seat->upstream.h2;
    bool has_permit = pool != NULL && ticket->permit.state == PERMIT_HELD;

    if (seat->exchange != NULL && seat->exchange->stream.refused && !h2->retired)
        slots_note_refused(&carrier->slots);
    if (seat->exchange != NULL && !h2_exchange_is_closed(seat->exchange) &&
        !slots_may_reset(&carrier->slots)) {
        abandon(carrier, seat, pool, ticket);
        return;
    }
    carrier->running--;
    if (seat->exchange == NULL || !reset(carrier, seat)) {
        slots_give(&carrier->slots);
    } else if (has_permit) {
        if (upstream_may_cut_now(seat->upstream.context))
            h2_connection_flush(h2);
        if (h2->written < carrier->reset_at) {
            wait_until_gone(seat, carrier->reset_at, pool, ticket);
            return;
        }
    }
    if (has_permit)
        pool_give_back(pool, ticket);
    quit(seat);
}

/* Where each call has a connection of its own, it goes with the call. */
static void cut_carrier(struct carrier *carrier, struct seat *seat, struct pool *pool,
                        struct pool_ticket *ticket)
{
    struct upstream *connection = carrier->upstream;

    if (seat->exchange != NULL)
        h2_exchange_lose(seat->exchange);
    carrier->running--;
    list_remove(&carrier->node);
    carrier->dead = true;
    carrier->pins++; /* it is ended here */
    carrier_unseat(seat);
    seat_free(seat);
    if (pool != NULL)
        upstream_cut_with_permit(&connection, pool, ticket);
    else
        upstream_cut(&connection);
}

/* The stream has ended on both sides, or is of no use. */
static void end(struct carrier *carrier, struct seat *seat)
{
    if (seat->exchange != NULL)
        (void)h2_exchange_cut(seat->exchange);
    carrier->running--;
    slots_give(&carrier->slots);
    h2_connection_wants_turn(seat->upstream.h2); /* another one may begin */
    quit(seat);
}

static void leave(struct upstream *upstream, bool is_cut, struct pool *pool, struct pool_ticket *ticket)
{
    struct seat *seat = seat_of(upstream);
    struct carrier *carrier = upstream->carrier != NULL ? upstream->carrier->shared : NULL;

    PRE(upstream->seat == &ops && list_is_empty(&upstream->node));
    if (carrier == NULL || upstream->waits || carrier->dead) {
        if (seat->exchange != NULL)
            h2_exchange_lose(seat->exchange);
        if (carrier != NULL && !upstream->waits)
            carrier->running--;
        if (carrier != NULL)
            slots_give(&carrier->slots);
        quit(seat);
        if (pool != NULL)
            pool_give_back(pool, ticket);
    } else if (!is_cut) {
        end(carrier, seat);
    } else if (upstream->config->http2.streams == 1) {
        cut_carrier(carrier, seat, pool, ticket);
    } else {
        cut_stream(carrier, seat, pool, ticket);
    }
}
