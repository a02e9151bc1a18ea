#include "call/downstream.h"

#include <string.h>
#include <unistd.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "call/caller_age.h"
#include "call/local_reply.h"
#include "call/keepalive.h"
#include "call/context.h"
#include "runtime/socket_address.h"
#include "wire/caller.h"
#include "wire/h2_caller.h"

/* Reads of what a connection has received that is turned away. */
#define DISCARDS 16

static void free_deferred(struct deferred_free *deferred_free)
{
    struct downstream *downstream = CONTAINER_OF(deferred_free, struct downstream, deferred_free);

    mem_free(downstream->tls);
    mem_free(downstream);
}

static bool begin(void *owner, struct stream *stream, int64_t now_ns)
{
    struct downstream *downstream = owner;

    return downstream->begin(downstream, stream, now_ns);
}

static void closed(void *owner)
{
    struct downstream *downstream = owner;
    struct call_context *context = downstream->context;

    PRE(context->downstream_count > 0);
    keepalive_end_reservation(&downstream->reserved);
    caller_tls_fini(downstream->tls);
    caller_age_end(&downstream->age, context);
    list_remove(&downstream->node);
    context->downstream_count--;
    downstream->terms->users--;
    if (context->draining && context->downstream_count == 0)
        context->emptied(context);
    atomic_fetch_sub_explicit(context->callers, 1, memory_order_relaxed);
    loop_free_later(context->loop, &downstream->deferred_free, free_deferred);
}

static bool is_full(struct call_context *context)
{
    atomic_uint *count = context->callers;
    unsigned before = atomic_fetch_add_explicit(count, 1, memory_order_relaxed);

    if (before < context->snapshot->limits.connections)
        return false;
    atomic_fetch_sub_explicit(count, 1, memory_order_relaxed);
    return true;
}

/* A stream costs what a connection with a call costs, and counts as one, but for the first that a connection has. */
static bool take_place(void *owner)
{
    return !is_full(((struct downstream *)owner)->context);
}

static void give_place(void *owner)
{
    atomic_fetch_sub_explicit(((struct downstream *)owner)->context->callers, 1, memory_order_relaxed);
}

static void handshake(void *owner)
{
    struct downstream *downstream = owner;

    handshakes_wait(&downstream->context->handshakes, &downstream->tls->handshake);
}

static struct caller_tls_place place_of(const struct downstream *downstream)
{
    return (struct caller_tls_place){downstream->context, downstream, downstream->upstream->name,
                                     downstream_caller(downstream)};
}

static void handshake_is_late(void *owner)
{
    struct downstream *downstream = owner;
    const struct caller_tls_place place = place_of(downstream);

    caller_tls_is_late(downstream->tls, &downstream->h1.transport, &place);
}

static void step_handshake(struct handshake *step)
{
    struct downstream *downstream = CONTAINER_OF(step, struct caller_tls, handshake)->owner;
    const struct caller_tls_place place = place_of(downstream);

    switch (caller_tls_step(downstream->tls, &downstream->h1.transport, &place)) {
    case ST_OK: h1_caller_start(&downstream->h1); return;
    case ST_AGAIN: return;
    case ST_FAILED: h1_caller_linger(&downstream->h1); return;
    default: h1_caller_close(&downstream->h1);
    }
}

/* Below it, its library would let requests wait where nobody sees them. */
#define STREAMS_MIN 100u
/* What a connection can have at all. */
#define STREAMS_MAX 100000u

/* Calls that the pools of this upstream can take, in work and waiting. */
static uint32_t count_places(const struct upstream_config *upstream)
{
    const struct snapshot *snapshot = upstream->snapshot;
    uint64_t count = 0;

    for (uint32_t i = 0; i < snapshot->pool_count; i++) {
        const struct pool_config *pool = &snapshot->pools[i];
        bool is_used = upstream->default_route.pool == pool->index;

        for (uint32_t j = 0; j < upstream->route_count; j++)
            is_used |= upstream->routes[j].pool == pool->index;
        if (is_used)
            count += (uint64_t)pool->size + pool->queue_size;
    }
    return (uint32_t)(count < STREAMS_MIN ? STREAMS_MIN : count > STREAMS_MAX ? STREAMS_MAX : count);
}

static bool has_tunnels(const struct upstream_config *upstream)
{
    bool has_any = false;

    for (uint32_t id = 0; id <= upstream->route_count && !has_any; id++)
        has_any = snapshot_route(upstream, id)->upgrade != NULL;
    return has_any;
}

static uint32_t streams_of(const struct upstream_config *upstream)
{
    uint32_t streams = upstream->snapshot->limits.streams;

    return streams != 0 ? streams : count_places(upstream);
}

static void speaks_h2(void *owner)
{
    struct downstream *downstream = owner;
    const struct upstream_config *upstream = downstream->upstream;

    downstream->h2 =
        h2_caller_new(&downstream->h1, streams_of(upstream), has_tunnels(upstream), &downstream->h2);
    if (downstream->h2 != NULL)
        h2_caller_start(downstream->h2);
    else
        h1_caller_close(&downstream->h1);
}

const struct caller_user downstream_user = {
    .begin = begin,
    .speaks_h2 = speaks_h2,
    .take_place = take_place,
    .give_place = give_place,
    .handshake = handshake,
    .handshake_is_late = handshake_is_late,
    .closed = closed,
};

void downstream_close(struct downstream *downstream)
{
    if (downstream->h2 != NULL)
        h2_caller_close(downstream->h2);
    else
        h1_caller_close(&downstream->h1);
}

void downstream_wind_down(struct downstream *downstream)
{
    if (downstream->h2 != NULL)
        h2_caller_wind_down(downstream->h2);
    else
        h1_caller_wind_down(&downstream->h1);
}

