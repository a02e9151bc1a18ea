#ifndef CURFEW_RUNTIME_WEBSOCKET_H
#define CURFEW_RUNTIME_WEBSOCKET_H

#include <stdbool.h>

#include "base/span.h"

/* The two fields of a WebSocket's handshake over HTTP/1.1 (RFC 6455 4.1), as terminated texts. */
#define WEBSOCKET_KEY_LEN    24u
#define WEBSOCKET_ACCEPT_LEN 28u

/* A Sec-WebSocket-Key that nobody else has. False: there is no randomness. */
bool websocket_make_key(char key[WEBSOCKET_KEY_LEN + 1]) __attribute__((warn_unused_result));

/* What Sec-WebSocket-Accept says to it. False: no memory, or the key is longer than one can be. */
bool websocket_accept(struct span key, char accept[WEBSOCKET_ACCEPT_LEN + 1])
    __attribute__((warn_unused_result));

#endif
