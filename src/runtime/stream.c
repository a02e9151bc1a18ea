#include "runtime/stream.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/tls.h"
#include "runtime/worker.h"

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
    worker_count_event(stream->worker);
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

    return event_assign(&stream->event, stream->worker->base, stream->fd, what, ready, stream) == 0 &&
           event_add(&stream->event, NULL) == 0;
}

enum status stream_open(struct stream *stream, struct worker *worker, int fd, stream_fn on_ready)
{
    *stream = (struct stream){
        .worker = worker, .fd = fd, .on_ready = on_ready, .can_read = true, .can_write = true};
    if (listen_to(stream))
        return ST_OK;
    close(fd);
    stream->fd = -1;
    return ST_NOMEM;
}

/* OpenSSL reads ahead, as much as there is: a short read of its own has emptied the socket, as in read_plain. */
static long note_short_read(BIO *bio, int operation, const char *bytes, size_t cap, int argi, long argl,
                            int result, size_t *len)
{
    struct stream *stream = (struct stream *)(void *)BIO_get_callback_arg(bio);

    (void)bytes;
    (void)argi;
    (void)argl;
    if (operation == (BIO_CB_READ | BIO_CB_RETURN) && result > 0 && *len < cap && !stream->peer_ended)
        stream->can_read = false;
    return result;
}

void stream_put_under_tls(struct stream *stream, SSL *ssl)
{
    BIO *bio = SSL_get_rbio(ssl);

    stream->ssl = ssl;
    BIO_set_callback_arg(bio, (char *)stream);
    BIO_set_callback_ex(bio, note_short_read);
}

enum status stream_move(struct stream *to, struct stream *from)
{
    event_del(&from->event);
    *to = *from;
    stream_init(from);
    if (to->ssl != NULL)
        stream_put_under_tls(to, to->ssl);
    if (listen_to(to))
        return ST_OK;
    stream_close(to);
    return ST_NOMEM;
}

/* After SSL_read or SSL_write did not do: what now? */
static enum status tls_result(struct stream *stream, int result)
{
    switch (SSL_get_error(stream->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        stream->can_read = false;
        tls_free_buffers(stream->ssl);
        return ST_AGAIN;
    case SSL_ERROR_WANT_WRITE: stream->can_write = false; return ST_AGAIN;
    case SSL_ERROR_ZERO_RETURN: return ST_EOF;
    default: ERR_clear_error(); return ST_FAILED;
    }
}

/* One record comes at a time: as many are taken as surely fit. What went wrong behind some bytes is told next time. */
static enum status read_tls(struct stream *stream, char *bytes, size_t cap, size_t *len)
{
    size_t part;
    int result;

    *len = 0;
    do {
        result = SSL_read_ex(stream->ssl, bytes + *len, cap - *len, &part);
        *len += result == 1 ? part : 0;
    } while (result == 1 && cap - *len >= SSL3_RT_MAX_PLAIN_LENGTH);
    if (result != 1) {
        enum status status = tls_result(stream, result);

        if (*len == 0)
            return status;
        stream->can_read =
            status != ST_AGAIN; /* an end or a failure is behind these bytes, without an event */
        return ST_OK;
    }
    if (SSL_has_pending(stream->ssl))
        stream->can_read = true;
    return ST_OK;
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
    return stream->ssl != NULL ? read_tls(stream, bytes, cap, len) : read_plain(stream, bytes, cap, len);
}

/* A TLS record for each piece would be dear: small pieces travel together. */
#define TLS_GATHER 4096u

static enum status write_tls(struct stream *stream, const struct iovec *pieces, int count, size_t *len)
{
    char gathered[TLS_GATHER];
    const void *bytes = pieces[0].iov_base;
    size_t total = pieces[0].iov_len;
    int result;

    if (count > 1 && total < sizeof(gathered)) {
        total = 0;
        for (int i = 0; i < count && total < sizeof(gathered); i++) {
            size_t room = sizeof(gathered) - total;
            size_t part = pieces[i].iov_len < room ? pieces[i].iov_len : room;

            memcpy(gathered + total, pieces[i].iov_base, part);
            total += part;
        }
        bytes = gathered;
    }
    result = SSL_write_ex(stream->ssl, bytes, total, len);
    return result == 1 ? ST_OK : tls_result(stream, result);
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
    enum status status;

    if (!stream->can_write)
        return ST_AGAIN;
    if (stream->ssl == NULL)
        return write_plain(stream, pieces, count, len);
    status = write_tls(stream, pieces, count, len);
    return status == ST_EOF ? ST_FAILED : status;
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
    if (stream->ssl != NULL) {
        if (in_order)
            (void)SSL_shutdown(stream->ssl); /* best effort: we do not wait for the answer */
        SSL_free(stream->ssl);
        ERR_clear_error();
    }
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
