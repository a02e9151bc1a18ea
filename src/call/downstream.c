#include "call/downstream.h"

#include <string.h>
#include <unistd.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "http/h1_head.h"
#include "call/local_reply.h"
#include "call/keepalive.h"
#include "call/context.h"
#include "call/upstream.h"
#include "runtime/socket_address.h"

/* How long we listen to a caller who has had his answer and is still talking. */
#define LINGER_NS     (2 * NS_PER_S)
/* Reads of what he says then in one turn, so that others get theirs. */
#define DRAINS_A_TURN 16
/* How long a connection that is to be closed waits for a request that may be on its way. */
#define LAST_CALL_NS  (250 * NS_PER_MS)

static void set_timer(struct downstream *downstream, int64_t length_ns)
{
    struct loop *loop = downstream->context->loop;

    timer_set(&loop->timers, &downstream->timer, loop_now(loop) + length_ns);
}

static void clear_timer(struct downstream *downstream)
{
    timer_set(&downstream->context->loop->timers, &downstream->timer, NS_NEVER);
}

static void free_deferred(struct deferred_free *deferred_free)
{
    mem_free(CONTAINER_OF(deferred_free, struct downstream, deferred_free));
}

void downstream_destroy(struct downstream *downstream)
{
    struct call_context *context = downstream->context;

    PRE(downstream->call == NULL && context->downstream_count > 0); /* a call ends by call_end */
    keepalive_end_reservation(&downstream->reserved);
    transport_close(&downstream->transport);
    caller_tls_fini(&downstream->tls);
    buffer_close(&context->loop->spare_buffers, &downstream->in);
    timer_fini(&context->loop->timers, &downstream->timer);
    loop_undefer(&downstream->resume);
    list_remove(&downstream->node);
    context->downstream_count--;
    downstream->terms->users--;
    if (context->draining && context->downstream_count == 0)
        context->emptied(context);
    atomic_fetch_sub_explicit(context->callers, 1, memory_order_relaxed);
    loop_free_later(context->loop, &downstream->deferred_free, free_deferred);
}

/* Between requests, nobody is told: the caller only has to connect again. */
static void time_is_up(struct timer *timer, int64_t now_ns)
{
    struct downstream *downstream = CONTAINER_OF(timer, struct downstream, timer);

    (void)now_ns;
    if (downstream->tls.in_handshake && !downstream->winding_down)
        caller_tls_is_late(&downstream->tls, downstream->context);
    downstream_destroy(downstream);
}

/* Takes what the caller still sends, to throw it away. */
static void drain(struct downstream *downstream)
{
    char bytes[4096];
    enum status status = ST_OK;
    size_t len;

    for (int i = 0; i < DRAINS_A_TURN && status == ST_OK; i++)
        status = transport_read(&downstream->transport, bytes, sizeof(bytes), &len);
    if (status == ST_OK)
        downstream_resume_later(downstream);
    else if (status != ST_AGAIN)
        downstream_destroy(downstream);
}

static void linger(struct downstream *downstream)
{
    PRE(downstream->call == NULL && !downstream->lingering);
    downstream->lingering = true;
    keepalive_end_reservation(&downstream->reserved);
    buffer_close(&downstream->context->loop->spare_buffers, &downstream->in);
    transport_end_write(&downstream->transport);
    set_timer(downstream, LINGER_NS);
    drain(downstream);
}

/* Reads more of a head. False: nothing came, and the connection may be gone. */
static bool read_more(struct downstream *downstream)
{
    struct call_context *context = downstream->context;
    struct buffer *in = &downstream->in;
    enum status status;
    size_t len;

    /* Before taking a buffer: most events only say that an idle connection can be written to. */
    if (!downstream->transport.can_read)
        return false;
    status = buffer_open(&context->loop->spare_buffers, in);
    if (status == ST_OK)
        status = buffer_make_room(&context->loop->spare_buffers, in, (uint32_t)context->text_cap);
    if (status == ST_OK)
        status = transport_read(&downstream->transport, in->data + in->end, in->cap - in->end, &len);
    if (status == ST_OK) {
        in->end += (uint32_t)len;
        return true;
    }
    buffer_close_if_empty(&context->loop->spare_buffers, in);
    if (status == ST_AGAIN)
        return false;
    if (downstream->call == NULL)
        downstream_destroy(downstream);
    else
        downstream->events->no_head(downstream->call, status == ST_NOMEM ? CAUSE_INTERNAL : CAUSE_CALLER_GONE,
                                    NULL);
    return false;
}

