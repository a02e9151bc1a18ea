#include "runtime/connect.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/tcp.h"
#include "runtime/worker.h"

/*
 * begin -> (DNS) -> try_next -> CONNECT -> (TLS) -> finish
 *                      ^           |         |
 *                      +-----------+---------+  this address failed, or its share of the time is used up
 *
 * Every step comes from the loop, and `finish` is the one way out but for connect_cancel. A certificate that
 * is not trusted ends it at once: the other addresses are the same peer by the same name.
 */

static void finish(struct connect *connect, enum cause cause)
{
    connect->active = false;
    timer_fini(&connect->worker->timers, &connect->timer);
    worker_undefer(&connect->begin);
    dns_cancel(&connect->query);
    dns_answer_release(&connect->answer);
    connect->events->done(connect, cause, connect->detail);
}

/* ---- what went wrong ----------------------------------------------------------------------------------- */

static bool is_of_tls(enum cause cause)
{
    return cause == CAUSE_TLS_PROTOCOL || cause == CAUSE_TLS_CERTIFICATE;
}

/*
 * The latest failure, but for two of others that tell more: one at an address that had come as far as TLS, and a
 * shortage of this host's, after which nothing that is said of the upstream is known to be its fault.
 */
static void note(struct connect *connect, enum cause cause, const char *why)
{
    const union dns_address *peer = &connect->peer;
    bool is_v6 = peer->any.sa_family == AF_INET6;
    char ip[INET6_ADDRSTRLEN] = "";

    if (connect->cause == CAUSE_INTERNAL || (is_of_tls(connect->cause) && !is_of_tls(cause)))
        return;
    inet_ntop(peer->any.sa_family, is_v6 ? (const void *)&peer->v6.sin6_addr : &peer->v4.sin_addr, ip,
              sizeof(ip));
    snprintf(connect->detail, sizeof(connect->detail), is_v6 ? "[%s]:%u: %s" : "%s:%u: %s", ip,
             connect->upstream->port, why);
    connect->cause = cause;
}

static void note_error(struct connect *connect, int error)
{
    note(connect, tcp_cause_of(error, &connect->peer.any), strerror(error));
}

static void fail_without_address(struct connect *connect, enum cause cause, const char *why)
{
    snprintf(connect->detail, sizeof(connect->detail), "%s: %s", connect->upstream->host, why);
    finish(connect, cause);
}

/* ---- one address --------------------------------------------------------------------------------------- */

static uint32_t address_count(const struct connect *connect)
{
    return connect->answer != NULL ? connect->answer->count : 1;
}

static void take_address(struct connect *connect)
{
    const struct address *ip = &connect->upstream->ip;
    in_port_t port = htons(connect->upstream->port);

    if (connect->answer != NULL) {
        connect->peer = connect->answer->addresses[connect->next];
    } else if (ip->family == ADDRESS_IPV6) {
        connect->peer.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6};
        memcpy(&connect->peer.v6.sin6_addr, ip->ip, sizeof(connect->peer.v6.sin6_addr));
    } else {
        connect->peer.v4 = (struct sockaddr_in){.sin_family = AF_INET};
        memcpy(&connect->peer.v4.sin_addr, ip->ip, sizeof(connect->peer.v4.sin_addr));
    }
    if (connect->peer.any.sa_family == AF_INET6)
        connect->peer.v6.sin6_port = port;
    else
        connect->peer.v4.sin_port = port;
    connect->next++;
}

/* The last address has all the time that is left, and that end is the owner's to see to. */
static void set_share(struct connect *connect)
{
    uint32_t later = address_count(connect) - connect->next;
    int64_t due_ns = NS_NEVER;

    if (later != 0 && connect->limit_ns != NS_NEVER) {
        int64_t now_ns = worker_now(connect->worker);
        int64_t left_ns = connect->limit_ns > now_ns ? connect->limit_ns - now_ns : 0;

        due_ns = now_ns + left_ns / (later + 1);
    }
    timer_set(&connect->worker->timers, &connect->timer, due_ns);
}

