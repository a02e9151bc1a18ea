#include "app/explain_grpc.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/budget.h"
#include "http/grpc.h"

void explain_grpc(const struct explanation *e)
{
    const struct upstream_config *upstream = e->target.upstream;

    if (e->grpc_type.len == 0)
        return;
    printf("%-12sby HTTP/2, grpc-timeout may shorten the deadline, and a deadline is DEADLINE_EXCEEDED\n",
           "gRPC");
    if (upstream->http2.use == HTTP2_NEVER)
        printf("            http2.use is never, and gRPC APIs speak HTTP/2 alone\n");
}

unsigned explain_status(const struct explanation *e, enum cause cause)
{
    return e->grpc_type.len != 0 ? grpc_code_of_cause(cause) : cause_status(cause);
}

void explain_what_is_left(const struct explanation *e, int64_t longest_ns)
{
    const struct upstream_config *upstream = e->target.upstream;
    const struct caller_deadline_config *told = &upstream->caller_deadline;
    char block[GRPC_TIMEOUT_ROOM];
    struct text left = text_over(block, sizeof(block));

    grpc_put_timeout_value(&left, longest_ns);
    if (told->forward.len != 0 && !told->forwards_grpc)
        printf("  %.*s: %" PRIu64 " at most: what is left when it is sent\n", SPAN_FMT(told->forward),
               budget_left_ms(longest_ns, 0));
    if (told->forwards_grpc || (e->grpc_type.len != 0 && !upstream->owns_grpc_timeout))
        printf("  grpc-timeout: %.*s at most: what is left when it is sent\n", SPAN_FMT(text_span(&left)));
}
