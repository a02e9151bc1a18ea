#include "runtime/stream.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/tls_stream.h"
#include "runtime/loop.h"

void stream_tune(int fd)
{
    int on = 1, unsent = STREAM_UNSENT_MAX;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
}

void stream_init(struct stream *stream)
{
    *stream = (struct stream){.fd = -1};
}

static void ready(evutil_socket_t fd, short what, void *arg)
{
    struct stream *stream = arg;

    (void)fd;
    loop_count_event(stream->loop);
    if (what & (EV_READ | EV_CLOSED))
        stream->can_read = true;
    if (what & EV_WRITE)
        stream->can_write = true;
    if (what & EV_CLOSED)
        stream->peer_ended = true;
    stream->on_ready(stream);
}

static bool listen_to(struct stream *stream)
{
    short what = EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST;

    return event_assign(&stream->event, stream->loop->base, stream->fd, what, ready, stream) == 0 &&
           event_add(&stream->event, NULL) == 0;
}

enum status stream_open(struct stream *stream, struct loop *loop, int fd, stream_fn on_ready)
{
    *stream =
        (struct stream){.loop = loop, .fd = fd, .on_ready = on_ready, .can_read = true, .can_write = true};
    if (listen_to(stream))
        return ST_OK;
    close(fd);
    stream->fd = -1;
    return ST_NOMEM;
}

enum status stream_move(struct stream *to, struct stream *from)
{
    event_del(&from->event);
    *to = *from;
    stream_init(from);
    if (listen_to(to))
        return ST_OK;
    stream_close(to);
    return ST_NOMEM;
}

static enum status read_plain(struct stream *stream, void *bytes, size_t cap, size_t *len)
{
    ssize_t n = recv(stream->fd, bytes, cap, 0);

    if (n == 0)
        return stream->was_reset ? ST_FAILED : ST_EOF;
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR)
            return ST_FAILED;
        stream->can_read = errno == EINTR;
        return ST_AGAIN;
    }
    *len = (size_t)n;
    /* A short read has emptied the socket: the next byte raises an event. Not so if the end is already behind it. */
    if (*len < cap && !stream->peer_ended)
        stream->can_read = false;
    return ST_OK;
}

enum status stream_read(struct stream *stream, void *bytes, size_t cap, size_t *len)
{
    if (!stream->can_read)
        return ST_AGAIN;
    return stream->ssl != NULL ? tls_stream_read(stream, bytes, cap, len)
                               : read_plain(stream, bytes, cap, len);
}

static enum status write_plain(struct stream *stream, const struct iovec *pieces, int count, size_t *len)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)pieces, .msg_iovlen = (size_t)count};
    ssize_t n = sendmsg(stream->fd, &message, MSG_NOSIGNAL);

    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            /* EPIPE: the peer had ended its side before. */
            stream->was_reset |= errno != EPIPE;
            return ST_FAILED;
        }
        stream->can_write = errno == EINTR;
        return ST_AGAIN;
    }
    *len = (size_t)n;
    return ST_OK;
}

enum status stream_write(struct stream *stream, const struct iovec *pieces, int count, size_t *len)
{
    if (!stream->can_write)
        return ST_AGAIN;
    return stream->ssl != NULL ? tls_stream_write(stream, pieces, count, len)
                               : write_plain(stream, pieces, count, len);
}

void stream_end_write(struct stream *stream)
{
    (void)shutdown(stream->fd,
                   SHUT_WR); /* fails only if the peer has gone, and then there is nothing to tell */
}

static void close_with(struct stream *stream, bool in_order)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};

    if (stream->fd < 0)
        return;
    event_del(&stream->event);
    if (stream->ssl != NULL)
        tls_stream_close(stream, in_order);
    if (!in_order)
        (void)setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(stream->fd);
    stream_init(stream);
}

void stream_close(struct stream *stream)
{
    close_with(stream, true);
}

void stream_reset(struct stream *stream)
{
    close_with(stream, false);
}
