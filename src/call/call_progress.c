/* How a response gets on, for the limits that ask. */
#include "call/call_progress.h"

#include "base/invariant.h"
#include "base/mem.h"
#include "call/call.h"
#include "call/context.h"

/* When the request had been sent; of a response that came before that, now. */
static int64_t sent_ns(const struct call *call)
{
    return call->try->fsm.state == TRY_WAITING ? call->try->uploaded_ns : loop_now(call->context->loop);
}

bool call_watch_progress(struct call *call, const struct http1_head *head)
{
    const struct route_config *route = call->route;

    PRE(call->progress == NULL && head->code >= 200);
    if (route->min_rate.bytes == 0 || head->framing == HTTP1_NO_CONTENT)
        return true;
    call->progress = mem_zalloc(sizeof(*call->progress));
    if (call->progress == NULL)
        return false;
    progress_begin(&call->progress->progress, false, sent_ns(call));
    call->progress->terms =
        (struct progress_terms){.first_event_ns = NS_NEVER, .idle_ns = NS_NEVER, .rate = route->min_rate};
    return true;
}

void call_note_progress(struct call *call, const struct stream_piece *piece)
{
    struct call_progress *progress = call->progress;
    uint64_t fresh = call->try->exchange->received - progress->seen;

    PRE(fresh <= piece->data.len); /* what was shown before is in front of it */
    if (fresh == 0)
        return;
    progress->seen = call->try->exchange->received;
    progress_note(&progress->progress, &progress->terms, fresh, 0, loop_now(call->context->loop));
}

void call_limit_by_progress(struct call *call)
{
    struct progress *progress = &call->progress->progress;
    enum cause cause;
    int64_t limit_ns;

    progress_stand(progress, call->caller->blocked, loop_now(call->context->loop));
    limit_ns = progress_limit(progress, &call->progress->terms, &cause);
    if (limit_ns < call->try->fsm.limit_ns)
        try_fsm_set_limit(&call->try->fsm, limit_ns, cause);
}
