#ifndef CURFEW_TESTS_RUNTIME_CERTIFICATES_H
#define CURFEW_TESTS_RUNTIME_CERTIFICATES_H

#include "support.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A directory of certificates, made anew for each program, and a server that uses them. */
struct pki {
    char dir[64];
    char ca[96], other_ca[96];
    char good[96], expired[96], other_name[96], client[96],
        only_cn[96]; /* certificate and key in one file, issued by ca */
    char encrypted_key[96], no_pem[96];
};

struct issuer {
    EVP_PKEY *key;
    X509 *certificate;
};

static inline void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;

    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/*
 * Signed by `issuer`, or by itself if that is NULL. `names`: as in subjectAltName; "": it has none; NULL: a CA. Ends
 * in `days`.
 */
static inline struct issuer issue(const struct issuer *issuer, const char *subject, const char *names,
                                  long days)
{
    struct issuer made = {EVP_EC_gen("P-256"), X509_new()};
    X509 *certificate = made.certificate;
    X509_NAME *name = X509_get_subject_name(certificate);
    static long serial = 1;

    assert_non_null(made.key);
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -10L * 86400);
    X509_gmtime_adj(X509_getm_notAfter(certificate), days * 86400);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)subject, -1, -1, 0);
    X509_set_issuer_name(certificate, issuer != NULL ? X509_get_subject_name(issuer->certificate) : name);
    X509_set_pubkey(certificate, made.key);
    add_extension(certificate, issuer != NULL ? issuer->certificate : certificate, NID_basic_constraints,
                  names == NULL ? "critical,CA:TRUE" : "CA:FALSE");
    if (names != NULL && names[0] != '\0')
        add_extension(certificate, issuer != NULL ? issuer->certificate : certificate, NID_subject_alt_name,
                      names);
    assert_true(X509_sign(certificate, issuer != NULL ? issuer->key : made.key, EVP_sha256()) > 0);
    return made;
}

static inline void issuer_free(struct issuer *issuer)
{
    EVP_PKEY_free(issuer->key);
    X509_free(issuer->certificate);
}

static inline void write_pem(const char *path, const struct issuer *what, bool with_key,
                             const char *passphrase)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    PEM_write_X509(file, what->certificate);
    if (with_key)
        PEM_write_PrivateKey(file, what->key, passphrase != NULL ? EVP_aes_128_cbc() : NULL, NULL, 0, NULL,
                             (void *)(uintptr_t)passphrase);
    fclose(file);
}

static inline void pki_add(struct pki *pki, char path[96], const char *file, const struct issuer *issuer,
                           const char *names, long days)
{
    struct issuer made = issue(issuer, file, names, days);

    snprintf(path, 96, "%s/%s.pem", pki->dir, file);
    write_pem(path, &made, issuer != NULL, strcmp(file, "encrypted") == 0 ? "secret" : NULL);
    issuer_free(&made);
}

static inline void pki_init(struct pki *pki)
{
    struct issuer ca;
    FILE *file;

    strcpy(pki->dir, "/tmp/curfew-test-pki-XXXXXX");
    assert_non_null(mkdtemp(pki->dir));
    ca = issue(NULL, "test CA", NULL, 10);
    snprintf(pki->ca, sizeof(pki->ca), "%s/ca.pem", pki->dir);
    write_pem(pki->ca, &ca, false, NULL);
    pki_add(pki, pki->other_ca, "other-ca", NULL, NULL, 10);
    pki_add(pki, pki->good, "good", &ca, "DNS:api.test,DNS:*.wild.test,DNS:localhost,IP:127.0.0.1", 10);
    pki_add(pki, pki->expired, "expired", &ca, "DNS:api.test", -1);
    pki_add(pki, pki->other_name, "other-name", &ca, "DNS:other.test", 10);
    pki_add(pki, pki->client, "client", &ca, "DNS:caller.test", 10);
    pki_add(pki, pki->only_cn, "api.test", &ca, "", 10);
    pki_add(pki, pki->encrypted_key, "encrypted", &ca, "DNS:caller.test", 10);
    issuer_free(&ca);
    snprintf(pki->no_pem, sizeof(pki->no_pem), "%s/no.pem", pki->dir);
    file = fopen(pki->no_pem, "w");
    fputs("not a certificate\n", file);
    fclose(file);
}

static inline void pki_fini(struct pki *pki)
{
    char *files[] = {pki->ca,     pki->other_ca,      pki->good,   pki->expired, pki->other_name,
                     pki->client, pki->encrypted_key, pki->no_pem, pki->only_cn};

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        unlink(files[i]);
    rmdir(pki->dir);
}

/*
 * A server's context with a certificate of the pki; `wants_client`: a certificate from the client, by the CA.
 */
static inline SSL_CTX *server_context(const struct pki *pki, const char *pem, int version, bool wants_client)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    assert_non_null(context);
    assert_int_equal(SSL_CTX_use_certificate_chain_file(context, pem), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(context, pem, SSL_FILETYPE_PEM), 1);
    SSL_CTX_set_min_proto_version(context, version);
    SSL_CTX_set_max_proto_version(context, version);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"test", 4);
    if (wants_client) {
        SSL_CTX_load_verify_file(context, pki->ca);
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    return context;
}

#endif
