/*
 * The life of a connection.
 *
 *   (PROXY ->) HANDSHAKE -> HEAD -> EXCHANGE -> HEAD ... -> GONE
 *       |                   \-> LINGER -> GONE
 *       \-> STALLED -> GONE
 *
 * An event or the timer starts a step (conn_step): read what is wanted, take what was read, write what is queued,
 * over and over until nothing moves. Memory is bounded: input is read only while there is room for it, generated
 * content is queued only when what was queued before has been written.
 *
 * A peer that has closed is noticed at once, whatever its request waits for: either reading meets the end, or,
 * while nothing is wanted from the peer, the kernel is asked. A peer that shuts down only its sending side counts
 * as gone too, once nothing that could be answered at once is left.
 */
#include "faulty/conn_life.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "faulty/behaviours.h"
#include "faulty/conn.h"
#include "faulty/conn_begin.h"
#include "faulty/pattern.h"
#include "faulty/reply.h"

/* Input that may wait unread in memory, and output that is queued at a time. */
#define IN_MAX     FAULTY_HEAD_MAX
#define OUT_MAX    ((size_t)65536)
/* After so many rounds other connections get their turn. */
#define ROUNDS_MAX 16

/* ------------------------------------------------------------------------------------- a request */

static void count_in_work(struct faulty_conn *c)
{
    if (c->behaviour->uncounted)
        return;
    c->server->stats.requests_total++;
    faulty_work_begin(&c->server->work, &c->work);
}

/* The request is no longer in work: its response has been written, or its connection is gone. */
static void uncount_in_work(struct faulty_conn *c, uint64_t *outcome)
{
    if (faulty_work_end(&c->server->work, &c->work))
        (*outcome)++;
}

static void forget_request(struct faulty_conn *c)
{
    faulty_conn_tick_stop(c);
    if (c->kept != NULL)
        evbuffer_free(c->kept);
    c->kept = NULL;
    c->behaviour = NULL;
    c->source = (struct faulty_source){0};
    c->ended = c->answered = false;
    c->reply_minor = 1;
    c->head = c->post = false;
    c->allowance = UINT64_MAX;
    c->count = 0;
    c->crc = 0;
}

/* Answers what could not be understood. Where the next request starts is unknown, so this is the last one. */
static void refuse(struct faulty_conn *c, int status)
{
    char text[64];
    int len = snprintf(text, sizeof(text), "curfew faulty: %d\n", status);

    c->state = FAULTY_CONN_EXCHANGE;
    c->content.state = FAULTY_CONTENT_BROKEN;
    c->close = true;
    if (!c->ended)
        faulty_reply_text(c, status, "text/plain", (struct span){text, (size_t)len});
}

static void begin_exchange(struct faulty_conn *c, struct span head)
{
    struct faulty_request request;
    int refusal = faulty_request_parse(head, &request);

    forget_request(c);
    if (refusal != 0) {
        refuse(c, refusal);
        return;
    }
    c->state = FAULTY_CONN_EXCHANGE;
    c->minor = request.minor;
    c->head = request.head;
    c->post = span_eq(request.method, SPAN_LIT("POST"));
    c->close = !request.keep_alive;
    faulty_content_begin(&c->content, &request);
    c->behaviour = faulty_behaviours_find(&request, &c->args);
    count_in_work(c);
    if (c->behaviour->head != NULL)
        c->behaviour->head(c, head);
    if (c->state != FAULTY_CONN_EXCHANGE)
        return;
    if (faulty_content_is_done(&c->content))
        c->behaviour->answer(c);
    else if (request.expects_continue && !c->ended)
        faulty_reply_head(c, 100, "");
}

static bool take_head_of_h1(struct faulty_conn *c)
{
    struct evbuffer_ptr end = evbuffer_search(c->in, "\r\n\r\n", 4, NULL);
    size_t len = (size_t)(end.pos + 4);
    struct span head;

    if (end.pos < 0 ? evbuffer_get_length(c->in) >= FAULTY_HEAD_MAX : len > FAULTY_HEAD_MAX) {
        forget_request(c);
        refuse(c, 431);
        return true;
    }
    if (end.pos < 0)
        return false;
    head = (struct span){(char *)evbuffer_pullup(c->in, (ssize_t)len), len};
    if (head.ptr == NULL)
        c->state = FAULTY_CONN_GONE;
    else
        begin_exchange(c, head);
    (void)evbuffer_drain(c->in, len); /* fails only for a frozen buffer */
    return true;
}

static bool take_head(struct faulty_conn *c)
{
    bool may_be;

    if (faulty_conn_change_to_h2(c, &may_be) || may_be)
        return c->state == FAULTY_CONN_GONE;
    return take_head_of_h1(c);
}

static bool wants_content(const struct faulty_conn *c)
{
    return c->content.state < FAULTY_CONTENT_DONE;
}

