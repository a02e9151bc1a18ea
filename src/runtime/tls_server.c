#include "runtime/tls_server.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "runtime/loop.h"
#include "runtime/tls_transport.h"

struct tls_server {
    SSL_CTX *context;
    BIO_METHOD *method;
    atomic_uint users;
    const struct span *names; /* that may call, the spec's copied; count 0: any */
    uint32_t name_count;
    unsigned char
        trust[EVP_MAX_MD_SIZE]; /* a digest of whom it trusts; all zero: of nobody is anything asked */
    uint32_t worker_count;
    BIO *bios[]; /* by loop: of all its connections */
};

/* ---- who may call -------------------------------------------------------------------------------------- */

static struct span span_of_string(const ASN1_STRING *string)
{
    return (struct span){(const char *)ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string)};
}

/* Of a DNS name letters have no case; of a URI they have. */
static bool may_call(const struct tls_server *server, const GENERAL_NAME *name)
{
    struct span text;

    if (name->type != GEN_DNS && name->type != GEN_URI)
        return false;
    text = span_of_string(name->d.ia5);
    for (uint32_t i = 0; i < server->name_count; i++)
        if (name->type == GEN_DNS ? span_eq_nocase(text, server->names[i]) : span_eq(text, server->names[i]))
            return true;
    return false;
}

static bool has_name_that_may_call(const struct tls_server *server, const X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    bool found = false;

    for (int i = 0; i < sk_GENERAL_NAME_num(names) && !found; i++)
        found = may_call(server, sk_GENERAL_NAME_value(names, i));
    GENERAL_NAMES_free(names);
    return found;
}

/* Chain first: a name in a certificate that nobody vouches for says nothing. */
static int verify(X509_STORE_CTX *store, void *arg)
{
    const struct tls_server *server = arg;
    int verified = X509_verify_cert(store);

    if (verified != 1 || server->name_count == 0 ||
        has_name_that_may_call(server, X509_STORE_CTX_get0_cert(store)))
        return verified;
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
}

/* ---- the context --------------------------------------------------------------------------------------- */

/* HTTP/1.0 has a name of its own, by which its clients do not always ask for 1.1 too. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *offered, unsigned offered_len, void *arg)
{
    static const unsigned char ours[] = "\x02h2\x08http/1.1\x08http/1.0";
    unsigned char *chosen;

    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, offered, offered_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* OpenSSL resumes no session of a server that verifies its clients without such a context, be it but tickets. */
static const unsigned char session_context[] = "curfew";

static bool set_up(struct tls_server *server, const struct tls_server_spec *spec)
{
    SSL_CTX *context = server->context;

    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    if (spec->client_ca_file != NULL) {
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        SSL_CTX_set_cert_verify_callback(context, verify, server);
        SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
        if (SSL_CTX_set_num_tickets(context, 0) != 1)
            return false;
    }
    /* What HTTP/2 asks for (RFC 9113 9.2.2): forward secrecy, and no modes but those with authentication. */
    return SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1 &&
           SSL_CTX_set_session_id_context(context, session_context, sizeof(session_context) - 1) == 1 &&
           SSL_CTX_set_min_proto_version(context, spec->min_version) == 1;
}

static bool copy_names(struct tls_server *server, const struct tls_server_spec *spec)
{
    struct span *names = mem_calloc(spec->client_name_count, sizeof(*names));

    server->names = names;
    for (uint32_t i = 0; names != NULL && i < spec->client_name_count; i++) {
        names[i] = (struct span){mem_dup(spec->client_names[i].ptr, spec->client_names[i].len),
                                 spec->client_names[i].len};
        server->name_count = i + 1;
        if (names[i].ptr == NULL)
            return false;
    }
    return names != NULL;
}

static bool digest_authorities(EVP_MD_CTX *digest, const SSL_CTX *context)
{
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(SSL_CTX_get_cert_store(context));
    unsigned char one[EVP_MAX_MD_SIZE];
    unsigned len;

    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        const X509 *authority = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));

        if (authority != NULL &&
            (X509_digest(authority, EVP_sha256(), one, &len) != 1 || EVP_DigestUpdate(digest, one, len) != 1))
            return false;
    }
    return true;
}