/*
 * What old software sends behind its content is no part of a request (RFC 9112 2.2): nothing has begun that could get
 * stuck, and an answer to it would be taken for that to the next request.
 */
static bool is_empty_line(struct span bytes)
{
    return span_eq(bytes, SPAN_LIT("\r\n")) || span_eq(bytes, SPAN_LIT("\r"));
}

/* The first byte of a request is there. False: no memory, and the connection is gone. */
static bool begin_call(struct downstream *downstream)
{
    downstream->call = downstream->events->begin(downstream, loop_refresh_now(downstream->context->loop));
    if (downstream->call == NULL) {
        downstream_destroy(downstream);
        return false;
    }
    downstream->in_head = true;
    clear_timer(downstream);
    return true;
}

/* Looks at the bytes that are there. True: the connection is in other hands now. */
static bool try_head(struct downstream *downstream)
{
    struct call_context *context = downstream->context;
    struct span bytes = buffer_span(&downstream->in);
    struct h1_fault fault;
    size_t end;

    if (downstream->call == NULL) {
        if (is_empty_line(bytes))
            return false;
        if (!begin_call(downstream))
            return true;
    }
    switch (h1_head_read_request(&downstream->scan, bytes, context->snapshot->limits.request_head_bytes,
                                 &context->head, &end, &fault)) {
    case HTTP1_MORE:
        /* It does not come in one piece: where is it going? */
        if (h1_head_read_request_line(&downstream->scan, bytes, &context->head))
            downstream->events->line(downstream->call, &context->head);
        return false;
    case HTTP1_DONE:
        buffer_consume(&downstream->in, end);
        downstream->in_head = false;
        downstream->events->head(downstream->call, &context->head);
        break;
    case HTTP1_BAD: downstream->events->no_head(downstream->call, fault.cause, fault.detail); break;
    }
    return true;
}

static void read_head(struct downstream *downstream)
{
    do {
        if (buffer_len(&downstream->in) != 0 && try_head(downstream))
            return;
    } while (read_more(downstream));
}

static void go_on(struct downstream *downstream)
{
    if (downstream->lingering)
        drain(downstream);
    else if (downstream->call != NULL && !downstream->in_head)
        downstream->events->ready(downstream->call);
    else
        read_head(downstream);
}

/* Between requests: for how long one may still come. */
static void set_idle_timer(struct downstream *downstream)
{
    set_timer(downstream, downstream->winding_down ? LAST_CALL_NS
                                                   : downstream->context->snapshot->limits.idle_timeout_ns);
}

static void step_handshake(struct handshake *handshake)
{
    struct downstream *downstream = CONTAINER_OF(handshake, struct downstream, tls.handshake);

    switch (caller_tls_step(&downstream->tls, &downstream->transport, downstream->context,
                            downstream->upstream->name)) {
    case ST_OK:
        set_idle_timer(downstream);
        go_on(downstream);
        return;
    case ST_AGAIN: return;
    case ST_FAILED: linger(downstream); return;
    default: downstream_destroy(downstream);
    }
}

static void ready(struct transport *transport)
{
    struct downstream *downstream = CONTAINER_OF(transport, struct downstream, transport);

    if (downstream->tls.in_handshake)
        handshakes_wait(&downstream->context->handshakes, &downstream->tls.handshake);
    else
        go_on(downstream);
}

static void resume(struct mail *mail)
{
    go_on(CONTAINER_OF(mail, struct downstream, resume));
}

void downstream_resume_later(struct downstream *downstream)
{
    loop_undefer(&downstream->resume);
    loop_defer(downstream->context->loop, &downstream->resume);
}