static bool take_content(struct faulty_conn *c)
{
    struct evbuffer_iovec piece;
    struct span wire, data;

    if (!wants_content(c) || c->allowance == 0 || evbuffer_peek(c->in, -1, NULL, &piece, 1) < 1)
        return false;
    wire = (struct span){piece.iov_base, piece.iov_len < c->allowance ? piece.iov_len : (size_t)c->allowance};
    wire.len = faulty_content_take(&c->content, wire, &data);
    if (c->allowance != UINT64_MAX)
        c->allowance -= wire.len;
    if (c->behaviour->content != NULL)
        c->behaviour->content(c, wire, data);
    (void)evbuffer_drain(c->in, wire.len); /* fails only for a frozen buffer */
    if (c->content.state == FAULTY_CONTENT_BROKEN)
        refuse(c, 400);
    else if (faulty_content_is_done(&c->content) && c->state == FAULTY_CONN_EXCHANGE)
        c->behaviour->answer(c);
    return true;
}

static bool discard(struct faulty_conn *c)
{
    size_t len = evbuffer_get_length(c->in);

    (void)evbuffer_drain(c->in, len); /* fails only for a frozen buffer */
    return len != 0;
}

/* ---------------------------------------------------------------------------------------- writing */

static void put_piece(struct faulty_conn *c)
{
    struct span piece = faulty_pattern(c->source.offset, c->source.left);

    if (c->source.chunked)
        (void)evbuffer_add_printf(c->out, "%zx\r\n", piece.len);
    /* The pattern is static: it is referred to, not copied. */
    if (evbuffer_add_reference(c->out, piece.ptr, piece.len, NULL, NULL) != 0)
        c->state = FAULTY_CONN_GONE;
    if (c->source.chunked)
        faulty_conn_put(c, "\r\n", 2);
    c->source.offset += piece.len;
    c->source.left -= piece.len;
}

static void top_up(struct faulty_conn *c)
{
    while (c->source.left != 0 && evbuffer_get_length(c->out) < OUT_MAX && c->state == FAULTY_CONN_EXCHANGE)
        put_piece(c);
    if (c->ended && c->source.left == 0 && c->source.chunked) {
        c->source.chunked = false;
        if (!c->source.cut)
            (void)evbuffer_add_printf(c->out, "0\r\n%s\r\n",
                                      c->source.trailers != NULL ? c->source.trailers : "");
    }
}

static void count_answered(struct faulty_conn *c)
{
    c->answered = true;
    faulty_conn_tick_stop(c);
    uncount_in_work(c, &c->server->stats.responses_total);
}

/* The response is out: what becomes of the connection? */
static void settle(struct faulty_conn *c)
{
    bool all_read = faulty_content_is_done(&c->content);

    if (c->close) {
        forget_request(c);
        faulty_conn_linger(c);
        if (all_read)
            c->state = FAULTY_CONN_GONE;
    } else if (all_read) {
        forget_request(c);
        c->state = FAULTY_CONN_HEAD;
    }
}

static bool conn_write(struct faulty_conn *c)
{
    size_t put = 0;
    bool was_answered = c->answered;

    if (c->state != FAULTY_CONN_EXCHANGE)
        return false;
    top_up(c);
    if (evbuffer_get_length(c->out) != 0 && c->transport.writable) {
        enum status status = faulty_transport_write(&c->transport, c->out, &put);

        c->server->stats.bytes_out += put;
        if (status == ST_FAILED || status == ST_EOF)
            c->state = FAULTY_CONN_GONE;
    }
    if (c->state == FAULTY_CONN_EXCHANGE && c->ended && c->source.left == 0 && !c->source.chunked &&
        evbuffer_get_length(c->out) == 0) {
        if (!c->answered)
            count_answered(c);
        settle(c);
    }
    return put != 0 || c->answered != was_answered || c->state != FAULTY_CONN_EXCHANGE;
}

/* ------------------------------------------------------------------------------ reading and steps */

/* How many bytes may be read now. */
static size_t room(const struct faulty_conn *c)
{
    size_t held = evbuffer_get_length(c->in);

    if (c->state == FAULTY_CONN_HANDSHAKE || c->state == FAULTY_CONN_GONE)
        return 0;
    if (c->state == FAULTY_CONN_EXCHANGE && wants_content(c) && c->allowance < IN_MAX)
        return held == 0 ? (size_t)c->allowance : 0;
    if (c->state == FAULTY_CONN_EXCHANGE && c->content.state == FAULTY_CONTENT_BROKEN)
        return 0;
    return held < IN_MAX ? IN_MAX - held : 0;
}

static bool conn_read(struct faulty_conn *c)
{
    size_t max = room(c);
    size_t got;
    enum status status;

    if (max == 0 || !c->transport.readable || c->eof)
        return false;
    status = faulty_transport_read(&c->transport, c->in, max, &got);
    c->server->stats.bytes_in += got;
    if (status == ST_FAILED)
        c->state = FAULTY_CONN_GONE;
    if (status == ST_EOF)
        c->eof = true;
    return got != 0;
}

