/* How a connection begins: at a proxy (--proxy), by TLS, and by the preface of HTTP/2. */
#include "faulty/conn_begin.h"

#include <string.h>

#include "faulty/conn.h"
#include "faulty/proxy.h"

#define PREFACE_LEN ((size_t)24)

bool faulty_conn_begin_tls(struct faulty_conn *c)
{
    c->state = c->server->tls_stall ? FAULTY_CONN_STALLED : FAULTY_CONN_HANDSHAKE;
    if (c->server->tls == NULL || c->server->tls_stall)
        return true;
    c->transport.ssl = SSL_new(c->server->tls);
    return c->transport.ssl != NULL && SSL_set_fd(c->transport.ssl, c->transport.fd) == 1;
}

/* The answer is short: a client that does not take it at once is not answered. */
bool faulty_conn_ask_proxy(struct faulty_conn *c)
{
    enum faulty_proxy_result result = faulty_proxy_take(c->in, c->out, c->server);
    size_t put;

    if (result == FAULTY_PROXY_MORE)
        return false;
    if ((evbuffer_get_length(c->out) != 0 && faulty_transport_write(&c->transport, c->out, &put) != ST_OK) ||
        (result == FAULTY_PROXY_LETS && !faulty_conn_begin_tls(c)))
        c->state = FAULTY_CONN_GONE;
    else if (result == FAULTY_PROXY_REFUSES)
        faulty_conn_linger(c);
    return true;
}

bool faulty_conn_handshake(struct faulty_conn *c)
{
    struct faulty_stats *stats = &c->server->stats;
    enum status status = faulty_transport_handshake(&c->transport);

    if (status == ST_AGAIN)
        return false;
    if (status != ST_OK) {
        stats->tls_failures_total++;
        c->state = FAULTY_CONN_GONE;
        return true;
    }
    c->state = FAULTY_CONN_HEAD;
    if (c->transport.ssl != NULL) {
        stats->tls_handshakes_total++;
        stats->tls_resumed_total += SSL_session_reused(c->transport.ssl) ? 1 : 0;
    }
    return true;
}

/* What HTTP/2 begins with (RFC 9113 3.4), as far as it has come. */
static bool is_preface(struct span bytes)
{
    static const char preface[PREFACE_LEN + 1] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    return memcmp(bytes.ptr, preface, bytes.len < PREFACE_LEN ? bytes.len : PREFACE_LEN) == 0;
}

bool faulty_conn_change_to_h2(struct faulty_conn *c, bool *may_be)
{
    size_t len = evbuffer_get_length(c->in);
    struct span in = {len != 0 ? (char *)evbuffer_pullup(c->in, -1) : NULL, len};

    *may_be = c->server->speak_h2 != NULL && c->transport.pipe == NULL && in.ptr != NULL && is_preface(in);
    if (!*may_be || len < PREFACE_LEN)
        return false;
    (void)event_del(&c->io); /* fails only for an event without a base */
    c->server->speak_h2(c->server, &c->transport, in);
    c->transport = (struct faulty_transport){.fd = -1};
    c->state = FAULTY_CONN_GONE;
    return true;
}
