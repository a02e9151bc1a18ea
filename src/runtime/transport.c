#include "runtime/transport.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/invariant.h"
#include "runtime/loop.h"
#include "runtime/tls_transport.h"

static void bound_unsent(int fd)
{
    int unsent = TRANSPORT_UNSENT_MAX;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
}

void transport_tune(int fd)
{
    int on = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    bound_unsent(fd);
}

void transport_bound_unsent(struct transport *transport)
{
    PRE(transport_is_open(transport));
    if (!transport->has_bound)
        bound_unsent(transport->fd);
    transport->has_bound = true;
}

int64_t transport_round_trip_ns(const struct transport *transport)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);

    if (!transport_is_open(transport) || getsockopt(transport->fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
        return 0;
    return (int64_t)info.tcpi_rtt * 1000;
}

void transport_init(struct transport *transport)
{
    *transport = (struct transport){.fd = -1};
}

static void ready(evutil_socket_t fd, short what, void *arg)
{
    struct transport *transport = arg;

    (void)fd;
    PRE(transport_is_open(transport)); /* no event comes once it is closed */
    loop_count_event(transport->loop);
    if (what & (EV_READ | EV_CLOSED))
        transport->can_read = true;
    if (what & EV_WRITE)
        transport->can_write = true;
    if (what & EV_CLOSED)
        transport->peer_ended = true;
    if ((what & EV_WRITE) && transport->ends_write)
        transport_end_write(transport);
    transport->on_ready(transport);
}

static enum status open_with(struct transport *transport, struct transport what)
{
    PRE(what.fd >= 0 && loop_is_own(what.loop));
    *transport = what;
    transport->can_write = true;
    if (transport_register(transport, ready))
        return ST_OK;
    close(transport->fd);
    transport->fd = -1;
    return ST_NOMEM;
}

enum status transport_open(struct transport *transport, struct loop *loop, int fd, transport_fn on_ready)
{
    struct transport what = {
        .loop = loop, .fd = fd, .on_ready = on_ready, .can_read = true, .hears_room = true};

    return open_with(transport, what);
}

enum status transport_open_accepted(struct transport *transport, struct loop *loop, int fd,
                                    transport_fn on_ready)
{
    return open_with(transport, (struct transport){.loop = loop, .fd = fd, .on_ready = on_ready});
}

enum status transport_move(struct transport *to, struct transport *from)
{
    PRE(transport_is_open(from) && !transport_is_open(to));
    event_del(&from->event);
    *to = *from;
    transport_init(from);
    if (transport_register(to, ready))
        return ST_OK;
    transport_close(to);
    return ST_NOMEM;
}

static enum status read_plain(struct transport *transport, void *bytes, size_t cap, size_t *len)
{
    ssize_t n = recv(transport->fd, bytes, cap, 0);

    transport->was_short = false;
    if (n == 0)
        return transport->was_reset ? ST_FAILED : ST_EOF;
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR)
            return ST_FAILED;
        transport->can_read = errno == EINTR;
        return ST_AGAIN;
    }
    *len = (size_t)n;
    if (*len < cap && !transport->peer_ended)
        transport_note_short(transport);
    return ST_OK;
}

enum status transport_read(struct transport *transport, void *bytes, size_t cap, size_t *len)
{
    PRE(transport_is_open(transport) && loop_is_own(transport->loop));
    if (!transport_may_read(transport))
        return ST_AGAIN;
    return transport->ssl != NULL ? tls_transport_read(transport, bytes, cap, len)
                                  : read_plain(transport, bytes, cap, len);
}

static enum status write_plain(struct transport *transport, const struct iovec *pieces, int count,
                               size_t *len)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)pieces, .msg_iovlen = (size_t)count};
    ssize_t n = sendmsg(transport->fd, &message, MSG_NOSIGNAL);

    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            /* EPIPE: the peer had ended its side before. */
            transport->was_reset |= errno != EPIPE;
            return ST_FAILED;
        }
        transport->can_write = false;
        return transport_await_room(transport) ? ST_AGAIN : ST_FAILED;
    }
    *len = (size_t)n;
    return ST_OK;
}

enum status transport_write(struct transport *transport, const struct iovec *pieces, int count, size_t *len)
{
    PRE(transport_is_open(transport) && loop_is_own(transport->loop));
    PRE(count >= 1 && count <= 8);
    if (!transport->can_write)
        return ST_AGAIN;
    return transport->ssl != NULL ? tls_transport_write(transport, pieces, count, len)
                                  : write_plain(transport, pieces, count, len);
}

void transport_end_write(struct transport *transport)
{
    PRE(transport_is_open(transport));
    transport->ends_write = transport->ssl != NULL && !tls_transport_end_write(transport);
    if (!transport->ends_write) /* fails only if the peer has gone, and then there is nothing to tell */
        (void)shutdown(transport->fd, SHUT_WR);
}

static void close_with(struct transport *transport, bool in_order)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};

    if (transport->fd < 0)
        return;
    event_del(&transport->event);
    transport->hears_room = true; /* the closing alert waits for none: nothing is to be registered any more */
    if (transport->ssl != NULL)
        tls_transport_close(transport, in_order);
    if (!in_order)
        (void)setsockopt(transport->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(transport->fd);
    transport_init(transport);
    POST(transport->ssl == NULL && !transport_is_open(transport));
}

void transport_close(struct transport *transport)
{
    close_with(transport, true);
}

void transport_reset(struct transport *transport)
{
    close_with(transport, false);
}