/* Takes what has been read. */
static bool conn_take(struct faulty_conn *c)
{
    switch (c->state) {
    case FAULTY_CONN_PROXY: return faulty_conn_ask_proxy(c);
    case FAULTY_CONN_HANDSHAKE: return faulty_conn_handshake(c);
    case FAULTY_CONN_HEAD: return take_head(c);
    case FAULTY_CONN_EXCHANGE: return take_content(c);
    case FAULTY_CONN_STALLED:
    case FAULTY_CONN_LINGER: return discard(c);
    default: return false;
    }
}

static void conn_free(struct faulty_conn *c)
{
    uncount_in_work(c, &c->server->stats.gone_total);
    forget_request(c);
    (void)event_del(&c->io); /* fails only for an event without a base */
    faulty_transport_close(&c->transport, c->reset);
    list_remove(&c->link);
    evbuffer_free(c->in);
    evbuffer_free(c->out);
    c->server->stats.open -= c->transport.pipe == NULL;
    mem_free(c);
}

static bool peer_left(const struct faulty_conn *c)
{
    /* Readable still, after a step in which nothing moved: input is waiting that is not wanted now. */
    return c->eof || (c->transport.readable && c->state != FAULTY_CONN_HANDSHAKE &&
                      faulty_transport_peer_left(&c->transport));
}

static void conn_step(struct faulty_conn *c)
{
    bool moved = true;

    for (int round = 0; moved && c->state != FAULTY_CONN_GONE && round < ROUNDS_MAX; round++) {
        moved = conn_read(c);
        moved |= conn_take(c);
        moved |= conn_write(c);
    }
    if (c->state == FAULTY_CONN_GONE || (!moved && peer_left(c)))
        conn_free(c);
    else if (moved)
        event_active(&c->io, EV_READ | EV_WRITE, 0);
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
    struct faulty_conn *c = arg;

    (void)fd;
    c->transport.readable |= (what & EV_READ) != 0 || c->transport.ssl != NULL;
    c->transport.writable |= (what & EV_WRITE) != 0 || c->transport.ssl != NULL;
    conn_step(c);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct faulty_conn *c = arg;

    (void)fd;
    (void)what;
    if (c->state == FAULTY_CONN_EXCHANGE)
        c->behaviour->tick(c);
    else
        c->state = FAULTY_CONN_GONE;
    conn_step(c);
}

static bool conn_init(struct faulty_conn *c, struct faulty_server *server, int fd)
{
    c->server = server;
    list_init(&c->work.node);
    c->transport.fd = fd;
    c->transport.readable = c->transport.writable = true;
    c->reply_minor = 1;
    c->in = evbuffer_new();
    c->out = evbuffer_new();
    return c->in != NULL && c->out != NULL &&
           event_assign(&c->timer, server->base, -1, EV_PERSIST, on_timer, c) == 0;
}

static bool conn_open(struct faulty_conn *c)
{
    struct faulty_server *server = c->server;

    c->state = FAULTY_CONN_PROXY;
    if (server->proxy == 0 && !faulty_conn_begin_tls(c))
        return false;
    return event_assign(&c->io, server->base, c->transport.fd, EV_READ | EV_WRITE | EV_ET | EV_PERSIST, on_io,
                        c) == 0 &&
           event_add(&c->io, NULL) == 0;
}

/* What has not begun. */
static void give_up(struct faulty_conn *c)
{
    if (c->in != NULL)
        evbuffer_free(c->in);
    if (c->out != NULL)
        evbuffer_free(c->out);
    mem_free(c);
}

void faulty_conn_start(struct faulty_server *server, int fd)
{
    struct faulty_conn *c = mem_zalloc(sizeof(*c));

    if (c == NULL) {
        (void)close(fd);
        return;
    }
    if (!conn_init(c, server, fd) || !conn_open(c)) {
        faulty_transport_close(&c->transport, false);
        give_up(c);
        return;
    }
    list_push_back(&server->conns, &c->link);
    server->stats.connections_total++;
    server->stats.open++;
    conn_step(c);
}

struct faulty_conn *faulty_conn_start_piped(struct faulty_server *server, struct faulty_pipe *pipe)
{
    struct faulty_conn *c = mem_zalloc(sizeof(*c));

    if (c == NULL)
        return NULL;
    if (!conn_init(c, server, -1) || event_assign(&c->io, server->base, -1, EV_PERSIST, on_io, c) != 0) {
        give_up(c);
        return NULL;
    }
    c->transport.pipe = pipe;
    c->state = FAULTY_CONN_HEAD;
    list_push_back(&server->conns, &c->link);
    faulty_conn_wake(c);
    return c;
}

void faulty_conn_wake(struct faulty_conn *c)
{
    event_active(&c->io, EV_READ | EV_WRITE, 0);
}

void faulty_conn_close_all(struct faulty_server *server)
{
    while (!list_is_empty(&server->conns))
        conn_free(CONTAINER_OF(server->conns.next, struct faulty_conn, link));
}
