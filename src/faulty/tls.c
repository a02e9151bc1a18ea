#include "faulty/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define NAMES       "DNS:localhost,DNS:api.test,IP:127.0.0.1,IP:::1"
/* Longer than the time before its end in which `curfew check` warns of a certificate. */
#define VALID_S     (90L * 24 * 3600)
#define BACKDATED_S 3600L
#define SERIAL_BITS 64

static void complain(const char *what, const char *name)
{
    unsigned long error = ERR_peek_error(); /* the first: the later ones say where it passed through */
    const char *reason = ERR_reason_error_string(error);

    if (ERR_SYSTEM_ERROR(error))
        reason = strerror(ERR_GET_REASON(error));
    (void)fprintf(stderr, "curfew faulty: %s%s: %s\n", what, name, reason != NULL ? reason : "failed");
    ERR_clear_error();
}

/* ------------------------------------------------------------------------------- our certificate */

static bool add_extension(X509 *cert, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;
    bool added;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    added = extension != NULL && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added;
}

static bool set_serial(X509 *cert)
{
    BIGNUM *serial = BN_new();
    bool set = serial != NULL && BN_rand(serial, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
               BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert)) != NULL;

    BN_free(serial);
    return set;
}

static bool set_subject(X509 *cert)
{
    static const unsigned char common_name[] = "curfew faulty";
    X509_NAME *name = X509_get_subject_name(cert);

    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, common_name, -1, -1, 0) == 1 &&
           X509_set_issuer_name(cert, name) == 1;
}

static bool fill_certificate(X509 *cert, EVP_PKEY *key)
{
    return X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) && set_subject(cert) &&
           X509_gmtime_adj(X509_getm_notBefore(cert), -BACKDATED_S) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(cert), VALID_S) != NULL && X509_set_pubkey(cert, key) == 1 &&
           add_extension(cert, NID_basic_constraints, "critical,CA:TRUE") &&
           add_extension(cert, NID_key_usage, "critical,digitalSignature,keyCertSign") &&
           add_extension(cert, NID_ext_key_usage, "serverAuth") &&
           add_extension(cert, NID_subject_key_identifier, "hash") &&
           add_extension(cert, NID_subject_alt_name, NAMES) && X509_sign(cert, key, EVP_sha256()) != 0;
}

static enum status use_own_certificate(SSL_CTX *tls)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    bool used = key != NULL && cert != NULL && fill_certificate(cert, key) &&
                SSL_CTX_use_certificate(tls, cert) == 1 && SSL_CTX_use_PrivateKey(tls, key) == 1;

    if (!used)
        complain("cannot make a certificate", "");
    X509_free(cert);
    EVP_PKEY_free(key);
    return used ? ST_OK : ST_FAILED;
}

/* ---------------------------------------------------------------------------------------- context */

static enum status use_files(SSL_CTX *tls, const struct faulty_tls_options *options)
{
    if (SSL_CTX_use_certificate_chain_file(tls, options->cert_file) != 1) {
        complain("cannot use the certificate in ", options->cert_file);
        return ST_FAILED;
    }
    if (SSL_CTX_use_PrivateKey_file(tls, options->key_file, SSL_FILETYPE_PEM) != 1) {
        complain("cannot use the key in ", options->key_file);
        return ST_FAILED;
    }
    return ST_OK;
}

static enum status demand_client_certificate(SSL_CTX *tls, const char *file)
{
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(file);

    if (names == NULL || SSL_CTX_load_verify_file(tls, file) != 1) {
        complain("cannot use the certificates in ", file);
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return ST_FAILED;
    }
    SSL_CTX_set_client_CA_list(tls, names);
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return ST_OK;
}

static enum status write_certificate(SSL_CTX *tls, const char *file)
{
    FILE *out = fopen(file, "we");
    bool written = out != NULL && PEM_write_X509(out, SSL_CTX_get0_certificate(tls)) == 1;

    if (out != NULL && fclose(out) != 0)
        written = false;
    if (!written)
        (void)fprintf(stderr, "curfew faulty: cannot write %s: %s\n", file, strerror(errno));
    return written ? ST_OK : ST_FAILED;
}

static enum status set_up(SSL_CTX *tls, const struct faulty_tls_options *options)
{
    static const unsigned char session_context[] = "curfew faulty";
    enum status status;

    /* Sockets do not block, output moves about in memory, and thousands of connections wait. */
    (void)SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                    SSL_MODE_RELEASE_BUFFERS);
    if (SSL_CTX_set_session_id_context(tls, session_context, sizeof(session_context) - 1) != 1)
        return ST_FAILED;
    status = options->cert_file != NULL ? use_files(tls, options) : use_own_certificate(tls);
    if (status == ST_OK && options->client_ca_file != NULL)
        status = demand_client_certificate(tls, options->client_ca_file);
    if (status == ST_OK && options->ca_out_file != NULL)
        status = write_certificate(tls, options->ca_out_file);
    return status;
}

/* A client that offers neither gets none, and speaks HTTP/1.1. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *offered, unsigned int offered_len, void *arg)
{
    static const unsigned char ours[] = "\x02h2\x08http/1.1";
    unsigned char *chosen;

    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, offered, offered_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

enum status faulty_tls_new(const struct faulty_tls_options *options, bool takes_h2, SSL_CTX **tls)
{
    enum status status;

    *tls = SSL_CTX_new(TLS_server_method());
    if (*tls == NULL)
        return ST_NOMEM;
    if (takes_h2)
        SSL_CTX_set_alpn_select_cb(*tls, choose_protocol, NULL);
    status = set_up(*tls, options);
    if (status != ST_OK) {
        SSL_CTX_free(*tls);
        *tls = NULL;
    }
    return status;
}