/* Each name with its end, so that two can't look like one. */
static bool digest_names(EVP_MD_CTX *digest, const struct tls_server *server)
{
    for (uint32_t i = 0; i < server->name_count; i++)
        if (EVP_DigestUpdate(digest, server->names[i].ptr, server->names[i].len) != 1 ||
            EVP_DigestUpdate(digest, "", 1) != 1)
            return false;
    return true;
}

static bool digest_trust(struct tls_server *server, const struct tls_server_spec *spec)
{
    EVP_MD_CTX *digest;
    bool done;

    if (spec->client_ca_file == NULL)
        return true;
    digest = EVP_MD_CTX_new();
    done = digest != NULL && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
           digest_authorities(digest, server->context) && digest_names(digest, server) &&
           EVP_DigestFinal_ex(digest, server->trust, NULL) == 1;
    EVP_MD_CTX_free(digest);
    return done;
}

static bool open_bios(struct tls_server *server)
{
    server->method = tls_transport_method_new();
    for (uint32_t i = 0; server->method != NULL && i < server->worker_count; i++) {
        server->bios[i] = BIO_new(server->method);
        if (server->bios[i] == NULL)
            return false;
    }
    return server->method != NULL;
}

static enum status open_server(struct tls_server *server, const struct tls_server_spec *spec,
                               struct tls_fault *fault)
{
    enum status status;

    server->context = SSL_CTX_new(TLS_server_method());
    if (server->context == NULL || !copy_names(server, spec) || !open_bios(server) || !set_up(server, spec))
        return ST_NOMEM;
    status = tls_files_load_server(server->context, spec, fault);
    if (status == ST_OK && !digest_trust(server, spec))
        status = ST_NOMEM;
    return status;
}

struct tls_server *tls_server_new(const struct tls_server_spec *spec, uint32_t worker_count,
                                  struct tls_fault *fault)
{
    struct tls_server *server = mem_zalloc(sizeof(*server) + worker_count * sizeof(server->bios[0]));

    PRE(spec->cert_file != NULL);
    ERR_clear_error();
    *fault = (struct tls_fault){.file = TLS_NO_FILE, .text = "out of memory"};
    if (server == NULL)
        return NULL;
    server->worker_count = worker_count;
    atomic_init(&server->users, 1);
    if (open_server(server, spec, fault) == ST_OK)
        return server;
    tls_server_release(server);
    ERR_clear_error();
    return NULL;
}

struct tls_server *tls_server_acquire(struct tls_server *server)
{
    PRE(atomic_load(&server->users) > 0);
    atomic_fetch_add_explicit(&server->users, 1, memory_order_relaxed);
    return server;
}

void tls_server_release(struct tls_server *server)
{
    if (atomic_fetch_sub(&server->users, 1) != 1)
        return;
    for (uint32_t i = 0; i < server->worker_count; i++)
        BIO_free(server->bios[i]);
    SSL_CTX_free(server->context);
    BIO_meth_free(server->method);
    for (uint32_t i = 0; i < server->name_count; i++)
        mem_free((char *)(uintptr_t)server->names[i].ptr);
    mem_free((void *)(uintptr_t)server->names);
    mem_free(server);
}

bool tls_server_trusts_as(const struct tls_server *a, const struct tls_server *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return memcmp(a->trust, b->trust, sizeof(a->trust)) == 0;
}

/* ---- a connection -------------------------------------------------------------------------------------- */

static enum status fail(struct tls_server_failure *failure, enum handshake_failure reason, const char *why)
{
    failure->reason = reason;
    snprintf(failure->why, sizeof(failure->why), "%s", why);
    return ST_FAILED;
}

static bool is_method_letter(char c)
{
    return c >= 'A' && c <= 'Z';
}

/* Looks at the first byte without taking it. A record of TLS begins with no letter. */
static enum status look_at_first_byte(struct transport *transport, struct tls_server_failure *failure)
{
    char byte;
    ssize_t n = recv(transport->fd, &byte, 1, MSG_PEEK);

