#include "runtime/tls_transport.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/invariant.h"
#include "runtime/loop.h"

/* ---- the way to the socket ----------------------------------------------------------------------------- */

/* OpenSSL reads ahead, as much as there is: a short read is one of its own. */
static int bio_read(BIO *bio, char *bytes, size_t cap, size_t *len)
{
    struct transport *transport = BIO_get_data(bio);
    ssize_t n = recv(transport->fd, bytes, cap, 0);

    BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY | BIO_FLAGS_IN_EOF);
    *len = n > 0 ? (size_t)n : 0;
    transport->was_short = false;
    if (n > 0 && *len < cap && !transport->peer_ended)
        transport_note_short(transport);
    else if (n == 0)
        BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    else if (n < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_read(bio);
    return n > 0 ? 1 : (int)n;
}

static int bio_write(BIO *bio, const char *bytes, size_t cap, size_t *len)
{
    struct transport *transport = BIO_get_data(bio);
    ssize_t n = send(transport->fd, bytes, cap, MSG_NOSIGNAL);

    BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
    *len = n > 0 ? (size_t)n : 0;
    if (n < 0 && (errno == EINTR || (errno == EAGAIN && transport_await_room(transport))))
        BIO_set_retry_write(bio);
    return n > 0 ? 1 : (int)n;
}

static long bio_control(BIO *bio, int what, long number, void *pointer)
{
    (void)number;
    (void)pointer;
    switch (what) {
    case BIO_CTRL_FLUSH: return 1;
    case BIO_CTRL_EOF: return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    case BIO_C_GET_FD: return ((const struct transport *)BIO_get_data(bio))->fd;
    default: return 0;
    }
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

BIO_METHOD *tls_transport_method_new(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_TYPE_DESCRIPTOR, "transport");

    if (method != NULL && BIO_meth_set_read_ex(method, bio_read) == 1 &&
        BIO_meth_set_write_ex(method, bio_write) == 1 && BIO_meth_set_ctrl(method, bio_control) == 1 &&
        BIO_meth_set_create(method, bio_create) == 1)
        return method;
    BIO_meth_free(method);
    return NULL;
}

void tls_transport_open(struct transport *transport, SSL *ssl, BIO *bio)
{
    PRE(transport->ssl == NULL);
    (void)BIO_up_ref(bio); /* which does not fail */
    SSL_set_bio(ssl, bio, bio);
    transport->ssl = ssl;
    transport->can_read = true; /* as far as anybody knows: OpenSSL reads ahead */
    transport->tls_error = 0;
    transport->renegotiation = TRANSPORT_KEEPS_ITS_KEYS;
}

void tls_transport_lend(struct transport *transport)
{
    PRE(transport->ssl != NULL && loop_is_own(transport->loop)); /* all of a loop share one BIO */
    BIO_set_data(SSL_get_rbio(transport->ssl), transport);
}

struct transport *tls_transport_of(const SSL *ssl)
{
    POST(((const struct transport *)BIO_get_data(SSL_get_rbio(ssl)))->ssl ==
         ssl); /* it was lent to this one */
    return BIO_get_data(SSL_get_rbio(ssl));
}

/* ---- bytes --------------------------------------------------------------------------------------------- */

/* An end without a closing alert is an end of the connection, not a fault of TLS: what it is worth the call knows. */
static void note_error(struct transport *transport)
{
    unsigned long error = ERR_peek_error();

    if (ERR_GET_REASON(error) != SSL_R_UNEXPECTED_EOF_WHILE_READING)
        transport->tls_error = (uint32_t)error; /* it has 31 bits */
}

void tls_transport_free_buffers(struct transport *transport)
{
    /* Of a record whose head alone has come, OpenSSL 3.0 would give away the head too. */
    if (SSL_rstate_string(transport->ssl)[1] == 'H')
        (void)SSL_free_buffers(transport->ssl); /* those with bytes in them stay */
}

