#include "runtime/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "runtime/tls_files.h"
#include "runtime/tls_transport.h"
#include "runtime/loop.h"

/*
 * Sessions. OpenSSL marks a session as not resumable when a connection that uses it is freed without a
 * closing alert, which for us is the common end: a call that is cut resets its connection. So what a
 * connection holds and what is kept for later are never the same object, but copies.
 */

/* Towards this upstream; of a loop, touched by its thread alone. */
struct tls_of_worker {
    BIO *bio;                /* of all its connections */
    SSL_SESSION *session;    /* the latest one; NULL: none */
    int64_t offers_again_ns; /* until then no session is offered, nor kept */
};

struct tls_client {
    SSL_CTX *context;
    BIO_METHOD *method;
    char *name;      /* for SNI and verification, without a dot at the end */
    bool name_is_ip; /* then it is not sent (RFC 6066 3) */
    uint32_t worker_count;
    struct tls_of_worker workers[];
};

/* ---- the context --------------------------------------------------------------------------------------- */

/*
 * The peer's certificate must name whom we want (RFC 9110 4.3.4) in its subjectAltName: a common name is none. The
 * name is set here and not in the context, because each copy that OpenSSL 3.0 makes of it is left out in silence when
 * there is no memory: then any name would do.
 */
static int verify(X509_STORE_CTX *store, void *arg)
{
    const struct tls_client *client = arg;
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(store);
    int set;

    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    set = client->name_is_ip ? X509_VERIFY_PARAM_set1_ip_asc(param, client->name)
                             : X509_VERIFY_PARAM_set1_host(param, client->name, 0);
    if (set == 1)
        return X509_verify_cert(store);
    X509_STORE_CTX_set_error(store, X509_V_ERR_OUT_OF_MEM);
    return 0;
}

static struct tls_of_worker *of_worker(const SSL *ssl)
{
    struct tls_client *client = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    return &client->workers[tls_transport_of(ssl)->loop->index];
}

/*
 * From OpenSSL, in the handshake (TLS 1.2) or when a ticket comes (1.3). Keeps no reference of the
 * connection's.
 */
static int session_came(SSL *ssl, SSL_SESSION *session)
{
    struct tls_of_worker *mine = of_worker(ssl);
    bool is_wanted = loop_now(tls_transport_of(ssl)->loop) >= mine->offers_again_ns;
    SSL_SESSION *copy = is_wanted ? SSL_SESSION_dup(session) : NULL;

    if (copy != NULL) {
        SSL_SESSION_free(mine->session);
        mine->session = copy;
    }
    ERR_clear_error();
    return 0;
}

/*
 * TLS 1.2: a HelloRequest has come (RFC 5246 7.4.1.1). What OpenSSL does about it is settled by the option that is set
 * here: after one renegotiation there is no other, or a peer could have us verify certificates for ever.
 */
static void message_came(int is_ours, int version, int type, const void *bytes, size_t len, SSL *ssl,
                         void *arg)
{
    struct transport *transport = tls_transport_of(ssl);

    (void)version;
    (void)arg;
    if (is_ours || type != SSL3_RT_HANDSHAKE || len == 0 ||
        *(const unsigned char *)bytes != SSL3_MT_HELLO_REQUEST || SSL_get_state(ssl) != TLS_ST_CR_HELLO_REQ)
        return;
    if (transport->renegotiation == TRANSPORT_KEEPS_ITS_KEYS &&
        (SSL_get_options(ssl) & SSL_OP_NO_RENEGOTIATION) == 0) {
        transport->renegotiation = TRANSPORT_RENEGOTIATES;
    } else {
        SSL_set_options(ssl, SSL_OP_NO_RENEGOTIATION);
        transport->renegotiation = TRANSPORT_REFUSED_TO_RENEGOTIATE;
    }
}

