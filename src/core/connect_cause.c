#include "core/connect_cause.h"

static int weight(enum cause cause)
{
    switch (cause) {
    case CAUSE_NONE: return 0;
    case CAUSE_UNROUTABLE: return 1;
    case CAUSE_CONNECT_LIMIT: return 2;
    case CAUSE_PROXY_REFUSED: return 4;
    case CAUSE_TLS_PROTOCOL: return 5;
    case CAUSE_TLS_CERTIFICATE: return 6;
    case CAUSE_INTERNAL: return 7;
    default: return 3;
    }
}

bool connect_cause_tells(enum cause cause, enum cause before)
{
    return weight(cause) >= weight(before);
}