/* After SSL_read or SSL_write did not do: what now? */
static enum status result_of(struct transport *transport, int result)
{
    switch (SSL_get_error(transport->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        transport->can_read = false;
        tls_transport_free_buffers(transport);
        return ST_AGAIN;
    case SSL_ERROR_WANT_WRITE: transport->can_write = false; return ST_AGAIN;
    case SSL_ERROR_ZERO_RETURN: return ST_EOF;
    case SSL_ERROR_SSL: note_error(transport); break;
    default: break;
    }
    ERR_clear_error();
    return ST_FAILED;
}

/* One record comes at a time: as many are taken as surely fit. What went wrong behind some bytes is told next time. */
enum status tls_transport_read(struct transport *transport, char *bytes, size_t cap, size_t *len)
{
    enum status status;
    size_t part;
    int result;

    PRE(cap > 0);
    *len = 0;
    tls_transport_lend(transport);
    do {
        result = SSL_read_ex(transport->ssl, bytes + *len, cap - *len, &part);
        *len += result == 1 ? part : 0;
    } while (result == 1 && cap - *len >= SSL3_RT_MAX_PLAIN_LENGTH);
    if (result == 1) {
        if (SSL_has_pending(transport->ssl))
            transport->can_read = true;
        return ST_OK;
    }
    status = result_of(transport, result);
    /* An end or a failure is behind these bytes, or this read waits to write: no event tells of more to read. */
    if (status != ST_AGAIN || SSL_want_write(transport->ssl))
        transport->can_read = true;
    return *len == 0 ? status : ST_OK;
}

/* A TLS record for each piece would be dear: small pieces travel together. */
#define GATHER 4096u

enum status tls_transport_write(struct transport *transport, const struct iovec *pieces, int count,
                                size_t *len)
{
    char gathered[GATHER];
    const void *bytes = pieces[0].iov_base;
    size_t total = pieces[0].iov_len;
    enum status status;
    int result;

    PRE(count >= 1);
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
    tls_transport_lend(transport);
    result = SSL_write_ex(transport->ssl, bytes, total, len);
    /* What a renegotiation has read ahead raises no event any more. */
    if (transport->renegotiation == TRANSPORT_RENEGOTIATES && SSL_has_pending(transport->ssl))
        transport->can_read = true;
    if (result == 1)
        return ST_OK;
    status = result_of(transport, result);
    return status == ST_EOF ? ST_FAILED : status;
}

bool tls_transport_end_write(struct transport *transport)
{
    int result;
    bool waits;

    ERR_clear_error();
    tls_transport_lend(transport);
    result = SSL_shutdown(transport->ssl);
    waits = result < 0 && SSL_get_error(transport->ssl, result) == SSL_ERROR_WANT_WRITE;
    ERR_clear_error();
    return !waits;
}

void tls_transport_close(struct transport *transport, bool in_order)
{
    tls_transport_lend(transport);
    if (in_order)
        (void)SSL_shutdown(transport->ssl); /* best effort: we do not wait for the answer */
    SSL_free(transport->ssl);
    transport->ssl = NULL;
    ERR_clear_error();
}

bool tls_transport_why(const struct transport *transport, char *why, size_t why_cap)
{
    const char *reason = transport->tls_error != 0 ? ERR_reason_error_string(transport->tls_error) : "";

    if (reason == NULL)
        reason = "unknown error";
    if (transport->renegotiation == TRANSPORT_REFUSED_TO_RENEGOTIATE)
        snprintf(
            why, why_cap,
            "TLS: renegotiation, as for a client certificate, was refused%s%s (tls.renegotiate: true would "
            "allow it once)",
            reason[0] != '\0' ? ": " : "", reason);
    else
        snprintf(why, why_cap, "TLS: %s%s", reason,
                 transport->renegotiation == TRANSPORT_RENEGOTIATES ? ", in or after a renegotiation" : "");
    return transport->tls_error != 0 || transport->renegotiation == TRANSPORT_REFUSED_TO_RENEGOTIATE;
}
