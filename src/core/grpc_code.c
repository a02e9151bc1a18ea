#include "core/grpc_code.h"

#include "base/invariant.h"
#include "base/number.h"

const char *grpc_code_name(enum grpc_code code)
{
    static const char *const names[GRPC_CODE_COUNT] = {"0",  "1",  "2",  "3",     "4",   "5",  "6",
                                                       "7",  "8",  "9",  "10",    "11",  "12", "13",
                                                       "14", "15", "16", "other", "none"};

    PRE(code < GRPC_CODE_COUNT);
    return names[code];
}

enum grpc_code grpc_code_read(struct span value)
{
    uint64_t code;

    if (number_u64(value, &code) != NUMBER_OK || code >= GRPC_OTHER)
        return GRPC_OTHER;
    return (enum grpc_code)code;
}

/* Of the outcomes that say the same by HTTP, those that ask for another time are told from those that are full. */
static enum grpc_code code_of_refusal(enum cause cause)
{
    return cause == CAUSE_DRAINING || cause == CAUSE_BREAKER_OPEN ? GRPC_UNAVAILABLE
                                                                  : GRPC_RESOURCE_EXHAUSTED;
}

enum grpc_code grpc_code_of_cause(enum cause cause)
{
    PRE(cause != CAUSE_NONE && cause < CAUSE_COUNT);
    switch (cause_status(cause)) {
    case 401:
    case 407: return GRPC_UNAUTHENTICATED;
    case 403: return GRPC_PERMISSION_DENIED;
    case 404:
    case 405:
    case 501:
    case 505: return GRPC_UNIMPLEMENTED;
    case 413:
    case 414:
    case 431: return GRPC_RESOURCE_EXHAUSTED;
    case 502: return GRPC_UNAVAILABLE;
    case 503: return code_of_refusal(cause);
    case 504: return GRPC_DEADLINE_EXCEEDED;
    default: return GRPC_INTERNAL;
    }
}
