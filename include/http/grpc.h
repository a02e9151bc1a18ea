#ifndef CURFEW_HTTP_GRPC_H
#define CURFEW_HTTP_GRPC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/text.h"
#include "core/grpc_code.h"
#include "http/http1.h"

/* What of gRPC is in the fields of HTTP/2's messages (gRPC's PROTOCOL-HTTP2.md). Pure. */

/* Is this the content type of gRPC: application/grpc, perhaps with +format or parameters? That of gRPC-Web is not. */
bool grpc_is_type(struct span content_type);

/* The content type of a head, if it is gRPC's; else empty. */
struct span grpc_type_of(const struct http1_head *head);

/* The status that a head, or trailers, tell: of a response that has no content, the head does. False: none. */
bool grpc_status_of_head(const struct http1_head *head, enum grpc_code *code);
bool grpc_status_of_trailers(struct span trailers, enum grpc_code *code);

/* The field line of grpc-timeout: so much is left, rounded down to a unit that 8 digits do for; never 0. */
#define GRPC_TIMEOUT_ROOM 32u
void grpc_put_timeout(struct text *out, int64_t left_ns);
/* Its value alone: "1957m". */
void grpc_put_timeout_value(struct text *out, int64_t left_ns);

/* The value of grpc-message: percent-encoded but for visible ASCII and spaces. */
void grpc_put_message(struct text *out, struct span message);

#endif