void downstream_call_over(struct downstream *downstream, enum downstream_next next)
{
    PRE(downstream->call != NULL); /* a call is over once */
    downstream->call = NULL;
    switch (next) {
    case DOWNSTREAM_KEEP:
        downstream->scan = (struct http1_scan){0};
        buffer_close_if_empty(&downstream->context->loop->spare_buffers, &downstream->in);
        set_idle_timer(downstream);
        if (buffer_len(&downstream->in) != 0 || downstream->transport.can_read)
            downstream_resume_later(downstream);
        return;
    case DOWNSTREAM_CLOSE:
        /* Under TLS the end has to be told as such, which the socket may not take at once. */
        if (downstream->tls.server == NULL)
            break;
        linger(downstream);
        return;
    case DOWNSTREAM_LINGER: linger(downstream); return;
    case DOWNSTREAM_RESET: transport_reset(&downstream->transport); break;
    }
    downstream_destroy(downstream);
}

void downstream_wind_down(struct downstream *downstream)
{
    downstream->winding_down = true;
    if (downstream->lingering)
        return;
    if (downstream->call == NULL)
        set_timer(downstream, LAST_CALL_NS);
    else
        downstream->events->wind_down(downstream->call);
}

void downstream_set_terms(struct downstream *downstream, struct call_terms *terms,
                          const struct upstream_config *upstream, const struct tls_server *tls)
{
    PRE(downstream->terms->users > 0 && upstream->snapshot == terms->snapshot);
    downstream->terms->users--;
    terms->users++;
    downstream->terms = terms;
    downstream->upstream = upstream;
    if (!caller_tls_is_trusted_by(&downstream->tls, tls))
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

    if (getsockname(downstream->transport.fd, &address.any, &len) == 0 && address.any.sa_family != AF_UNIX)
        socket_address_put(out, &address.any);
}

static void note_caller(struct downstream *downstream, const struct sockaddr *peer)
{
    struct text ip = text_over(downstream->caller, sizeof(downstream->caller));
    struct endpoint caller;

    if (!socket_address_read(peer, &caller))
        return;
    endpoint_put_ip(&ip, &caller);
    downstream->caller_len = (uint8_t)ip.len;
    downstream->caller_port = caller.port;
}

/* What a socket has received and nobody read makes a reset of its close, which may overtake the answer. */
static void discard_received(int fd)
{
    char bytes[4096];

    for (int i = 0; i < DRAINS_A_TURN && recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0; i++)
        ;
}

static void turn_away(struct call_context *context, const struct listener_worker *lw, int fd)
{
    char block[LOCAL_REPLY_MAX];
    struct text text = text_over(block, sizeof(block));
    struct local_reply reply = {.cause = CAUSE_CONNECTIONS,
                                .upstream = lw->upstream->name,
                                .call_id = context->next_call++,
                                .date = context_date(context),
                                .minor = 1};

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

static bool is_full(struct call_context *context)
{
    atomic_uint *count = context->callers;
    unsigned before = atomic_fetch_add_explicit(count, 1, memory_order_relaxed);

    if (before < context->snapshot->limits.connections)
        return false;
    atomic_fetch_sub_explicit(count, 1, memory_order_relaxed);
    return true;
}

static enum status open_downstream(struct call_context *context, struct listener_worker *lw, int fd,
                                   const struct sockaddr *peer)
{
    struct downstream *downstream = mem_zalloc(sizeof(*downstream));

    if (downstream == NULL || timer_init(&context->loop->timers, &downstream->timer, time_is_up) != ST_OK) {
        close(fd);
        mem_free(downstream);
        return ST_NOMEM;
    }
    if (transport_open(&downstream->transport, context->loop, fd, ready) != ST_OK) {
        timer_fini(&context->loop->timers, &downstream->timer);
        mem_free(downstream);
        return ST_NOMEM;
    }
    downstream->context = context;
    downstream->events = lw->events;
    downstream->listener = lw;
    downstream->terms = lw->terms;
    downstream->terms->users++;
    downstream->upstream = lw->upstream;
    PRE(downstream->upstream->snapshot == downstream->terms->snapshot);
    mail_init(&downstream->resume, resume);
    caller_tls_init(&downstream->tls, lw->tls, step_handshake);
    note_caller(downstream, peer);
    list_push_back(&context->downstreams, &downstream->node);
    context->downstream_count++;
    set_timer(downstream, lw->tls != NULL ? context->snapshot->limits.handshake_timeout_ns
                                          : context->snapshot->limits.idle_timeout_ns);
    return ST_OK;
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
