#include "call/upstream.h"

#include "base/invariant.h"
#include "base/mem.h"
#include "http/connection_auth.h"
#include "call/context.h"
#include "call/target.h"
#include "runtime/pool_lease.h"
#include "runtime/tcp.h"
#include "runtime/tls.h"
#include "wire/h2_connection.h"
#include "wire/h2_exchange.h"

/* In one turn, before answers go first. */
#define CUTS_AT_ONCE 4

/* A connection being made: large and short-lived, so not a part of struct upstream. */
struct attempt {
    struct connect connect;
    struct deferred_free deferred_free;
};

static void free_upstream(struct deferred_free *deferred_free)
{
    struct upstream *upstream = CONTAINER_OF(deferred_free, struct upstream, deferred_free);

    mem_free(upstream->shared);
    target_release(&upstream->target);
    mem_free(upstream);
}

static void free_attempt(struct deferred_free *deferred_free)
{
    mem_free(CONTAINER_OF(deferred_free, struct attempt, deferred_free));
}

/* An address alone is no race, nor is a name of which nothing is known yet. */
static void count_race(const struct upstream *upstream, const struct connect *connect, bool is_won)
{
    enum race_winner winner = !is_won ? RACE_NONE : connect->place == 0 ? RACE_FIRST : RACE_LATER;

    if (connect->addresses > 1)
        upstream->context->metrics->upstreams[upstream->config->index].races[winner]++;
}

/* Its callback may be running: the memory goes at the end of the turn. */
static void end_attempt(struct upstream *upstream)
{
    struct attempt *attempt = CONTAINER_OF(upstream->connect, struct attempt, connect);

    if (attempt->connect.active)
        count_race(upstream, &attempt->connect, false);
    upstream->connect = NULL;
    connect_cancel(&attempt->connect);
    loop_free_later(upstream->context->loop, &attempt->deferred_free, free_attempt);
}

static void ready(struct transport *transport)
{
    struct upstream *upstream = CONTAINER_OF(transport, struct upstream, transport);

    upstream->events->ready(upstream);
}

static struct upstream *owner_of(struct connect *connect)
{
    return CONTAINER_OF(connect->transport, struct upstream, transport);
}

static void phase_entered(struct connect *connect, enum phase phase)
{
    struct upstream *upstream = owner_of(connect);

    upstream->events->phase(upstream, phase);
}

static void resolved(struct connect *connect, enum dns_result result)
{
    struct upstream *upstream = owner_of(connect);

    if (result != DNS_SHORTAGE)
        upstream->context->metrics->upstreams[upstream->config->index].dns_answers[result]++;
    upstream->events->resolved(upstream, result == DNS_STALE);
}

static bool open_h2(struct upstream *upstream)
{
    const struct upstream_config *config = upstream->config;
    uint64_t head_max = upstream->terms->snapshot->limits.response_head_bytes;

    upstream->h2 = h2_connection_new(&upstream->transport, upstream->context->loop,
                                     &(struct h2_connection_terms){.window = config->http2.window,
                                                                   .head_max = (uint32_t)head_max,
                                                                   .events = &h2_exchange_events,
                                                                   .ops = &h2_exchange_ops});
    upstream_may_be_silent(upstream);
    transport_bound_unsent(&upstream->transport);
    return upstream->h2 != NULL;
}

void upstream_tune(struct upstream *upstream)
{
    PRE(!upstream->is_tuned);
    tcp_tune_at_rest(upstream->transport.fd, upstream->config->origin.longest_ns);
    upstream->is_tuned = true;
}

static enum cause choose_protocol(struct upstream *upstream, const char **detail)
{
    enum http2_use use = upstream->config->http2.use;
    bool is_tls = upstream->transport.ssl != NULL;
    bool is_h2 =
        use != HTTP2_NEVER && (is_tls ? tls_speaks_http2(&upstream->transport) : use == HTTP2_ALWAYS);

    *detail = NULL;
    if (is_h2)
        return open_h2(upstream) ? CAUSE_NONE : CAUSE_INTERNAL;
    if (use != HTTP2_ALWAYS)
        return CAUSE_NONE;
    *detail = "TLS: the upstream did not choose HTTP/2, and http2.use is always";
    return CAUSE_TLS_PROTOCOL;
}