static bool set_up(struct tls_client *client, const struct tls_spec *spec)
{
    static const struct span protocols[] = {[TLS_OFFERS_HTTP1] = SPAN_LIT("\x08http/1.1"),
                                            [TLS_OFFERS_BOTH] = SPAN_LIT("\x02h2\x08http/1.1"),
                                            [TLS_OFFERS_HTTP2] = SPAN_LIT("\x02h2")};
    struct span offer = protocols[spec->offer];
    SSL_CTX *context = client->context;

    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(context, verify, client);
    if (!spec->renegotiate)
        SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    /* Only a client that has a certificate may say that it can be asked for it later (RFC 8446 4.2.6). */
    SSL_CTX_set_post_handshake_auth(context, spec->cert_file != NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, session_came);
    return SSL_CTX_set_app_data(context, client) == 1 &&
           SSL_CTX_set_min_proto_version(context, spec->min_version) == 1 &&
           SSL_CTX_set_alpn_protos(context, (const unsigned char *)offer.ptr, (unsigned)offer.len) == 0;
}

static bool is_ip(const char *name)
{
    unsigned char address[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

static char *copy_name(const char *name)
{
    size_t len = strlen(name);

    if (len > 1 && name[len - 1] == '.')
        len--;
    return mem_dup(name, len);
}

static bool open_bios(struct tls_client *client)
{
    client->method = tls_transport_method_new();
    for (uint32_t i = 0; client->method != NULL && i < client->worker_count; i++) {
        client->workers[i].bio = BIO_new(client->method);
        if (client->workers[i].bio == NULL)
            return false;
    }
    return client->method != NULL;
}

static enum status open_client(struct tls_client *client, const struct tls_spec *spec,
                               struct tls_trust *trust, struct tls_fault *fault)
{
    client->name = copy_name(spec->server_name);
    client->name_is_ip = is_ip(spec->server_name);
    client->context = SSL_CTX_new(TLS_client_method());
    if (client->name == NULL || client->context == NULL || !open_bios(client) || !set_up(client, spec))
        return ST_NOMEM;
    return tls_files_load(client->context, spec, trust, fault);
}

struct tls_client *tls_client_new(const struct tls_spec *spec, uint32_t worker_count, struct tls_trust *trust,
                                  struct tls_fault *fault)
{
    struct tls_client *client = mem_zalloc(sizeof(*client) + worker_count * sizeof(client->workers[0]));

    ERR_clear_error();
    *fault = (struct tls_fault){.file = TLS_NO_FILE, .text = "out of memory"};
    if (client == NULL)
        return NULL;
    client->worker_count = worker_count;
    if (open_client(client, spec, trust, fault) == ST_OK)
        return client;
    tls_client_free(client);
    ERR_clear_error();
    return NULL;
}

void tls_client_free(struct tls_client *client)
{
    for (uint32_t i = 0; i < client->worker_count; i++) {
        SSL_SESSION_free(client->workers[i].session);
        BIO_free(client->workers[i].bio);
    }
    SSL_CTX_free(client->context);
    BIO_meth_free(client->method);
    mem_free(client->name);
    mem_free(client);
}

/* ---- a connection -------------------------------------------------------------------------------------- */

/* Without a session the handshake is a full one: no error. */
static void offer_session(struct transport *transport, SSL *ssl, SSL_SESSION *kept)
{
    SSL_SESSION *copy = kept != NULL && SSL_SESSION_is_resumable(kept) ? SSL_SESSION_dup(kept) : NULL;

    /* The connection takes a reference, or has no use for this one. */
    transport->offered_session = copy != NULL && SSL_set_session(ssl, copy) == 1;
    SSL_SESSION_free(copy);
}

enum status tls_begin(struct tls_client *client, struct transport *transport, bool may_resume)
{
    struct tls_of_worker *mine = &client->workers[transport->loop->index];
    SSL *ssl = SSL_new(client->context);

    PRE(transport->ssl == NULL && transport->loop->index < client->worker_count);
    if (ssl == NULL || (!client->name_is_ip && SSL_set_tlsext_host_name(ssl, client->name) != 1)) {
        SSL_free(ssl);
        ERR_clear_error();
        return ST_NOMEM;
    }
    offer_session(transport, ssl, may_resume ? mine->session : NULL);
    transport->shuns_session = !may_resume;
    SSL_set_connect_state(ssl);
    tls_transport_open(transport, ssl, mine->bio);
    ERR_clear_error();
    return ST_OK;
}

bool tls_offer_http1(struct transport *transport)
{
    static const struct span offer = {"\x08http/1.1", 9};
    bool is_done =
        SSL_set_alpn_protos(transport->ssl, (const unsigned char *)offer.ptr, (unsigned)offer.len) == 0;

    ERR_clear_error();
    return is_done;
}

static enum cause broken(SSL *ssl, char *why, size_t why_cap)
{
    unsigned long error = ERR_peek_error();
    long verified = SSL_get_verify_result(ssl);
    const char *reason = ERR_reason_error_string(error);

    if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE) {
        snprintf(why, why_cap, "TLS: out of memory");
        return CAUSE_INTERNAL;
    }
    if (verified == X509_V_ERR_OUT_OF_MEM) {
        snprintf(why, why_cap, "certificate: out of memory");
        return CAUSE_INTERNAL;
    }
    if (verified != X509_V_OK) {
        snprintf(why, why_cap, "certificate: %s", X509_verify_cert_error_string(verified));
        return CAUSE_TLS_CERTIFICATE;
    }
    if (ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        reason = "the peer closed the connection during the handshake";
    else if (ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == SSL_R_WRONG_VERSION_NUMBER)
        reason = "wrong version number: the peer does not seem to speak TLS on this port";
    snprintf(why, why_cap, "TLS: %s", reason != NULL ? reason : "unknown error");
    return CAUSE_TLS_PROTOCOL;
}

/* The session goes, though it may not be what the peer had against us: it must not spoil the next connection too. */
static void handshake_failed(struct transport *transport, struct tls_failure *failure)
{
    struct tls_of_worker *mine = of_worker(transport->ssl);

    failure->was_resumption = transport->offered_session && failure->cause == CAUSE_TLS_PROTOCOL;
    SSL_SESSION_free(mine->session);
    mine->session = NULL;
    ERR_clear_error();
}

static void handshake_is_done(struct transport *transport)
{
    struct tls_of_worker *mine = of_worker(transport->ssl);

    PRE(!transport->shuns_session || !transport->offered_session);
    if (transport->shuns_session) {
        mine->offers_again_ns = loop_now(transport->loop) + TLS_SHUN_NS;
        SSL_SESSION_free(mine->session); /* of TLS 1.2: it came in the handshake */
        mine->session = NULL;
    }
    if (SSL_version(transport->ssl) == TLS1_2_VERSION)
        SSL_set_msg_callback(transport->ssl, message_came);
}

enum status tls_handshake(struct transport *transport, struct tls_failure *failure)
{
    SSL *ssl = transport->ssl;
    int result, error;

    PRE(!SSL_is_init_finished(ssl));
    ERR_clear_error();
    errno = 0;
    tls_transport_lend(transport);
    result = SSL_do_handshake(ssl);
    error = errno;
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_NONE: handshake_is_done(transport); return ST_OK;
    case SSL_ERROR_WANT_READ: tls_transport_free_buffers(transport); return ST_AGAIN;
    case SSL_ERROR_WANT_WRITE: return ST_AGAIN;
    case SSL_ERROR_SYSCALL:
        snprintf(failure->why, sizeof(failure->why), "TLS: handshake: %s",
                 error != 0 ? strerror(error) : "the peer closed the connection");
        failure->cause = CAUSE_TLS_PROTOCOL;
        break;
    default: failure->cause = broken(ssl, failure->why, sizeof(failure->why));
    }
    handshake_failed(transport, failure);
    return ST_FAILED;
}

bool tls_speaks_http2(const struct transport *transport)
{
    const unsigned char *chosen;
    unsigned len;

    SSL_get0_alpn_selected(transport->ssl, &chosen, &len);
    return len == 2 && memcmp(chosen, "h2", 2) == 0;
}
