#include "runtime/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "runtime/tls_files.h"

/*
 * Sessions. OpenSSL marks a session as not resumable when a connection that uses it is freed without a
 * closing alert, which for us is the common end: a call that is cut resets its connection. So what a
 * connection holds and what is kept for later are never the same object, but copies.
 */

struct tls_client {
    SSL_CTX *context;
    char *name;      /* for SNI and verification, without a dot at the end */
    bool name_is_ip; /* then it is not sent (RFC 6066 3) */
    uint32_t worker_count;
    SSL_SESSION *sessions[]; /* the latest one, by worker; each touched by its worker's thread alone */
};

/* ---- the context --------------------------------------------------------------------------------------- */

/* Whom the certificate must name (RFC 9110 4.3.4). */
static bool expect_name(const struct tls_client *client)
{
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(client->context);

    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return client->name_is_ip ? X509_VERIFY_PARAM_set1_ip_asc(param, client->name) == 1
                              : X509_VERIFY_PARAM_set1_host(param, client->name, 0) == 1;
}

/*
 * From OpenSSL, in the handshake (TLS 1.2) or when a ticket comes (1.3). Keeps no reference of the
 * connection's.
 */
static int session_came(SSL *ssl, SSL_SESSION *session)
{
    SSL_SESSION **kept = SSL_get_app_data(ssl);
    SSL_SESSION *copy = SSL_SESSION_dup(session);

    if (copy != NULL) {
        SSL_SESSION_free(*kept);
        *kept = copy;
    }
    ERR_clear_error();
    return 0;
}

static bool set_up(struct tls_client *client, const struct tls_config *config)
{
    static const unsigned char protocols[] = "\x08http/1.1";
    SSL_CTX *context = client->context;

    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, session_came);
    return SSL_CTX_set_app_data(context, client) == 1 &&
           SSL_CTX_set_min_proto_version(context, config->min_version) == 1 &&
           SSL_CTX_set_alpn_protos(context, protocols, sizeof(protocols) - 1) == 0 && expect_name(client);
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

static enum status open_client(struct tls_client *client, const struct tls_config *config,
                               struct tls_fault *fault)
{
    client->name = copy_name(config->server_name);
    client->name_is_ip = is_ip(config->server_name);
    client->context = SSL_CTX_new(TLS_client_method());
    if (client->name == NULL || client->context == NULL || !set_up(client, config))
        return ST_NOMEM;
    return tls_files_load(client->context, config, fault);
}

struct tls_client *tls_client_new(const struct upstream_config *upstream, uint32_t worker_count, char *why,
                                  size_t why_cap)
{
    static const char *const keys[] = {
        [TLS_CA_FILE] = ".ca_file", [TLS_CERT_FILE] = ".cert_file", [TLS_KEY_FILE] = ".key_file"};
    struct tls_client *client = mem_zalloc(sizeof(*client) + worker_count * sizeof(client->sessions[0]));
    struct tls_fault fault = {.text = "out of memory"};
    enum status status = ST_NOMEM;

    ERR_clear_error();
    if (client != NULL) {
        client->worker_count = worker_count;
        status = open_client(client, &upstream->tls, &fault);
        if (status == ST_OK)
            return client;
        tls_client_free(client);
    }
    snprintf(why, why_cap, "upstreams.%s.tls%s: %s", upstream->name, status == ST_BAD ? keys[fault.file] : "",
             fault.text);
    ERR_clear_error();
    return NULL;
}

void tls_client_free(struct tls_client *client)
{
    for (uint32_t i = 0; i < client->worker_count; i++)
        SSL_SESSION_free(client->sessions[i]);
    SSL_CTX_free(client->context);
    mem_free(client->name);
    mem_free(client);
}

/* ---- a connection -------------------------------------------------------------------------------------- */

/* Without a session the handshake is a full one: no error. */
static void offer_session(SSL *ssl, SSL_SESSION *kept)
{
    SSL_SESSION *copy = kept != NULL && SSL_SESSION_is_resumable(kept) ? SSL_SESSION_dup(kept) : NULL;

    if (copy == NULL)
        return;
    (void)SSL_set_session(ssl, copy); /* takes a reference, or has no use for this one */
    SSL_SESSION_free(copy);
}

SSL *tls_connection_new(struct tls_client *client, uint32_t worker, int fd)
{
    SSL *ssl = SSL_new(client->context);

    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1 || SSL_set_app_data(ssl, &client->sessions[worker]) != 1 ||
        (!client->name_is_ip && SSL_set_tlsext_host_name(ssl, client->name) != 1)) {
        SSL_free(ssl);
        ERR_clear_error();
        return NULL;
    }
    offer_session(ssl, client->sessions[worker]);
    SSL_set_connect_state(ssl);
    ERR_clear_error();
    return ssl;
}

void tls_free_buffers(SSL *ssl)
{
    /* Of a record whose head alone has come, OpenSSL 3.0 would give away the head too. */
    if (SSL_rstate_string(ssl)[1] == 'H')
        (void)SSL_free_buffers(ssl); /* those with bytes in them stay */
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

/*
 * OpenSSL has verified the certificate. But it copies the name that it is to look for, in SSL_new and once more before
 * it verifies, and does not mind if there is no memory for the copy (3.0): then any name will do. So we look ourselves.
 */
static enum cause check_name(const SSL *ssl, char *why, size_t why_cap)
{
    const struct tls_client *client = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    X509 *certificate = SSL_get0_peer_certificate(ssl);
    int found = 0;

    if (certificate != NULL && client->name_is_ip)
        found = X509_check_ip_asc(certificate, client->name, 0);
    else if (certificate != NULL)
        found = X509_check_host(certificate, client->name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL);
    if (found == 1)
        return CAUSE_NONE;
    snprintf(why, why_cap, "certificate: %s", found < 0 ? "out of memory" : "another name");
    return found < 0 ? CAUSE_INTERNAL : CAUSE_TLS_CERTIFICATE;
}

enum status tls_handshake(SSL *ssl, enum cause *cause, char *why, size_t why_cap)
{
    SSL_SESSION **kept = SSL_get_app_data(ssl);
    int result, error;

    ERR_clear_error();
    errno = 0;
    result = SSL_do_handshake(ssl);
    error = errno;
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_NONE:
        *cause = check_name(ssl, why, why_cap);
        if (*cause == CAUSE_NONE)
            return ST_OK;
        break;
    case SSL_ERROR_WANT_READ: tls_free_buffers(ssl); return ST_AGAIN;
    case SSL_ERROR_WANT_WRITE: return ST_AGAIN;
    case SSL_ERROR_SYSCALL:
        snprintf(why, why_cap, "TLS: handshake: %s",
                 error != 0 ? strerror(error) : "the peer closed the connection");
        *cause = CAUSE_TLS_PROTOCOL;
        break;
    default: *cause = broken(ssl, why, why_cap);
    }
    /* A session that the peer chokes on must not spoil the next connection too. */
    SSL_SESSION_free(*kept);
    *kept = NULL;
    ERR_clear_error();
    return ST_FAILED;
}
