#ifndef CURFEW_CORE_TLS_SPEC_H
#define CURFEW_CORE_TLS_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/* What a client offers by ALPN (RFC 7301). */
enum tls_offer { TLS_OFFERS_HTTP1, TLS_OFFERS_BOTH, TLS_OFFERS_HTTP2 };

/* How to speak TLS as a client: made by config, obeyed by runtime. Its texts outlive whoever obeys it. */
struct tls_spec {
    const char *ca_file;     /* whom to trust; NULL: the system's */
    const char *cert_file;   /* our own certificate; NULL: none */
    const char *key_file;    /* its key; NULL: in cert_file */
    const char *server_name; /* for SNI and verification */
    enum tls_offer offer;
    bool renegotiate;     /* once a connection, if the server asks for it (TLS 1.2) */
    uint16_t min_version; /* as OpenSSL's TLS1_2_VERSION, TLS1_3_VERSION: 0x0303, 0x0304 */
};

/* How to speak TLS as a server, likewise. */
struct tls_server_spec {
    const char *cert_file, *key_file; /* our own certificate and its key */
    const char *client_ca_file;       /* whose certificates callers have to show; NULL: they need none */
    const struct span *client_names;  /* DNS names and URIs in certificates that may call; count 0: any */
    uint32_t client_name_count;
    uint16_t min_version;
};

#endif
