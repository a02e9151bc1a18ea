#include "call/context.h"

#include <time.h>

#include "base/invariant.h"

void context_set_snapshot(struct call_context *context, const struct snapshot *snapshot)
{
    const struct limits_config *limits = &snapshot->limits;

    PRE(context->text_cap >= limits->request_head_bytes && context->text_cap >= limits->response_head_bytes);
    context->snapshot = snapshot;
    context->caller_common.loop = context->loop;
    context->caller_common.parsed = &context->head;
    context->caller_common.text = context->text;
    context->caller_common.text_cap = context->text_cap;
    context->caller_common.request_head_max = limits->request_head_bytes;
    context->caller_common.response_head_max = limits->response_head_bytes;
    context->caller_common.idle_ns = limits->idle_timeout_ns;
    context->caller_common.handshake_ns = limits->handshake_timeout_ns;
    context->caller_common.head_timeout_ns = limits->request_head_timeout_ns;
}

struct span context_date(struct call_context *context)
{
    struct text text = text_over(context->date, sizeof(context->date));
    struct timespec now;

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (context->date_s != now.tv_sec) {
        date_put(&text, now.tv_sec);
        POST(text.len == sizeof(context->date));
        context->date_s = now.tv_sec;
    }
    return (struct span){context->date, sizeof(context->date)};
}
