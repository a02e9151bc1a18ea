#ifndef CURFEW_CALL_CALL_GRPC_H
#define CURFEW_CALL_CALL_GRPC_H

#include "call/call.h"
#include "core/grpc_code.h"
#include "http/grpc.h"

struct slab;

/*
 * What is known of a call whose caller speaks gRPC: that its content type is gRPC's, over a protocol that carries
 * trailers. Its grpc-timeout is heeded and sent on anew, an answer of curfew's has a grpc-status, and so does a cut. Of
 * all other calls there is none. Within call/call*.c.
 */
struct call_grpc {
    enum grpc_code code; /* what the caller was told: NONE: nothing so far */
    uint8_t type_len;
    char type[59]; /* its content type; a longer one is told as application/grpc */
};

/* By the head of the request, whose grpc-timeout goes no further, as there will be another one. */
void call_note_grpc(struct call *call, const struct http1_head *head);
/* By what is known of a head that is refused. */
void call_note_grpc_type(struct call *call, struct span type);

static inline struct span call_grpc_type(const struct call *call)
{
    return call->grpc != NULL ? (struct span){call->grpc->type, call->grpc->type_len} : SPAN_LIT("");
}

/* What the API says: in a final response's head, or in trailers. */
void call_note_grpc_head(struct call *call, const struct http1_head *head);
void call_note_grpc_trailers(struct call *call, struct span trailers);

void call_free_grpc(struct call *call, struct slab *slab);

#endif
