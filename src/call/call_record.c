/* What stays of a call's tries: what became of each, the response that was given up last, and the last failure. */
#include <stdio.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "call/call.h"
#include "call/context.h"
#include "call/try_inspect.h"
#include "http/head_copy.h"

bool call_make_room(struct call *call)
{
    if (call->retries != NULL)
        return true;
    call->retries = mem_zalloc(sizeof(*call->retries));
    if (call->retries == NULL)
        return false;
    call->keeps = true;
    call->retries->started = 1;
    try_init(&call->retries->other, call->context, &call_try_events, call);
    return true;
}

void call_record_try(struct call *call, enum cause cause, enum try_end_kind end)
{
    struct call_retries *retries = call->retries;
    struct try *try = call->try;
    int64_t now_ns = loop_now(call->context->loop);

    PRE(retries->count < TRIES_MAX && try->granted_ns != 0);
    if (retries->count == 0 || try->granted_ns < retries->began_ns)
        retries->began_ns = try->granted_ns;
    retries->tries[retries->count++] = (struct try_record){
        .upstream = try->plan.config->name,
        .peer = try->peer,
        .took_ns = now_ns - try->granted_ns,
        .status = try->status,
        .cause = cause,
        .sent = try->fsm.sent,
        .end = end,
        .is_hedge = try->plan.kind == TRY_HEDGE,
    };
}

void call_record_last(struct call *call, enum cause cause)
{
    if (retries_had_one(call->retries) && call->retries->count < call->retries->started)
        call_record_try(call, cause, TRY_ENDED);
}

bool call_was_saved(const struct call *call)
{
    const struct call_retries *retries = call->retries;
    bool has_failed = false;

    for (uint8_t i = 0; i + 1 < retries->count; i++)
        has_failed |= retries->tries[i].end != TRY_LOST;
    return has_failed && !retry_when_has_status(&call->route->retries.policy.when, call->status);
}

/* ---- responses and failures ----------------------------------------------------------------------------- */

static void drop_parked(struct call_retries *retries)
{
    mem_free(retries->parked_head);
    retries->parked_head = NULL;
    retries->parked = NULL;
}

/* False: there is no memory for its head. */
static bool park(struct call *call, const struct http1_head *head)
{
    struct http1_head *copy = http1_head_copy(head);

    if (copy == NULL)
        return false;
    drop_parked(call->retries);
    call->retries->parked = call->try;
    call->retries->parked_head = copy;
    return true;
}

/* The response is given up. If all of it is here it is parked, and its connection may serve others. */
static void give_up_response(struct call *call, const struct http1_head *head)
{
    struct try *try = call->try;
    bool is_whole;

    call->retries->lost_status = 0;
    call->retries->cause = CAUSE_NONE;
    call->retries->phase = call->fsm.phase;
    call->retries->detail[0] = '\0';
    if (!stream_has_all(try->exchange) || !park(call, head)) {
        drop_parked(call->retries);
        call->retries->lost_status = head->code;
        call_cut_try(call, CAUSE_NONE);
        return;
    }
    call_try_over(call, CAUSE_NONE);
    is_whole = try_adopt(try) && try_finish(try, call->caller->persistent);
    POST(is_whole || call_is_over(call));
}

static void note_failure(struct call *call, const struct try_result *result)
{
    struct call_retries *retries = call->retries;
    char why[TLS_WHY_MAX];
    const char *detail = result->detail != NULL ? result->detail : try_tls_why(call->try, why);

    retries->cause = result->cause;
    retries->phase = call->fsm.phase;
    snprintf(retries->detail, sizeof(retries->detail), "%s", detail != NULL ? detail : "");
    call_cut_try(call, result->cause);
}

/* Nothing has come of it, and nothing is wrong that could be named but the time that it took. */
static void give_up_silent(struct call *call)
{
    struct try_result result = {.cause = CAUSE_FIRST_BYTE_LIMIT};

    note_failure(call, &result);
}

bool call_give_up_try(struct call *call, const struct try_result *result, const struct http1_head *head)
{
    struct call_retries *retries = call->retries;
    bool has_struck = result == NULL && head == NULL;

    if (head != NULL)
        give_up_response(call, head);
    else if (result != NULL)
        note_failure(call, result);
    else
        give_up_silent(call);
    if (call_is_over(call))
        return false;
    call_record_try(call, retries->cause, has_struck ? TRY_STRUCK : TRY_ENDED);
    call_add_figures(call);
    return true;
}

void call_add_figures(struct call *call)
{
    call->retries->received += call->try->exchange->received;
    call->retries->held_ns += try_held_ns(call->try, loop_now(call->context->loop));
}