/* A socket on its way to the address; -1: errno says why not. */
static int open_socket(const union dns_address *peer, int64_t longest_ns)
{
    bool is_v6 = peer->any.sa_family == AF_INET6;
    socklen_t len = is_v6 ? sizeof(peer->v6) : sizeof(peer->v4);
    int fd = socket(peer->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error;

    if (fd < 0)
        return -1;
    tcp_tune_upstream(fd, longest_ns);
    if (connect(fd, &peer->any, len) == 0 || errno == EINPROGRESS)
        return fd;
    error = errno;
    close(fd);
    errno = error;
    return -1;
}

static void connecting(struct stream *stream);

/* True: it is under way. */
static bool try_address(struct connect *connect)
{
    int fd = open_socket(&connect->peer, upstream_longest_ns(connect->upstream));

    if (fd < 0) {
        note_error(connect, errno);
        return false;
    }
    if (stream_open(connect->stream, connect->worker, fd, connecting) != ST_OK) {
        note_error(connect, ENOMEM);
        return false;
    }
    connect->stream->arg = connect;
    set_share(connect);
    return true;
}

static void try_next(struct connect *connect)
{
    while (connect->next < address_count(connect)) {
        take_address(connect);
        connect->events->phase(connect, PHASE_CONNECT);
        if (try_address(connect))
            return;
    }
    finish(connect, connect->cause);
}

static void drop_and_try_next(struct connect *connect)
{
    stream_close(connect->stream);
    try_next(connect);
}

static void share_used_up(struct timer *timer, int64_t now_ns)
{
    struct connect *connect = CONTAINER_OF(timer, struct connect, timer);

    (void)now_ns;
    note(connect, CAUSE_CONNECT_LIMIT,
         connect->stream->ssl != NULL ? "no TLS handshake in time" : "no answer in time");
    drop_and_try_next(connect);
}

/* ---- the connection ------------------------------------------------------------------------------------ */

/* Between `done` and the owner's own on_ready. */
static void nothing_to_do(struct stream *stream)
{
    (void)stream;
}

static void hand_over(struct connect *connect)
{
    struct stream *stream = connect->stream;

    stream->on_ready = nothing_to_do;
    stream->arg = NULL;
    /* The handshake may have read ahead: bytes that raise no event any more. */
    stream->can_read = stream->can_write = true;
    connect->detail[0] = '\0';
    finish(connect, CAUSE_NONE);
}

static void handshaking(struct stream *stream)
{
    struct connect *connect = stream->arg;
    enum cause cause;
    char why[128];

    switch (tls_handshake(stream->ssl, &cause, why, sizeof(why))) {
    case ST_AGAIN: return;
    case ST_OK: hand_over(connect); return;
    default: note(connect, cause, why);
    }
    if (cause == CAUSE_TLS_CERTIFICATE) {
        stream_close(stream);
        finish(connect, cause);
    } else {
        drop_and_try_next(connect);
    }
}

static void begin_tls(struct connect *connect)
{
    struct stream *stream = connect->stream;
    SSL *ssl = tls_connection_new(connect->tls, connect->worker->index, stream->fd);

    connect->events->phase(connect, PHASE_TLS);
    if (ssl == NULL) {
        note_error(connect, ENOMEM);
        drop_and_try_next(connect);
        return;
    }
    stream_put_under_tls(stream, ssl);
    stream->on_ready = handshaking;
    handshaking(stream);
}

/* The first event of a socket that is connecting says that it has connected, or failed. */
static void connecting(struct stream *stream)
{
    struct connect *connect = stream->arg;
    int error = 0;
    socklen_t len = sizeof(error);

    if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    if (error != 0) {
        note_error(connect, error);
        drop_and_try_next(connect);
    } else if (connect->tls != NULL) {
        begin_tls(connect);
    } else {
        hand_over(connect);
    }
}

/* ---- from the name on ---------------------------------------------------------------------------------- */

static void resolved(struct dns_query *query, struct dns_answer *answer, const char *why)
{
    struct connect *connect = CONTAINER_OF(query, struct connect, query);

    if (answer == NULL) {
        fail_without_address(connect, CAUSE_DNS, why);
        return;
    }
    connect->answer = dns_answer_acquire(answer);
    try_next(connect);
}

static void begin(struct mail *mail)
{
    struct connect *connect = CONTAINER_OF(mail, struct connect, begin);

    if (connect->upstream->host_is_ip) {
        try_next(connect);
        return;
    }
    connect->events->phase(connect, PHASE_DNS);
    switch (
        dns_ask(connect->resolver, connect->upstream->host, &connect->query, resolved, &connect->answer)) {
    case ST_OK: try_next(connect); return;
    case ST_AGAIN: return;
    default: fail_without_address(connect, CAUSE_INTERNAL, strerror(ENOMEM));
    }
}

enum status connect_start(struct connect *connect, int64_t limit_ns)
{
    if (timer_init(&connect->worker->timers, &connect->timer, share_used_up) != ST_OK)
        return ST_NOMEM;
    connect->limit_ns = limit_ns;
    dns_query_init(&connect->query);
    connect->answer = NULL;
    connect->next = 0;
    connect->peer = (union dns_address){.any.sa_family = AF_UNSPEC};
    connect->cause = CAUSE_NONE;
    connect->detail[0] = '\0';
    connect->active = true;
    mail_init(&connect->begin, begin);
    worker_defer(connect->worker, &connect->begin);
    return ST_OK;
}

void connect_cancel(struct connect *connect)
{
    if (!connect->active)
        return;
    connect->active = false;
    timer_fini(&connect->worker->timers, &connect->timer);
    worker_undefer(&connect->begin);
    dns_cancel(&connect->query);
    dns_answer_release(&connect->answer);
    stream_close(connect->stream);
}
