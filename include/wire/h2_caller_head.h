#ifndef CURFEW_WIRE_H2_CALLER_HEAD_H
#define CURFEW_WIRE_H2_CALLER_HEAD_H

#include <stdbool.h>

#include "base/span.h"
#include "core/cause.h"
#include "wire/h2_caller.h"

/* The head of a caller's stream, and its trailers, as their fields come. Within wire/h2_caller*.c. */

/* As struct h2_events has them. */
bool h2_stream_take_field(void *user, void *stream, struct span name, struct span value);
void h2_stream_head_done(void *user, void *stream, bool end);

/* The request is none that can be gone on with; the first reason counts, and what else comes is passed over. */
void h2_stream_refuse(struct h2_stream *stream, enum cause cause, const char *detail);

/* The content type of a gRPC request in whose head something is missing. */
struct span h2_stream_find_grpc_type(const struct h2_stream *stream);

#endif
