/*
 * A call's tries at the API, what each of them says about it, and the breaker that goes by that.
 *
 * A try asks its breaker before it asks for a permit, and carries the pass until it has a verdict: at the head of the
 * response, where that says all, and once more at the end, if that is worse. However a call ends, it comes by
 * call_try_over, where a probe's place is given back. When the breaker opens, each worker refuses the tries that wait
 * for a permit (call/circuit_watch); those that had theirs in the mail ask again (call_may_go_on).
 */
#include "base/invariant.h"
#include "call/call.h"
#include "call/context.h"
#include "call/upstream.h"
#include "core/verdict.h"
#include "runtime/address_book.h"
#include "runtime/circuit.h"

static struct route_metrics *metrics_of(const struct call *call)
{
    return &call->context->metrics->routes[call->route->index];
}

static void count_opening(const struct call *call, const struct try_plan *plan,
                          const struct circuit_news *news)
{
    call->context->metrics->upstreams[plan->config->index].breaker_opened[news->reason]++;
}

/* ---- coming in ------------------------------------------------------------------------------------------ */

/* An observed call goes on, and its verdict will tell the breaker nothing. True: it does. */
static bool is_spared(struct call *call)
{
    if (call->fsm.policy_ns == NS_NEVER)
        return false;
    call_fsm_spare(&call->fsm, CAUSE_BREAKER_OPEN, loop_now(call->context->loop));
    return true;
}

static void note_refusal(struct try *try, const struct circuit_news *news)
{
    try->refusal =
        (struct breaker_refusal){.left_ms = (uint32_t)((news->left_ns + NS_PER_MS - 1) / NS_PER_MS),
                                 .state = news->state,
                                 .reason = news->reason};
}

bool call_ask_breaker(struct call *call, struct try *try, const struct try_plan *plan)
{
    struct loop *loop = call->context->loop;
    struct circuit_news news;

    PRE(plan->circuit != NULL && try->pass.place == 0);
    switch (circuit_ask(plan->circuit, loop, loop_now(loop), &try->pass, &news)) {
    case BREAKER_LETS: return true;
    case BREAKER_PROBES: try->probes = true; break;
    case BREAKER_REFUSES: break;
    }
    if (news.opened)
        count_opening(call, plan, &news);
    note_refusal(try, &news);
    return try->probes || is_spared(call);
}

static void fail(struct try *try)
{
    try_fail(try, &(struct stream_fault){.cause = CAUSE_BREAKER_OPEN});
}

bool call_may_go_on(struct call *call, struct try *try)
{
    struct circuit *circuit = try->plan.circuit;

    if (circuit == NULL || circuit_generation(circuit) == try->pass.generation)
        return true;
    try->pass.place = 0; /* it is gone with its generation */
    try->probes = false;
    if (call_passes_breaker(call, try, &try->plan))
        return true;
    fail(try);
    return false;
}

void call_refuse_waiting(struct call *call, struct try *try, const struct circuit_news *news)
{
    try->pass = (struct breaker_pass){0};
    try->probes = false;
    note_refusal(try, news);
    if (!is_spared(call))
        fail(try);
}

/* ---- verdicts ------------------------------------------------------------------------------------------- */

/* Is it the API that has to do the next thing, and not the caller, who is slow to give or to take? */
static bool api_is_to_move(const struct call *call)
{
    switch (call->try->fsm.state) {
    case TRY_CONNECTING:
    case TRY_WAITING: return true;
    case TRY_SENDING: return call->try->exchange->blocked;
    case TRY_TUNNELING:
    case TRY_STREAMING: return !call->caller->blocked;
    default: return false;
    }
}

/* Of an idle connection that was closed without a byte, the address is to blame least of all. */
static bool was_stale(const struct try *try, enum cause cause)
{
    return cause == CAUSE_TERMINATED && try->upstream->served != 0 && !try->exchange->heard;
}

static void tell_address(const struct try *try, enum cause cause, enum verdict verdict)
{
    const struct upstream *upstream = try->upstream;
    struct call_context *context = try->context;

    if (verdict == VERDICT_GOOD && !address_book_is_troubled(context->address_book))
        return;
    if (upstream != NULL && upstream_is_made(upstream) && !was_stale(try, cause))
        address_book_judge(context->address_book, try_plan_origin(&try->plan), upstream_peer(upstream),
                           upstream->addresses, verdict, loop_now(context->loop));
}

/* Apart, as most verdicts are good ones of a breaker that is closed. */
static __attribute__((noinline)) void tell_breaker_more(struct call *call, enum verdict verdict)
{
    struct try *try = call->try;
    struct loop *loop = try->context->loop;
    struct circuit_news news;

    if (circuit_tell(try->plan.circuit, loop, verdict, try->status == 429, loop_now(loop), &try->pass, &news))
        count_opening(call, &try->plan, &news);
}

static void tell_breaker(struct call *call, enum verdict verdict)
{
    struct try *try = call->try;
    struct loop *loop = try->context->loop;

    if (try->plan.circuit != NULL &&
        (verdict != VERDICT_GOOD || !circuit_count_good(try->plan.circuit, loop, loop_now(loop), &try->pass)))
        tell_breaker_more(call, verdict);
}

static const struct status_set *bad_statuses(const struct try *try)
{
    return try->plan.breaker != NULL ? &try->plan.breaker->statuses : &verdict_bad_statuses;
}

void call_try_answered(struct call *call)
{
    struct try *try = call->try;
    enum verdict verdict = verdict_of_status(try->status, bad_statuses(try));

    PRE(try->has_no_verdict);
    try->judged = true;
    try->judged_bad = verdict == VERDICT_BAD;
    tell_address(try, CAUSE_NONE, verdict);
    tell_breaker(call, verdict);
}

/* Of a tunnel, either side may be the one that is silent. */
static enum cause blamed(const struct try *try, enum cause cause)
{
    return try->fsm.state == TRY_TUNNELING && cause == CAUSE_IDLE_LIMIT ? CAUSE_NONE : cause;
}

static enum verdict judge(const struct call *call, enum cause cause)
{
    const struct try *try = call->try;
    struct try_end end = {.cause = blamed(try, cause),
                          .status = try->status,
                          .api_to_move = api_is_to_move(call),
                          .took_ns = loop_now(call->context->loop) - try->granted_ns,
                          .deadline_ns = call->route->deadline_ns};

    return verdict_of(&end, bad_statuses(try));
}

void call_try_over(struct call *call, enum cause cause)
{
    struct try *try = call->try;
    enum verdict verdict;

    if (try->has_no_verdict) {
        verdict = judge(call, cause);
        metrics_of(call)->tries_ended[verdict]++;
        if (verdict == VERDICT_GOOD && call->config->has_retries)
            retry_tokens_refill(call->config->retry_tokens);
        try->has_no_verdict = false;
        if (!try->judged || (verdict == VERDICT_BAD && !try->judged_bad)) {
            tell_address(try, cause, verdict);
            tell_breaker(call, verdict);
        }
    } else if (try->pass.place != 0) {
        tell_breaker(call, VERDICT_NEUTRAL);
    }
    POST(try->pass.place == 0);
}