static void is_old(void *arg)
{
    downstream_wind_down(arg);
}

void downstream_set_terms(struct downstream *downstream, struct call_terms *terms,
                          const struct upstream_config *upstream, const struct tls_server *tls)
{
    PRE(downstream->terms->users > 0 && upstream->snapshot == terms->snapshot);
    downstream->terms->users--;
    terms->users++;
    downstream->terms = terms;
    downstream->upstream = upstream;
    downstream->h1.takes_connect = upstream->forward != NULL;
    if (downstream->h2 != NULL)
        h2_caller_allow(downstream->h2, streams_of(upstream), has_tunnels(upstream));
    if (!caller_tls_is_trusted_by(downstream->tls, tls))
        downstream_wind_down(downstream);
}

void downstream_put_caller(struct text *out, const struct downstream *downstream)
{
    struct span ip = downstream_caller(downstream);

    if (ip.len == 0)
        TEXT_LIT(out, "unix");
    else
        text_printf(out, memchr(ip.ptr, ':', ip.len) != NULL ? "[%.*s]:%u" : "%.*s:%u", SPAN_FMT(ip),
                    downstream->caller_port);
}

void downstream_put_listener(struct text *out, const struct downstream *downstream)
{
    union socket_address address = {.any.sa_family = AF_UNSPEC};
    socklen_t len = sizeof(address);

    if (getsockname(downstream->h1.transport.fd, &address.any, &len) == 0 && address.any.sa_family != AF_UNIX)
        socket_address_put(out, &address.any);
}

/* NULL: no memory. The address takes no more room than it has letters. */
static struct downstream *make_downstream(const struct sockaddr *peer)
{
    char block[INET6_ADDRSTRLEN];
    struct text ip = text_over(block, sizeof(block));
    struct endpoint caller = {.port = 0};
    struct downstream *downstream;

    if (socket_address_read(peer, &caller))
        endpoint_put_ip(&ip, &caller);
    downstream = mem_zalloc(offsetof(struct downstream, caller) + ip.len);
    if (downstream == NULL)
        return NULL;
    memcpy(downstream->caller, ip.ptr, ip.len);
    downstream->caller_len = (uint8_t)ip.len;
    downstream->caller_port = caller.port;
    return downstream;
}

/* What a socket has received and nobody read makes a reset of its close, which may overtake the answer. */
static void discard_received(int fd)
{
    char bytes[4096];

    for (int i = 0; i < DISCARDS && recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0; i++)
        ;
}

static void turn_away(struct call_context *context, const struct listener_worker *lw, int fd)
{
    char block[LOCAL_REPLY_MAX];
    struct text text = text_over(block, sizeof(block));
    struct local_reply reply = {.cause = CAUSE_CONNECTIONS,
                                .detail =
                                    "As many connections of callers are open as limits.connections allows",
                                .upstream = lw->upstream->name,
                                .retry_after_s = 1,
                                .call_id = context->next_call++,
                                .date = context_date(context)};

    if (lw->tls != NULL)
        text_put(&text, tls_server_turn_away());
    else
        local_reply_put(&text, &reply);
    if (send(fd, text.ptr, text.len, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
        (void)shutdown(fd, SHUT_WR);
    discard_received(fd);
    close(fd);
    context->metrics->process.refused[CAUSE_CONNECTIONS]++;
}

static void free_parts(struct downstream *downstream, struct call_context *context)
{
    caller_tls_fini(downstream->tls);
    mem_free(downstream->tls);
    caller_age_end(&downstream->age, context);
}

/* What not every connection has. False: no memory for it. */
static bool has_parts(struct downstream *downstream, struct call_context *context, struct tls_server *server)
{
    if (server != NULL && (downstream->tls = caller_tls_new(server, downstream, step_handshake)) == NULL)
        return false;
    if (caller_age_begin(&downstream->age, context, is_old, downstream) == ST_OK)
        return true;
    free_parts(downstream, context);
    return false;
}

static enum status open_downstream(struct call_context *context, struct listener_worker *lw, int fd,
                                   const struct sockaddr *peer)
{
    struct downstream *downstream = make_downstream(peer);

    if (downstream == NULL || !has_parts(downstream, context, lw->tls)) {
        mem_free(downstream);
        close(fd);
        return ST_NOMEM;
    }
    if (h1_caller_open(&downstream->h1, &context->caller_common, downstream, fd, lw->tls != NULL) != ST_OK) {
        free_parts(downstream, context);
        mem_free(downstream);
        return ST_NOMEM;
    }
    downstream->context = context;
    downstream->begin = lw->begin;
    downstream->listener = lw;
    downstream->terms = lw->terms;
    downstream->terms->users++;
    downstream->upstream = lw->upstream;
    downstream->h1.takes_connect = lw->upstream->forward != NULL;
    PRE(downstream->upstream->snapshot == downstream->terms->snapshot);
    list_push_back(&context->downstreams, &downstream->node);
    context->downstream_count++;
    return ST_OK;
}

uint32_t downstream_counts(const struct acceptor *acceptor, uint32_t *own, uint32_t *all)
{
    const struct call_context *context = CONTAINER_OF(acceptor, struct listener_worker, acceptor)->context;

    *own = context->downstream_count;
    *all = atomic_load_explicit(context->callers, memory_order_relaxed);
    return context->worker_count;
}

void downstream_accepted(struct acceptor *acceptor, int fd, const struct sockaddr *peer)
{
    struct listener_worker *lw = CONTAINER_OF(acceptor, struct listener_worker, acceptor);
    struct call_context *context = lw->context;

    if (is_full(context))
        turn_away(context, lw, fd);
    else if (open_downstream(context, lw, fd, peer) != ST_OK)
        atomic_fetch_sub_explicit(context->callers, 1, memory_order_relaxed);
}
