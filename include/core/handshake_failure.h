#ifndef CURFEW_CORE_HANDSHAKE_FAILURE_H
#define CURFEW_CORE_HANDSHAKE_FAILURE_H

/* Why a caller's TLS handshake failed: the reasons of curfew_handshakes_failed_total. */
enum handshake_failure {
    HANDSHAKE_TIMEOUT,     /* limits.handshake_timeout has passed */
    HANDSHAKE_PROTOCOL,    /* what came is no TLS, or none that is spoken here */
    HANDSHAKE_CERTIFICATE, /* the caller has shown no certificate, or none that is trusted */
    HANDSHAKE_NAME,        /* its certificate is trusted, and carries none of the names that may call */
    HANDSHAKE_CLOSED,      /* the caller has closed or reset the connection */
    HANDSHAKE_FAILURE_COUNT
};

/* "timeout" */
const char *handshake_failure_name(enum handshake_failure failure);

#endif
