#include "net.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/invariant.h"
#include "runtime/connect.h"
#include "runtime/loop.h"
#include "runtime/tcp.h"

ssize_t __wrap_recv(int fd, void *bytes, size_t cap, int flags);

struct net net;

void net_init(void)
{
    net = (struct net){.ends = NULL};
    list_init(&net.dials);
}

void net_fini(void)
{
    free(net.ends);
}

static struct net_end *end_of(int fd)
{
    MUST_HOLD(fd >= NET_FD_BASE && (size_t)(fd - NET_FD_BASE) < net.end_count);
    MUST_HOLD(net.ends[fd - NET_FD_BASE] != NULL);
    return net.ends[fd - NET_FD_BASE];
}

struct net_end *net_end_new(struct loop *loop, void *peer)
{
    struct net_end *end = calloc(1, sizeof(*end));
    size_t place = 0;

    while (place < net.end_count && net.ends[place] != NULL)
        place++;
    if (place == net.end_count) {
        net.ends = realloc(net.ends, ++net.end_count * sizeof(struct net_end *));
        MUST_HOLD(net.ends != NULL);
    }
    MUST_HOLD(end != NULL);
    *end = (struct net_end){
        .fd = NET_FD_BASE + (int)place, .loop = loop, .peer = peer, .is_peer_open = true, .room = 1000000};
    net.ends[place] = end;
    return end;
}

static void free_if_left(struct net_end *end)
{
    if (end->is_peer_open || end->transport != NULL || !end->we_closed)
        return;
    net.ends[end->fd - NET_FD_BASE] = NULL;
    free(end->in);
    free(end->out);
    free(end);
}

void net_end_leave(struct net_end *end)
{
    end->is_peer_open = false;
    end->peer = NULL;
    free_if_left(end);
}

static void append(char **block, size_t *len, size_t *cap, const char *bytes, size_t count)
{
    if (*len + count > *cap) {
        *cap = 2 * (*len + count);
        *block = realloc(*block, *cap);
        MUST_HOLD(*block != NULL);
    }
    memcpy(*block + *len, bytes, count);
    *len += count;
}

static void drop_front(char *block, size_t *len, size_t count)
{
    MUST_HOLD(count <= *len);
    memmove(block, block + count, *len - count);
    *len -= count;
}

/* ---- the peer ------------------------------------------------------------------------------------------ */

void net_send(struct net_end *end, const char *bytes, size_t len)
{
    MUST_HOLD(!end->peer_ended && !end->was_reset);
    if (end->we_closed || len == 0)
        return;
    append(&end->in, &end->in_len, &end->in_cap, bytes, len);
    end->readable = true;
}

void net_end_side(struct net_end *end)
{
    end->peer_ended = true;
    end->readable = end->closed = true;
}

void net_reset(struct net_end *end)
{
    end->was_reset = true;
    end->readable = end->writable =
        true; /* an error is no end to epoll: what came before it can be read still */
}

void net_make_room(struct net_end *end, size_t room)
{
    end->room = room;
    end->writable = true;
}

void net_take(struct net_end *end, size_t len)
{
    drop_front(end->out, &end->out_len, len);
}

bool net_is_due(const struct net_end *end)
{
    return end->transport != NULL && (end->readable || end->writable || end->closed);
}

void net_raise(struct net_end *end)
{
    struct transport *transport = end->transport;

    if (end->readable || end->closed)
        transport->can_read = true;
    if (end->writable)
        transport->can_write = true;
    if (end->closed)
        transport->peer_ended = true;
    end->readable = end->writable = end->closed = false;
    transport->on_ready(transport);
}

/* ---- runtime/transport --------------------------------------------------------------------------------- */

int64_t transport_round_trip_ns(const struct transport *transport)
{
    (void)transport;
    return 0;
}

void transport_init(struct transport *transport)
{
    *transport = (struct transport){.fd = -1};
}

enum status transport_open(struct transport *transport, struct loop *loop, int fd, transport_fn on_ready)
{
    struct net_end *end = end_of(fd);

    MUST_HOLD(end->transport == NULL && end->loop == loop);
    *transport =
        (struct transport){.loop = loop, .fd = fd, .on_ready = on_ready, .can_read = true, .can_write = true};
    end->transport = transport;
    end->readable = end->writable = true; /* as epoll does it */
    net.open++;
    return ST_OK;
}

enum status transport_open_accepted(struct transport *transport, struct loop *loop, int fd,
                                    transport_fn on_ready)
{
    return transport_open(transport, loop, fd, on_ready);
}

void transport_bound_unsent(struct transport *transport)
{
    (void)end_of(transport->fd);
}

enum status transport_move(struct transport *to, struct transport *from)
{
    end_of(from->fd)->transport = to;
    *to = *from;
    transport_init(from);
    return ST_OK;
}

enum status transport_read(struct transport *transport, void *bytes, size_t cap, size_t *len)
{
    struct net_end *end = end_of(transport->fd);
    size_t count = end->in_len < cap ? end->in_len : cap;