static void connected(struct connect *connect, enum cause cause, const char *detail)
{
    struct upstream *upstream = owner_of(connect);

    PRE(upstream->connect == connect && upstream->user != NULL);
    upstream->peer = connect->peer;
    upstream->addresses = connect->addresses;
    count_race(upstream, connect, cause == CAUSE_NONE);
    if (cause != CAUSE_NONE) {
        upstream->events->connected(upstream, cause, detail);
        return;
    }
    if (connect->proxy != NULL && upstream->target != NULL)
        target_went(upstream->target, connect->proxy);
    end_attempt(upstream);
    upstream->transport.on_ready = ready;
    upstream->opened_ns = loop_now(upstream->context->loop);
    cause = choose_protocol(upstream, &detail);
    upstream->events->connected(upstream, cause, detail);
}

static const struct connect_events connect_events = {
    .phase = phase_entered, .resolved = resolved, .done = connected};

static void prepare(struct upstream *upstream, struct connect *connect, struct call_context *context,
                    struct call_terms *terms, const struct upstream_config *config)
{
    PRE(config->snapshot == terms->snapshot); /* or its place there is another one's */
    transport_init(&upstream->transport);
    list_init(&upstream->node);
    upstream->context = context;
    upstream->terms = terms;
    upstream->config = config;
    upstream->connect = connect;
    keep_alive_init(&upstream->said);
    connect->loop = context->loop;
    connect->resolver = context->resolver;
    connect->book = context->address_book;
    connect->origin = upstream_dialled(config);
    connect->proxy = config->proxy.spec.ask.len != 0 ? &config->proxy.spec : NULL;
    connect->tls = terms->tls[config - terms->snapshot->upstreams];
    connect->transport = &upstream->transport;
    connect->events = &connect_events;
}

/* Another place than the url says. */
static void aim(struct upstream *upstream, struct connect *connect, struct target *target)
{
    upstream->target = target_acquire(target);
    connect->origin = target_dialled(target);
    connect->proxy = target->asks;
    connect->given = target->way == NULL ? target->answer : NULL;
}

struct upstream *upstream_connect(struct call_context *context, struct call_terms *terms,
                                  const struct upstream_config *config, struct target *target,
                                  const struct upstream_events *events, void *user,
                                  const union dns_address *shunned, bool http1_only, int64_t limit_ns)
{
    struct upstream *upstream = mem_zalloc(sizeof(*upstream));
    struct attempt *attempt = mem_zalloc(sizeof(*attempt));

    if (upstream != NULL && attempt != NULL) {
        prepare(upstream, &attempt->connect, context, terms, config);
        if (target != NULL)
            aim(upstream, &attempt->connect, target);
        upstream->events = events;
        upstream->user = user;
        attempt->connect.shunned = shunned;
        attempt->connect.http1_only = http1_only;
        if (connect_start(&attempt->connect, limit_ns) == ST_OK) {
            context->upstream_count++;
            terms->users++;
            return upstream;
        }
        target_release(&upstream->target);
    }
    mem_free(attempt);
    mem_free(upstream);
    return NULL;
}

bool upstream_note_response(struct upstream *upstream, const struct http1_head *head)
{
    upstream->served++;
    if (upstream->seat != NULL) { /* how long the carrier serves is its own business */
        upstream->carrier->served++;
        return true;
    }
    upstream->is_personal |= connection_auth_in_response(head);
    return head->keep_alive && ((head->known & HTTP1_BIT(KEEP_ALIVE)) == 0 ||
                                keep_alive_note(&upstream->said, head, upstream->served));
}

static void free_later(struct upstream *upstream)
{
    PRE(list_is_empty(&upstream->node) && !transport_is_open(&upstream->transport));
    PRE(upstream->context->upstream_count > 0 && upstream->terms->users > 0);
    if (upstream->connect != NULL)
        end_attempt(upstream);
    if (upstream->h2 != NULL)
        h2_connection_free(upstream->h2);
    upstream->context->upstream_count--;
    upstream->terms->users--;
    loop_free_later(upstream->context->loop, &upstream->deferred_free, free_upstream);
}

