#ifndef CURFEW_CORE_GRPC_CODE_H
#define CURFEW_CORE_GRPC_CODE_H

#include "base/span.h"
#include "core/cause.h"

/* How a gRPC call ends (gRPC's statuscodes.md): 0 to 16, of which those that curfew says have names here. */
enum grpc_code {
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_UNAUTHENTICATED = 16,
    GRPC_OTHER, /* a status that is none of these */
    GRPC_NONE,  /* it ended without one */
    GRPC_CODE_COUNT
};

/* "0" to "16", "other", "none". */
const char *grpc_code_name(enum grpc_code code);

/* The value of the field grpc-status. */
enum grpc_code grpc_code_read(struct span value);

/*
 * What a gRPC caller is told in place of the cause's HTTP status. One that was late is DEADLINE_EXCEEDED, since clients
 * try UNAVAILABLE again; a full pool is RESOURCE_EXHAUSTED for the same reason.
 */
enum grpc_code grpc_code_of_cause(enum cause cause);

#endif