    if (!transport_may_read(transport))
        return ST_AGAIN;
    transport->was_short = false;
    if (count == 0 && end->was_reset)
        return ST_FAILED;
    if (count == 0 && end->peer_ended)
        return transport->was_reset ? ST_FAILED : ST_EOF;
    if (count == 0) {
        transport->can_read = false;
        return ST_AGAIN;
    }
    memcpy(bytes, end->in, count);
    drop_front(end->in, &end->in_len, count);
    end->taken += count;
    if (count < cap && !transport->peer_ended)
        transport_note_short(transport);
    *len = count;
    return ST_OK;
}

enum status transport_write(struct transport *transport, const struct iovec *pieces, int count, size_t *len)
{
    struct net_end *end = end_of(transport->fd);

    MUST_HOLD(!end->we_ended && count >= 1 && count <= 8);
    *len = 0;
    if (!transport->can_write)
        return ST_AGAIN;
    if (end->was_reset) {
        transport->was_reset = true;
        return ST_FAILED;
    }
    for (int i = 0; i < count; i++) {
        size_t part = pieces[i].iov_len < end->room ? pieces[i].iov_len : end->room;

        append(&end->out, &end->out_len, &end->out_cap, pieces[i].iov_base, part);
        end->room -= part;
        *len += part;
    }
    if (*len != 0)
        return ST_OK;
    transport->can_write = false;
    return ST_AGAIN;
}

void transport_end_write(struct transport *transport)
{
    end_of(transport->fd)->we_ended = true;
}

static void close_with(struct transport *transport, bool in_order)
{
    struct net_end *end;

    if (transport->fd < 0)
        return;
    end = end_of(transport->fd);
    /* What was received and not read makes a reset of a close. */
    end->we_reset = !in_order || end->in_len != 0;
    end->we_closed = true;
    end->transport = NULL;
    transport_init(transport);
    net.open--;
    free_if_left(end);
}

void transport_close(struct transport *transport)
{
    close_with(transport, true);
}

void transport_reset(struct transport *transport)
{
    close_with(transport, false);
}

bool transport_has_hung_up(const struct transport *transport)
{
    return end_of(transport->fd)->was_reset;
}

bool transport_was_reset(const struct transport *transport)
{
    return end_of(transport->fd)->was_reset;
}

bool transport_peer_is_gone(const struct transport *transport)
{
    return end_of(transport->fd)->was_reset;
}

ssize_t __wrap_recv(int fd, void *bytes, size_t cap, int flags)
{
    const struct net_end *end = end_of(fd);

    MUST_HOLD((flags & MSG_PEEK) != 0 && cap == 1);
    (void)bytes;
    if (end->in_len != 0)
        return 1;
    errno = end->was_reset ? ECONNRESET : EAGAIN;
    return end->peer_ended && !end->was_reset ? 0 : -1;
}

/* ---- runtime/connect and runtime/tcp ------------------------------------------------------------------- */

enum status connect_start(struct connect *connect, int64_t limit_ns)
{
    struct net_dial *dial = calloc(1, sizeof(*dial));

    MUST_HOLD(dial != NULL);
    dial->connect = connect;
    connect->limit_ns = limit_ns;
    connect->peer.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = 1};
    if (!net.dialled(dial)) {
        free(dial);
        return ST_NOMEM;
    }
    connect->active = true;
    list_push_back(&net.dials, &dial->node);
    return ST_OK;
}

static struct net_dial *dial_of(const struct connect *connect)
{
    LIST_FOREACH(node, &net.dials)
        if (CONTAINER_OF(node, struct net_dial, node)->connect == connect)
            return CONTAINER_OF(node, struct net_dial, node);
    return NULL;
}

void connect_cancel(struct connect *connect)
{
    struct net_dial *dial = connect->active ? dial_of(connect) : NULL;

    connect->active = false;
    if (dial == NULL)
        return;
    net.given_up(dial);
    list_remove(&dial->node);
    free(dial);
}

struct net_end *net_connected(struct net_dial *dial, void *peer)
{
    struct connect *connect = dial->connect;
    struct net_end *end = net_end_new(connect->loop, peer);

    MUST_HOLD(transport_open(connect->transport, connect->loop, end->fd, NULL) == ST_OK);
    list_remove(&dial->node);
    free(dial);
    connect->active = false;
    connect->events->done(connect, CAUSE_NONE, NULL);
    return end;
}

void tcp_tune_upstream(int fd, int64_t longest_ns)
{
    tcp_tune_at_rest(fd, longest_ns);
}

void tcp_tune_at_rest(int fd, int64_t longest_ns)
{
    (void)end_of(fd);
    (void)longest_ns;
}

void tcp_begin_probing(int fd)
{
    (void)end_of(fd);
}

void tcp_end_probing(int fd)
{
    (void)end_of(fd);
}

/* Whoever lives acknowledges; who has reset does not. */
bool tcp_has_acknowledged(int fd, int64_t within_ns)
{
    (void)within_ns;
    return !end_of(fd)->was_reset;
}

bool tcp_is_unacknowledged(int fd)
{
    (void)end_of(fd);
    return false;
}
