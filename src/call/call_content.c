/* The request's content, as its tries get it: from the caller, or from what is kept of it. */
#include "base/invariant.h"
#include "call/call.h"
#include "call/context.h"
#include "call/call_hedge.h"
#include "call/replay.h"

bool call_has_content(const struct call *call)
{
    const struct replay *replay = call->replay;

    return replay != NULL ? !replay->is_lost : !call->content_went;
}

/* Can there be another try once the content has begun to go? */
static bool keeps_content(const struct call *call)
{
    const struct retries_config *config = &call->route->retries;

    return config->content_bytes != 0 && !call->content_went && (call->may_repeat || config->policy.refused);
}

/* A hedge has what is kept for itself, as long as the other one may need it, too. */
static struct replay **replay_of(struct call *call)
{
    bool is_hedge = call->rival != NULL && call->try->plan.kind == TRY_HEDGE;

    return is_hedge ? &hedge_of(call->try)->replay : &call->replay;
}

struct stream *call_content(struct call *call)
{
    const struct retries_config *config = &call->route->retries;
    struct replay **replay = replay_of(call);

    if (*replay == NULL && !call->caller->ended && keeps_content(call))
        *replay = replay_new(call->caller, call->context->replay, config->content_bytes,
                             call->context->snapshot->limits.replay_bytes);
    if (*replay == NULL)
        return call->caller;
    call->keeps = true;
    if (call_tries_started(call) >= config->policy.attempts)
        (*replay)->keeps = false;
    return &(*replay)->stream;
}

void call_note_content(struct call *call)
{
    const struct replay *replay = *replay_of(call);

    if (replay != NULL)
        call->caller->paused |= replay->stream.paused;
    else if (call->caller->received != 0)
        call->content_went = true;
}
