#ifndef CURFEW_FAULTY_TLS_H
#define CURFEW_FAULTY_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "base/status.h"

struct faulty_tls_options {
    const char *cert_file; /* with key_file; NULL: a certificate is made */
    const char *key_file;
    const char *client_ca_file; /* demand a client certificate that these vouch for; NULL: none */
    const char *ca_out_file;    /* write the server's certificate (PEM) here, for clients; NULL: nowhere */
};

/*
 * Makes the server's TLS context. The certificate that it makes is self-signed (EC P-256, valid for 30 days) and
 * stands for localhost, api.test, 127.0.0.1 and ::1; its key never leaves memory. What fails is said on stderr.
 * `takes_h2`: clients that offer h2 by ALPN get it.
 */
enum status faulty_tls_new(const struct faulty_tls_options *options, bool takes_h2, SSL_CTX **tls) MUST_CHECK;

#endif
