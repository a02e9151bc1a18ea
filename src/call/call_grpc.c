/* What makes a call one of gRPC, and what its API says at the end. */
#include "call/call_grpc.h"

#include <string.h>

#include "base/invariant.h"
#include "call/context.h"
#include "runtime/log_error.h"
#include "runtime/loop.h"

void call_note_grpc_type(struct call *call, struct span type)
{
    struct call_grpc *grpc;

    PRE(call->grpc == NULL && type.len != 0);
    grpc = slab_take(&call->context->loop->slab, sizeof(*grpc));
    if (grpc == NULL)
        return; /* it is told in HTTP's words, which its library understands, too */
    if (type.len > sizeof(grpc->type))
        type = SPAN_LIT("application/grpc");
    grpc->code = GRPC_NONE;
    grpc->type_len = (uint8_t)type.len;
    memcpy(grpc->type, type.ptr, type.len);
    call->grpc = grpc;
}

/* An API that speaks gRPC does not understand HTTP/1.1. Said once. */
static void warn(const struct upstream_config *config)
{
    if (config->http2.use == HTTP2_NEVER &&
        !atomic_exchange_explicit(config->http2.warned, true, memory_order_relaxed))
        log_warning("upstream %s: a caller speaks gRPC, whose APIs speak HTTP/2, and http2.use is never",
                    config->name);
}

void call_note_grpc(struct call *call, const struct http1_head *head)
{
    struct span type = grpc_type_of(head);

    PRE(call->caller->carries_grpc);
    if (type.len == 0)
        return;
    warn(call->config);
    call_note_grpc_type(call, type);
    for (uint32_t i = 0; call->grpc != NULL && i < head->field_count; i++)
        if (span_eq_nocase(head->fields[i].name, SPAN_LIT("grpc-timeout")))
            head->fields[i].nominated = true;
}

void call_note_grpc_head(struct call *call, const struct http1_head *head)
{
    enum grpc_code code;

    if (grpc_status_of_head(head, &code))
        call->grpc->code = code;
}

void call_note_grpc_trailers(struct call *call, struct span trailers)
{
    enum grpc_code code;

    if (trailers.len != 0 && grpc_status_of_trailers(trailers, &code))
        call->grpc->code = code;
}

void call_free_grpc(struct call *call, struct slab *slab)
{
    slab_give(slab, call->grpc, sizeof(*call->grpc));
    call->grpc = NULL;
}
