#ifndef CURFEW_CORE_CLIENT_HELLO_H
#define CURFEW_CORE_CLIENT_HELLO_H

#include <stdint.h>

#include "base/span.h"

/*
 * The name that a TLS client asks for: server_name (SNI, RFC 6066 3) of its ClientHello (RFC 8446 4.1.2), which may
 * come in any number of packets, and lie in any number of records. Nothing of it is kept, and nothing is decrypted: of
 * an encrypted ClientHello (ECH) the outer name is what there is. Pure.
 */
#define CLIENT_HELLO_MAX  16384u /* bytes, with the headers of its records */
#define CLIENT_HELLO_NAME 255u

enum client_hello_result {
    CLIENT_HELLO_MORE, /* it has not come whole */
    CLIENT_HELLO_NAMED,
    CLIENT_HELLO_UNNAMED,   /* it is sound, and asks for no name */
    CLIENT_HELLO_NOT_TLS,   /* the bytes are none */
    CLIENT_HELLO_BROKEN,    /* its parts do not fit, or it has two names */
    CLIENT_HELLO_TOO_LARGE, /* more than CLIENT_HELLO_MAX */
};

/* As it is compared: lower case, without a dot at its end. */
struct client_hello_name {
    char text[CLIENT_HELLO_NAME];
    uint8_t len; /* 0: there is none */
};

/* `bytes` is all that has come so far. To be asked again with more after MORE. */
enum client_hello_result client_hello_read(struct span bytes, struct client_hello_name *name)
    __attribute__((warn_unused_result));

#endif
