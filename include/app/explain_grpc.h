#ifndef CURFEW_APP_EXPLAIN_GRPC_H
#define CURFEW_APP_EXPLAIN_GRPC_H

#include <stdint.h>

#include "app/explanation.h"
#include "core/cause.h"

/* Of a request whose content type is gRPC's: what that means to it. Of others nothing. */
void explain_grpc(const struct explanation *explanation);

/* What the caller is told of a cause: a status of HTTP's, or of gRPC's. */
unsigned explain_status(const struct explanation *explanation, enum cause cause);

/* The fields by which the API is told how much of the longest time is left. */
void explain_what_is_left(const struct explanation *explanation, int64_t longest_ns);

#endif
