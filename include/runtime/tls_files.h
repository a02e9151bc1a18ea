#ifndef CURFEW_RUNTIME_TLS_FILES_H
#define CURFEW_RUNTIME_TLS_FILES_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "base/status.h"
#include "core/tls_spec.h"
#include "runtime/tls_trust.h"

/* The files that a tls_spec or a tls_server_spec names. Any thread. */

enum tls_file { TLS_NO_FILE, TLS_CA_FILE, TLS_CERT_FILE, TLS_KEY_FILE };

/* What is wrong with a file: "/x.pem: No such file or directory". */
struct tls_fault {
    enum tls_file file; /* TLS_NO_FILE: there was no memory */
    char text[512];     /* terminated */
};

/* Loads them into a client's context, its authorities by way of `trust`. ST_BAD or ST_NOMEM: *fault says why. */
enum status tls_files_load(SSL_CTX *context, const struct tls_spec *spec, struct tls_trust *trust,
                           struct tls_fault *fault) MUST_CHECK;

/* Likewise into a server's; TLS_CA_FILE is that of its clients' authorities. */
enum status tls_files_load_server(SSL_CTX *context, const struct tls_server_spec *spec,
                                  struct tls_fault *fault) MUST_CHECK;

/* As tls_files_load, without a client: says whether `serve` would take the files. */
enum status tls_files_check(const struct tls_spec *spec, struct tls_trust *trust,
                            struct tls_fault *fault) MUST_CHECK;
enum status tls_files_check_server(const struct tls_server_spec *spec, struct tls_fault *fault) MUST_CHECK;

/*
 * True if there is a CA certificate where OpenSSL looks for the system's: in the file or the directories that
 * SSL_CERT_FILE and SSL_CERT_DIR name, or in its own. Without any, only ca_file can tell whom to trust.
 */
bool tls_files_has_system_trust(void);

#endif
