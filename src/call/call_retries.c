/* A call's tries after its first one: whether there is one, the wait, and what stays of those before it. */
#include <string.h>
#include <time.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "call/call.h"
#include "call/call_progress.h"
#include "call/context.h"
#include "call/call_hedge.h"
#include "call/replay.h"
#include "call/upstream.h"
#include "core/budget.h"
#include "http/retry_after.h"
#include "runtime/circuit.h"

/* So many completed calls of a route have to be known before their median says what a try needs. */
#define CALLS_KNOWN 100u

/* ---- what the decision goes by -------------------------------------------------------------------------- */

static const struct http1_field *find_field(const struct http1_head *head, struct span name)
{
    for (uint32_t i = 0; i < head->field_count; i++)
        if (span_eq_nocase(head->fields[i].name, name))
            return &head->fields[i];
    return NULL;
}

/* The API knows better whether another try makes sense. */
static bool tells_off(const struct http1_head *head)
{
    static const char *const names[] = {"X-Should-Retry", "Stripe-Should-Retry"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct http1_field *field = find_field(head, span_of(names[i]));

        if (field != NULL && span_eq_nocase(field->value, SPAN_LIT("false")))
            return true;
    }
    return false;
}

/* Below 0: it does not ask for a wait, or in a way that can't be read. */
static int64_t asked_ns(const struct http1_head *head)
{
    struct timespec now;
    int64_t wait_ns;

    clock_gettime(CLOCK_REALTIME, &now);
    if (retry_after_read(head, (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec, &wait_ns) != RETRY_AFTER_READ)
        return -1;
    return wait_ns;
}

/* How long the half of the route's calls took at most, as this worker knows them; below 0: they are too few. */
static int64_t median_ns(const struct call *call)
{
    const struct duration_histogram *histogram = call->context->metrics->histograms[call->route->index];
    uint64_t calls = 0, seen = 0;

    if (histogram == NULL)
        return -1;
    for (uint32_t i = 0; i < DURATION_HISTOGRAM_BUCKETS; i++)
        calls += histogram->completed[i].calls;
    if (calls < CALLS_KNOWN)
        return -1;
    for (uint32_t i = 0; i < DURATION_HISTOGRAM_BUCKETS; i++) {
        seen += histogram->completed[i].calls;
        if (seen * 2 >= calls)
            return duration_histogram_bound_ns(i);
    }
    return -1;
}

/* Without the kernel's randomness, the clock's: it is to spread calls, not to be secret. */
static uint64_t random_word(struct call *call)
{
    uint64_t word;

    if (entropy_take(&call->context->entropy, &word, 1))
        return word;
    return (uint64_t)loop_clock_ns() * UINT64_C(0x9e3779b97f4a7c15) ^ call->id << 32;
}

/* Of whom would be tried, and with no place for a probe. */
static bool is_breaker_open(struct call *call)
{
    const struct upstream_config *fallback = call->route->retries.fallback;
    const struct route_config *route = call_has_fallback(call) ? &fallback->default_route : call->route;
    struct circuit *circuit = route->breaker != NULL ? call->context->circuits[route->circuit] : NULL;

    return circuit != NULL && !circuit_would_let(circuit, loop_now(call->context->loop));
}

/* To another protocol, though nobody has asked, or not for that one. */
static bool has_switched(const struct try *try)
{
    struct stream_start start;

    return try->status == 0 && stream_read_start(try->exchange, &start) && start.code == 101;
}

/*
 * What a retry is decided by: a head that was cut, or a stream of HTTP/2 that was reset before it, is no response; nor
 * is a stream that was held back and breaks off: it has told the caller nothing. A switch of protocols is no junk that
 * comes by chance: it is of no kind.
 */
static enum cause retry_cause(const struct call *call, const struct try_result *result)
{
    bool has_begun = call->try->status != 0 && !call_holds(call);

    if (result->cause == CAUSE_HTTP_PROTOCOL && has_switched(call->try))
        return CAUSE_NONE;
    return result->cause == CAUSE_INCOMPLETE && !has_begun ? CAUSE_TERMINATED : result->cause;
}

struct retry_case call_retry_case(struct call *call, const struct try_result *result,
                                  const struct http1_head *head)
{
    const struct retries_config *retries = &call->route->retries;
    int64_t left_ns = call->fsm.deadline_ns - loop_now(call->context->loop);
    bool has_struck = result == NULL && head == NULL;

    call_note_sent(call);
    return (struct retry_case){
        .cause = result != NULL ? retry_cause(call, result) : CAUSE_NONE,
        .status = head != NULL ? head->code : 0,
        .struck = has_struck,
        .beside = has_struck && retries->hedges,
        .sent = call->try->fsm.sent,
        .delivered = call->answering || call->interim_went || (call_holds(call) && call->caller->committed),
        .draining = call->context->draining,
        .told = head != NULL && tells_off(head),
        .repeatable = call->may_repeat,
        .has_content = call_has_content(call),
        .tries = call_tries_started(call),
        .asked_ns = head != NULL ? asked_ns(head) : -1,
        .left_ns = left_ns > 0 ? left_ns : 0,
        .need_ns = retry_need_ns(retries->per_try_ns, median_ns(call), call_fsm_budget_ns(&call->fsm)),
        .random = random_word(call),
        .breaker_open = is_breaker_open(call),
        .tokens = call->config->retry_tokens,
    };
}

/* ---- the next try --------------------------------------------------------------------------------------- */

static void wait(struct call *call, int64_t wait_ns)
{
    int64_t now_ns = loop_now(call->context->loop);

    if (!call_move(call, CALL_BACKOFF))
        return;
    call_fsm_set_limit(&call->fsm, now_ns + wait_ns, CAUSE_NONE);
    call_set_timer(call);
}

/*
 * What a lost connection, or silence, says of the others at its address is nothing good: the next try is on a new one,
 * if there is another address.
 */
static bool is_to_renew(const struct call *call, const struct try_result *result,
                        const struct http1_head *head)
{
    const struct upstream *upstream = call->try->upstream;
    bool has_others = upstream != NULL && upstream->addresses > 1 && !call->authenticates;

    return call->try->exchange->lost || (result != NULL && result->closed) || (head == NULL && has_others);
}

void call_shun_address(struct call *call)
{
    const struct try *try = call->try;
    bool is_same_api = !call_has_fallback(call) || call->falls_back;

    call->retries->shunned = (union dns_address){.any.sa_family = AF_UNSPEC};
    if (is_same_api && try->upstream != NULL && upstream_is_made(try->upstream))
        call->retries->shunned = *upstream_peer(try->upstream);
    else if (is_same_api)
        call->retries->shunned = try->peer;
}

bool call_try_again(struct call *call, const struct try_result *result, const struct http1_head *head)
{
    const struct retries_config *config = &call->route->retries;
    struct retry_case facts;
    struct retry_answer answer;

    if (!call->has_retries || call->try->granted_ns == 0)
        return false;
    if (call->rival != NULL)
        return call_go_on_with_rival(call, result, head);
    if (result != NULL)
        call_try_over(call, result->cause); /* which may open the breaker */
    facts = call_retry_case(call, result, head);
    if (facts.tries < config->policy.attempts && !call_make_room(call))
        return false;
    answer = retry_ask(&config->policy, &facts);
    if (answer.stop != RETRY_GOES_ON) {
        if (!facts.struck && call->retry_stop == RETRY_GOES_ON) /* what is only late may still end well */
            call->retry_stop = answer.stop;
        return false;
    }
    call->per_try_ns = NS_NEVER;
    call->renews = is_to_renew(call, result, head);
    if (call_holds(call))
        call_forget_response(call);
    if (call_give_up_try(call, result, head))
        wait(call, answer.wait_ns);
    return true;
}

/* The calls of a pool are found by its list: a try of another pool takes the call along. */
static void go_to_fallback(struct call *call)
{
    if (!call_has_fallback(call) || call->falls_back)
        return;
    call->falls_back = true;
    call_list_push(&call->context->calls.by_pool[call->route->retries.fallback->default_route.pool],
                   &call->place);
}

/* 0: no pause is on. */
static int64_t paused_until_ns(const struct call *call, const struct route_config *route)
{
    const struct pool_config *waits = route->waits;

    return waits != NULL && waits->pause.max_ns != 0 ? pool_paused_until_ns(call->context->pools[route->pool])
                                                     : 0;
}

/* Of two pauses the one that ends sooner is the better one. An observed call waits for none. */
bool call_is_better_off_there(struct call *call)
{
    int64_t here_ns, there_ns;

    if (call->falls_back || call->retries != NULL || call->fsm.policy_ns != NS_NEVER)
        return false;
    here_ns = paused_until_ns(call, call->route);
    if (here_ns == 0 || !call_has_fallback(call))
        return false;
    there_ns = paused_until_ns(call, &call->route->retries.fallback->default_route);
    return there_ns < here_ns;
}

bool call_fall_back(struct call *call)
{
    if (!call_has_fallback(call) || call->falls_back || retries_had_one(call->retries) ||
        !call_make_room(call))
        return false;
    call_cut_try(call, CAUSE_BREAKER_OPEN);
    go_to_fallback(call);
    call->try = &call->retries->other;
    call_begin_try(call, 1);
    return true;
}

void call_begin_again(struct call *call)
{
    struct call_retries *retries = call->retries;
    struct try *next = retries->parked == &call->first ? &retries->other : &call->first;

    PRE(call->fsm.state == CALL_BACKOFF && retries->count != 0);
    if (retries->parked == NULL)
        next = call->try == &call->first ? &retries->other : &call->first;
    go_to_fallback(call);
    call_shun_address(call);
    try_fini(next);
    memset(next, 0, sizeof(*next));
    try_init(next, call->context, &call_try_events, call);
    call->try = next;
    if (call->replay != NULL)
        replay_rewind(call->replay);
    retries->again_ns = loop_now(call->context->loop);
    if (call_move(call, CALL_TRYING))
        call_begin_try(call, (uint8_t)(retries->started + 1));
    POST(call_is_over(call) || call_is_sound(call));
}

/* ---- how it ends ---------------------------------------------------------------------------------------- */

static void deliver_parked(struct call *call)
{
    struct call_retries *retries = call->retries;

    call_cut_try(call, CAUSE_NONE);
    call->try = retries->parked;
    retries->parked = NULL;
    call_go_on_after(call, call_deliver_parked(call, retries->parked_head));
}

void call_end_as_before(struct call *call, enum retry_stop stop)
{
    struct call_retries *retries = call->retries;
    enum cause cause = retries->cause;

    PRE(retries_had_one(retries));
    call->retry_stop = stop;
    if (retries->parked != NULL) {
        deliver_parked(call);
        return;
    }
    /* A response that was not kept is one that ended early. */
    if (cause == CAUSE_NONE)
        cause = CAUSE_INCOMPLETE;
    call_end_in(call, cause, retries->phase, retries->detail[0] != '\0' ? retries->detail : NULL);
}

/* Why a retry was not let in. */
static enum retry_stop newcomer_stop(const struct call *call, enum cause cause)
{
    if (cause == CAUSE_BREAKER_OPEN)
        return RETRY_STOP_BREAKER;
    return call->context->draining ? RETRY_STOP_DRAINING : RETRY_STOP_QUEUE;
}

void call_end_tries(struct call *call, const struct try_result *result)
{
    struct call_retries *retries = call->retries;
    bool is_a_failure = retry_kind_of(retry_cause(call, result)) != RETRY_KIND_COUNT;

    if (retries_had_one(retries) && call->try->granted_ns == 0) {
        call_end_as_before(call, newcomer_stop(call, result->cause));
    } else if (retries_had_one(retries) && retries->parked != NULL && is_a_failure && !call->answering) {
        call_cut_try(call, result->cause);
        call_record_last(call, result->cause);
        call_end_as_before(call, call->retry_stop);
    } else {
        call_end_over(call, result->cause, result->detail, result->odd);
    }
}

/* ---- the try at hand ------------------------------------------------------------------------------------ */

void call_limit_try(struct call *call, int64_t now_ns)
{
    const struct retries_config *config = &call->route->retries;
    uint8_t tries = call->try->plan.number;

    PRE(tries == 1 ? call_tries_started(call) == 1 : call->retries != NULL);
    if (tries > 1)
        call->retries->started = tries;
    if (tries < config->policy.attempts)
        call->per_try_ns = budget_end(now_ns, config->per_try_ns);
}

bool call_try_is_too_long(struct call *call)
{
    bool has_begun = call->try->exchange->begun || call->fsm.state != CALL_TRYING;

    call->per_try_ns = NS_NEVER;
    if (has_begun || call->rival != NULL)
        return false;
    if (call->fsm.policy_ns == NS_NEVER)
        return call->route->retries.hedges ? call_hedge(call) : call_try_again(call, NULL, NULL);
    call_fsm_spare(&call->fsm, CAUSE_FIRST_BYTE_LIMIT, loop_now(call->context->loop));
    return false;
}

void call_end_of_tries(struct call *call)
{
    call->per_try_ns = NS_NEVER;
    if (call->keeps && call->replay != NULL)
        replay_drop(call->replay);
}

void call_retries_free(struct call *call)
{
    if (call->replay != NULL)
        replay_free(call->replay);
    if (call->fallback != NULL) {
        outgoing_fini(call->fallback, &call->context->loop->slab);
        mem_free(call->fallback);
    }
    if (call->retries != NULL) {
        mem_free(call->retries->parked_head);
        call_free_hedges(call);
        mem_free(call->retries);
    }
}
