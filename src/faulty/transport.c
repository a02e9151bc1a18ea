#include "faulty/transport.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_MAX ((size_t)65536)
/* What may wait in a pipe. */
#define PIPE_MAX ((size_t)65536)

/* TLS may have to read in order to write and the other way round: the next event of any kind tries both. */
static enum status tls_status(struct faulty_transport *t, int result)
{
    switch (SSL_get_error(t->ssl, result)) {
    case SSL_ERROR_WANT_READ: t->readable = false; return ST_AGAIN;
    case SSL_ERROR_WANT_WRITE: t->writable = false; return ST_AGAIN;
    case SSL_ERROR_ZERO_RETURN: return ST_EOF;
    default: return ST_FAILED;
    }
}

enum status faulty_transport_handshake(struct faulty_transport *t)
{
    int result;

    if (t->ssl == NULL)
        return ST_OK;
    ERR_clear_error();
    result = SSL_accept(t->ssl);
    return result == 1 ? ST_OK : tls_status(t, result);
}

static enum status read_plain(struct faulty_transport *t, char *block, size_t max, size_t *got)
{
    ssize_t n = recv(t->fd, block, max, 0);

    if (n < 0) {
        if (errno == EINTR)
            return ST_OK;
        t->readable = false;
        return errno == EAGAIN ? ST_AGAIN : ST_FAILED;
    }
    *got = (size_t)n;
    return n == 0 ? ST_EOF : ST_OK;
}

static enum status read_tls(struct faulty_transport *t, char *block, size_t max, size_t *got)
{
    int result;

    ERR_clear_error();
    result = SSL_read_ex(t->ssl, block, max, got);
    return result == 1 ? ST_OK : tls_status(t, result);
}

/* A request over HTTP/2 has an end, but its connection has none. */
static enum status read_pipe(struct faulty_transport *t, struct evbuffer *in, size_t max, size_t *got)
{
    int n = evbuffer_remove_buffer(t->pipe->up, in, max);

    *got = n > 0 ? (size_t)n : 0;
    t->readable = n > 0;
    if (n > 0)
        t->pipe->moved(t->pipe);
    if (n < 0)
        return ST_FAILED;
    if (n == 0 && t->pipe->peer_left)
        return ST_EOF;
    return n > 0 ? ST_OK : ST_AGAIN;
}

enum status faulty_transport_read(struct faulty_transport *t, struct evbuffer *in, size_t max, size_t *got)
{
    /* One block for the process's one thread, so that a connection that waits holds no memory for reading. */
    static char block[READ_MAX];
    enum status status;

    *got = 0;
    if (t->pipe != NULL)
        return read_pipe(t, in, max, got);
    if (max > sizeof(block))
        max = sizeof(block);
    status = t->ssl != NULL ? read_tls(t, block, max, got) : read_plain(t, block, max, got);
    if (*got != 0 && evbuffer_add(in, block, *got) != 0)
        return ST_FAILED;
    return status;
}

static enum status write_plain(struct faulty_transport *t, struct evbuffer *out, size_t *put)
{
    int n = evbuffer_write(out, t->fd);

    if (n < 0) {
        if (errno == EINTR)
            return ST_OK;
        t->writable = false;
        return errno == EAGAIN ? ST_AGAIN : ST_FAILED;
    }
    *put = (size_t)n;
    return ST_OK;
}

static enum status write_tls(struct faulty_transport *t, struct evbuffer *out, size_t *put)
{
    struct evbuffer_iovec piece;
    int result;

    if (evbuffer_peek(out, -1, NULL, &piece, 1) < 1)
        return ST_FAILED;
    ERR_clear_error();
    result = SSL_write_ex(t->ssl, piece.iov_base, piece.iov_len, put);
    if (result != 1)
        return tls_status(t, result);
    return evbuffer_drain(out, *put) == 0 ? ST_OK : ST_FAILED;
}

static enum status write_pipe(struct faulty_transport *t, struct evbuffer *out, size_t *put)
{
    size_t len = evbuffer_get_length(out);

    if (evbuffer_get_length(t->pipe->down) >= PIPE_MAX) {
        t->writable = false;
        return ST_AGAIN;
    }
    if (evbuffer_add_buffer(t->pipe->down, out) != 0)
        return ST_FAILED;
    *put = len;
    t->pipe->moved(t->pipe);
    return ST_OK;
}

enum status faulty_transport_write(struct faulty_transport *t, struct evbuffer *out, size_t *put)
{
    *put = 0;
    if (t->pipe != NULL)
        return write_pipe(t, out, put);
    return t->ssl != NULL ? write_tls(t, out, put) : write_plain(t, out, put);
}

bool faulty_transport_peer_left(const struct faulty_transport *t)
{
    struct pollfd p = {.fd = t->fd, .events = POLLRDHUP};

    if (t->pipe != NULL)
        return t->pipe->peer_left;
    return poll(&p, 1, 0) > 0;
}

void faulty_transport_end(struct faulty_transport *t)
{
    if (t->pipe != NULL) {
        t->pipe->ended = true;
        return;
    }
    if (t->ssl != NULL) {
        ERR_clear_error();
        (void)SSL_shutdown(t->ssl); /* the peer may be gone: then nobody misses it */
    }
    (void)shutdown(t->fd, SHUT_WR);
}

void faulty_transport_close(struct faulty_transport *t, bool reset)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    if (t->pipe != NULL) {
        t->pipe->closed = true;
        t->pipe->reset = reset;
        t->pipe->moved(t->pipe);
        return;
    }
    if (t->fd < 0)
        return; /* it has been taken over */
    if (reset)
        (void)setsockopt(t->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    SSL_free(t->ssl);
    t->ssl = NULL;
    (void)close(t->fd);
    t->fd = -1;
}
