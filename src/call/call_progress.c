/* How a response gets on, for the limits that ask. */
#include "call/call_progress.h"

#include "base/invariant.h"
#include "base/mem.h"
#include "call/call.h"
#include "call/context.h"
#include "call/try_limit.h"
#include "core/budget.h"

/* When the request had been sent; of a response that came before that, now. */
static int64_t sent_ns(const struct call *call)
{
    return call->try->fsm.state == TRY_WAITING ? call->try->uploaded_ns : loop_now(call->context->loop);
}

/* The value of the first field with this name; empty if there is none. */
static struct span find_value(const struct http1_head *head, struct span name)
{
    for (uint32_t i = 0; i < head->field_count; i++) {
        if (span_eq_nocase(head->fields[i].name, name))
            return head->fields[i].value;
    }
    return SPAN_LIT("");
}

/* By the media type that is looked into. Content that is encoded (RFC 9110 8.4) is not. */
static bool has_events(struct span content_type, const struct http1_head *head)
{
    static const struct span looked_into = {"text/event-stream", 17};
    static const struct streams_config sse = {.types = &looked_into, .type_count = 1};
    struct span encoding = find_value(head, SPAN_LIT("content-encoding"));

    return streams_take(&sse, content_type) &&
           (encoding.len == 0 || span_eq_nocase(encoding, SPAN_LIT("identity")));
}

/* From now on it has an end of its own. The caller's stays its. */
static void become_stream(struct call *call, const struct http1_head *head, struct span content_type)
{
    const struct streams_config *streams = call->route->streams;
    struct call_progress *progress = call->progress;
    int64_t end_ns = budget_end(call->fsm.begun_ns, streams->deadline_ns);

    progress->streams = streams;
    progress->reads_events = has_events(content_type, head);
    progress->terms.first_event_ns = streams->first_event_ns;
    progress->terms.idle_ns = streams->idle_ns;
    progress->hold.is_on = streams->commits_by_event;
    progress->deadline_before_ns = *call_fsm_policy_deadline(&call->fsm);
    sse_begin(&progress->sse, &streams->events);
    call_fsm_replace_deadline(&call->fsm, end_ns < call->caller_end_ns ? end_ns : call->caller_end_ns,
                              loop_now(call->context->loop));
}

bool call_watch_progress(struct call *call, const struct http1_head *head)
{
    const struct route_config *route = call->route;
    struct span content_type = find_value(head, SPAN_LIT("content-type"));
    bool is_stream = route->streams != NULL && streams_take(route->streams, content_type);

    PRE(call->progress == NULL && head->code >= 200);
    if (!is_stream && route->min_rate.bytes == 0)
        return true;
    call->progress = mem_zalloc(sizeof(*call->progress));
    if (call->progress == NULL)
        return false;
    progress_begin(&call->progress->progress, is_stream, sent_ns(call));
    call->progress->terms =
        (struct progress_terms){.first_event_ns = NS_NEVER, .idle_ns = NS_NEVER, .rate = route->min_rate};
    if (is_stream)
        become_stream(call, head, content_type);
    return true;
}

/* In content that has not been looked at before. */
static uint32_t count_events(struct call_progress *progress, struct span fresh)
{
    if (progress->streams == NULL)
        return 0;
    return progress->reads_events ? sse_count(&progress->sse, &progress->streams->events, fresh) : 1;
}

void call_note_progress(struct call *call, const struct stream_piece *piece)
{
    struct call_progress *progress = call->progress;
    uint64_t fresh = call->try->exchange->received - progress->seen;
    struct span content = {piece->data.ptr + piece->data.len - fresh, fresh};

    PRE(fresh <= piece->data.len); /* what was shown before is in front of it */
    if (fresh == 0)
        return;
    progress->seen = call->try->exchange->received;
    progress_note(&progress->progress, &progress->terms, fresh, count_events(progress, content),
                  loop_now(call->context->loop));
}

void call_limit_by_progress(struct call *call)
{
    struct progress *progress = &call->progress->progress;
    enum cause cause;
    int64_t limit_ns;

    if (progress->is_stream ? progress->events != 0 : call->progress->seen != 0)
        call_fsm_set_begin(&call->fsm, NS_NEVER);
    /* Of a stream bytes are no progress, and its head is no answer that is waited for. */
    if (call->progress->hold.is_on)
        try_fsm_set_limit(&call->try->fsm, NS_NEVER, CAUSE_NONE);
    else
        try_set_limit(call->try, call->caller->blocked || progress->is_stream);
    progress_stand(progress, call->caller->blocked, loop_now(call->context->loop));
    limit_ns = progress_limit(progress, &call->progress->terms, &cause);
    if (limit_ns < call->try->fsm.limit_ns)
        try_fsm_set_limit(&call->try->fsm, limit_ns, cause);
}

void call_forget_response(struct call *call)
{
    PRE(call_holds(call) && !call->answering);
    call_fsm_replace_deadline(&call->fsm, call->progress->deadline_before_ns, loop_now(call->context->loop));
    stream_drop_response(call->caller);
    call_free_progress(call);
}

void call_free_progress(struct call *call)
{
    held_response_fini(&call->progress->hold);
    mem_free(call->progress);
    call->progress = NULL;
}
