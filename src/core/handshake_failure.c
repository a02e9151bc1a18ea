#include "core/handshake_failure.h"

#include "base/invariant.h"

const char *handshake_failure_name(enum handshake_failure failure)
{
    static const char *const names[HANDSHAKE_FAILURE_COUNT] = {
        [HANDSHAKE_TIMEOUT] = "timeout",         [HANDSHAKE_PROTOCOL] = "protocol",
        [HANDSHAKE_CERTIFICATE] = "certificate", [HANDSHAKE_NAME] = "name",
        [HANDSHAKE_CLOSED] = "closed",
    };

    PRE(failure < HANDSHAKE_FAILURE_COUNT);
    return names[failure];
}