void upstream_close(struct upstream **upstream_at)
{
    struct upstream *upstream = *upstream_at;

    *upstream_at = NULL;
    if (upstream->seat != NULL) {
        upstream->seat->leave(upstream, false, NULL, NULL);
        return;
    }
    if (upstream->h2 != NULL && transport_is_open(&upstream->transport))
        h2_connection_say_goodbye(upstream->h2);
    transport_close(&upstream->transport);
    free_later(upstream);
}

void upstream_cut(struct upstream **upstream_at)
{
    struct upstream *upstream = *upstream_at;

    *upstream_at = NULL;
    if (upstream->seat != NULL) {
        upstream->seat->leave(upstream, true, NULL, NULL);
        return;
    }
    transport_reset(&upstream->transport);
    free_later(upstream);
}

static void not_heard(struct transport *transport)
{
    (void)transport;
}

static void cut_now(struct upstream *upstream)
{
    struct slab *slab = &upstream->context->loop->slab;
    struct parting *parting = upstream->parting;

    list_remove(&upstream->node);
    loop_undefer(&parting->mail);
    transport_reset(&upstream->transport);
    pool_give_back(parting->pool, &parting->ticket);
    upstream->parting = NULL;
    slab_give(slab, parting, sizeof(*parting));
    free_later(upstream);
}

bool upstream_may_cut_now(struct call_context *context)
{
    if (context->cut_turn != context->loop->turn) {
        context->cut_turn = context->loop->turn;
        context->cuts = 0;
    }
    return context->cuts++ < CUTS_AT_ONCE;
}

static void cut_in_turn(struct mail *mail)
{
    cut_now(CONTAINER_OF(mail, struct parting, mail)->upstream);
}

void upstream_part(struct upstream *upstream, struct parting *parting, struct pool *pool,
                   struct pool_ticket *ticket)
{
    struct call_context *context = upstream->context;

    PRE(upstream->parting == NULL && list_is_empty(&upstream->node));
    parting->upstream = upstream;
    parting->pool = pool;
    pool_ticket_init(&parting->ticket, context->loop, NULL);
    if (ticket->permit.state == PERMIT_HELD)
        pool_pass_on(ticket, &parting->ticket);
    upstream->parting = parting;
    list_push_back(&context->cutting, &upstream->node);
}

/* False: no memory. */
static bool cut_later(struct upstream *upstream, struct pool *pool, struct pool_ticket *ticket)
{
    struct loop *loop = upstream->context->loop;
    struct parting *parting = slab_take_zeroed(&loop->slab, sizeof(*parting));

    PRE(upstream->connect == NULL);
    if (parting == NULL)
        return false;
    upstream->transport.on_ready = not_heard;
    upstream_part(upstream, parting, pool, ticket);
    mail_init(&parting->mail, cut_in_turn);
    loop_defer(loop, &parting->mail);
    return true;
}

void upstream_cut_with_permit(struct upstream **upstream_at, struct pool *pool, struct pool_ticket *ticket)
{
    struct upstream *upstream = *upstream_at;

    if (pool_is_leased(pool))
        pool_note_cut(pool, transport_round_trip_ns(&upstream_connection(upstream)->transport));
    if (upstream->seat != NULL) {
        *upstream_at = NULL;
        upstream->seat->leave(upstream, true, pool, ticket);
        return;
    }
    if (!upstream_may_cut_now(upstream->context) && cut_later(upstream, pool, ticket)) {
        *upstream_at = NULL;
        return;
    }
    upstream_cut(upstream_at);
    pool_give_back(pool, ticket);
}

void upstream_finish_cuts(struct call_context *context)
{
    while (!list_is_empty(&context->cutting)) {
        struct upstream *upstream = CONTAINER_OF(context->cutting.next, struct upstream, node);

        if (upstream->seat != NULL)
            upstream->seat->cut_now(upstream);
        else
            cut_now(upstream);
    }
}

static bool holds_permit_of(const struct upstream *upstream, const struct pool *pool)
{
    const struct parting *parting = upstream->parting;

    return parting->pool == pool && parting->ticket.permit.state == PERMIT_HELD;
}

uint32_t upstream_count_cuts(const struct call_context *context, const struct pool *pool)
{
    uint32_t count = 0;

    LIST_FOREACH(node, &context->cutting)
        count += holds_permit_of(CONTAINER_OF(node, struct upstream, node), pool);
    return count;
}