    if (n == 1 && !is_method_letter(byte))
        return ST_OK;
    if (n == 1) {
        failure->is_http = true;
        return fail(failure, HANDSHAKE_PROTOCOL,
                    "this listener speaks TLS, and a request in plain HTTP came");
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        transport->can_read = errno == EINTR;
        return ST_AGAIN;
    }
    failure->is_silent = true;
    return fail(failure, HANDSHAKE_CLOSED, "the caller closed the connection before the TLS handshake");
}

static enum status begin(struct tls_server *server, struct transport *transport,
                         struct tls_server_failure *failure)
{
    enum status status = look_at_first_byte(transport, failure);
    SSL *ssl;

    if (status != ST_OK)
        return status;
    ssl = SSL_new(server->context);
    if (ssl == NULL) {
        ERR_clear_error();
        return ST_NOMEM;
    }
    SSL_set_accept_state(ssl);
    tls_transport_open(transport, ssl, server->bios[transport->loop->index]);
    return ST_OK;
}

static bool is_about_certificate(unsigned long error)
{
    int reason = ERR_GET_REASON(error);

    return ERR_GET_LIB(error) == ERR_LIB_SSL &&
           (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE || reason == SSL_R_CERTIFICATE_VERIFY_FAILED);
}

static enum status explain(SSL *ssl, struct tls_server_failure *failure)
{
    unsigned long error = ERR_peek_error();
    const char *reason = ERR_reason_error_string(error);
    long verified = SSL_get_verify_result(ssl);

    if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE || verified == X509_V_ERR_OUT_OF_MEM)
        return ST_NOMEM;
    if (verified == X509_V_ERR_APPLICATION_VERIFICATION)
        return fail(failure, HANDSHAKE_NAME, "certificate: it carries none of caller_tls.client_names");
    if (ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        return fail(failure, HANDSHAKE_CLOSED, "the caller closed the connection in the TLS handshake");
    (void)fail(failure, is_about_certificate(error) ? HANDSHAKE_CERTIFICATE : HANDSHAKE_PROTOCOL, "");
    if (verified != X509_V_OK)
        snprintf(failure->why, sizeof(failure->why), "certificate: %s",
                 X509_verify_cert_error_string(verified));
    else
        snprintf(failure->why, sizeof(failure->why), "TLS: %s", reason != NULL ? reason : "unknown error");
    return ST_FAILED;
}

enum status tls_server_handshake(struct tls_server *server, struct transport *transport,
                                 struct tls_server_failure *failure)
{
    enum status status = ST_OK;
    int result;

    *failure = (struct tls_server_failure){.reason = HANDSHAKE_PROTOCOL};
    ERR_clear_error();
    if (transport->ssl == NULL && (status = begin(server, transport, failure)) != ST_OK)
        return status;
    PRE(!SSL_is_init_finished(transport->ssl));
    tls_transport_lend(transport);
    result = SSL_do_handshake(transport->ssl);
    switch (SSL_get_error(transport->ssl, result)) {
    case SSL_ERROR_NONE: transport->can_read = true; return ST_OK;
    case SSL_ERROR_WANT_READ: tls_transport_free_buffers(transport); return ST_AGAIN;
    case SSL_ERROR_WANT_WRITE: return ST_AGAIN;
    case SSL_ERROR_SYSCALL:
        status = fail(failure, HANDSHAKE_CLOSED, "the caller closed the connection in the TLS handshake");
        break;
    default: status = explain(transport->ssl, failure);
    }
    tls_transport_close(transport, false);
    transport->can_read = true; /* as far as anybody knows */
    return status;
}

void tls_server_put_caller(struct text *out, const struct transport *transport)
{
    X509 *certificate = transport->ssl != NULL ? SSL_get0_peer_certificate(transport->ssl) : NULL;
    GENERAL_NAMES *names =
        certificate != NULL ? X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL) : NULL;

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type != GEN_DNS && name->type != GEN_URI && name->type != GEN_EMAIL)
            continue;
        text_put(out, span_of_string(name->d.ia5));
        break;
    }
    GENERAL_NAMES_free(names);
    ERR_clear_error();
}

struct span tls_server_turn_away(void)
{
    /* A record of type alert: fatal, internal_error (RFC 8446 6). */
    return SPAN_LIT("\x15\x03\x03\x00\x02\x02\x50");
}
