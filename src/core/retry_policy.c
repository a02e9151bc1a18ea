#include "core/retry_policy.h"

#include <stddef.h>

#include "base/invariant.h"
#include "base/number.h"
#include "core/backoff.h"

/* An API that says "too many" and not for how long is left alone for longer than one that failed. */
#define REFUSED_FACTOR 4

const char *retry_stop_word(enum retry_stop stop)
{
    static const char *const words[RETRY_STOP_COUNT] = {
#define RETRY_STOP(id, word) [RETRY_STOP_##id] = (word),
#include "core/retry_stops.def"
#undef RETRY_STOP
    };

    PRE(stop < RETRY_STOP_COUNT);
    return words[stop];
}

static const char *const kind_words[RETRY_KIND_COUNT] = {
#define RETRY_KIND(id, word) [RETRY_KIND_##id] = (word),
#include "core/retry_kinds.def"
};

const char *retry_kind_word(enum retry_kind kind)
{
    PRE(kind < RETRY_KIND_COUNT);
    return kind_words[kind];
}

enum retry_kind retry_kind_of(enum cause cause)
{
    static const uint8_t kinds_from_one[CAUSE_COUNT] = {
#define RETRY_CAUSE(cause, kind) [CAUSE_##cause] = RETRY_KIND_##kind + 1,
#include "core/retry_kinds.def"
    };

    PRE(cause < CAUSE_COUNT);
    return kinds_from_one[cause] != 0 ? (enum retry_kind)(kinds_from_one[cause] - 1) : RETRY_KIND_COUNT;
}

/* ---- what `when` lists --------------------------------------------------------------------------------- */

bool retry_when_add(struct retry_when *when, struct span word)
{
    uint64_t status;

    for (enum retry_kind kind = 0; kind < RETRY_KIND_COUNT; kind++) {
        if (!span_eq(word, span_of(kind_words[kind])))
            continue;
        when->kinds |= 1u << kind;
        return true;
    }
    if (number_u64(word, &status) != NUMBER_OK || status < RETRY_STATUS_FIRST || status > RETRY_STATUS_LAST)
        return false;
    when->statuses[(status - RETRY_STATUS_FIRST) / 64] |= UINT64_C(1) << (status - RETRY_STATUS_FIRST) % 64;
    return true;
}

bool retry_when_has_status(const struct retry_when *when, uint16_t status)
{
    unsigned bit = status - RETRY_STATUS_FIRST;

    if (status < RETRY_STATUS_FIRST || status > RETRY_STATUS_LAST)
        return false;
    return (when->statuses[bit / 64] & UINT64_C(1) << bit % 64) != 0;
}

/* ---- the questions ------------------------------------------------------------------------------------- */

/* What one question looks at. */
struct inquiry {
    const struct retry_policy *policy;
    const struct retry_case *facts;
    int64_t wait_ns;
};

/* A response that is as it should be ends no try badly, whatever has gone to the caller before it. */
static bool has_failed(const struct inquiry *q)
{
    return q->facts->status == 0 || retry_when_has_status(&q->policy->when, q->facts->status);
}

static bool nothing_is_delivered(const struct inquiry *q)
{
    return !q->facts->delivered;
}

static bool caller_is_there(const struct inquiry *q)
{
    return q->facts->cause != CAUSE_CALLER_GONE;
}

static bool stays_in_service(const struct inquiry *q)
{
    return !q->facts->draining && !cause_is_shutdown(q->facts->cause);
}

/* An operator's cut, the deadline, and what is curfew's own fault are of no kind. */
static bool is_listed(const struct inquiry *q)
{
    enum retry_kind kind = retry_kind_of(q->facts->cause);

    if (q->facts->struck || q->facts->status != 0)
        return true;
    return kind != RETRY_KIND_COUNT && retry_when_has_kind(&q->policy->when, kind);
}

static bool is_not_told_off(const struct inquiry *q)
{
    return !q->facts->told;
}

/* Does the answer say that the request was not taken? */
static bool says_not_taken(const struct retry_case *facts)
{
    return facts->status == 429 || facts->status == 425 || (facts->status == 503 && facts->asked_ns >= 0);
}

/* Beside one that goes on, that nothing has been sent says nothing: it may be yet. */
static bool is_safe(const struct inquiry *q)
{
    bool is_unsent = q->facts->sent == SENT_NONE && !q->facts->beside;

    return is_unsent || q->facts->repeatable || (q->policy->refused && says_not_taken(q->facts));
}

static bool content_is_there(const struct inquiry *q)
{
    return q->facts->has_content;
}

static bool attempts_are_left(const struct inquiry *q)
{
    return q->facts->tries < q->policy->attempts;
}

static bool wait_is_allowed(const struct inquiry *q)
{
    return q->facts->asked_ns <= q->policy->retry_after_ns;
}

static bool there_is_time(const struct inquiry *q)
{
    int64_t end_ns;

    return !__builtin_add_overflow(q->wait_ns, q->facts->need_ns, &end_ns) && end_ns <= q->facts->left_ns;
}

static bool breaker_lets_it(const struct inquiry *q)
{
    return !q->facts->breaker_open;
}

static bool takes_token(const struct inquiry *q)
{
    return q->facts->tokens == NULL || retry_tokens_take(q->facts->tokens);
}

static const struct {
    bool (*is_yes)(const struct inquiry *q);
    enum retry_stop otherwise;
} questions[] = {
    {has_failed, RETRY_NOT_MEANT},
    {nothing_is_delivered, RETRY_STOP_DELIVERED},
    {caller_is_there, RETRY_STOP_GONE},
    {stays_in_service, RETRY_STOP_DRAINING},
    {is_listed, RETRY_NOT_MEANT},
    {is_not_told_off, RETRY_STOP_TOLD},
    {is_safe, RETRY_STOP_UNSAFE},
    {content_is_there, RETRY_STOP_CONTENT},
    {attempts_are_left, RETRY_STOP_ATTEMPTS},
    {wait_is_allowed, RETRY_STOP_WAIT},
    {there_is_time, RETRY_STOP_TIME},
    {breaker_lets_it, RETRY_STOP_BREAKER},
    {takes_token, RETRY_STOP_BUDGET},
};

/* Never less than the API asks for, and not all at once. */
static int64_t draw_wait(const struct retry_policy *policy, const struct retry_case *facts)
{
    int64_t wait_ns, more_ns;

    if (facts->beside)
        return 0;
    if (facts->asked_ns >= 0) {
        more_ns = backoff_within(facts->asked_ns / 10, facts->random);
        return facts->asked_ns > NS_NEVER - more_ns ? NS_NEVER : facts->asked_ns + more_ns;
    }
    wait_ns = backoff_draw(policy->base_ns, policy->max_ns, facts->tries, facts->random);
    return facts->status == 429 || facts->status == 425 ? wait_ns * REFUSED_FACTOR : wait_ns;
}

struct retry_answer retry_ask(const struct retry_policy *policy, const struct retry_case *facts)
{
    const struct inquiry q = {policy, facts, draw_wait(policy, facts)};

    PRE(facts->tries != 0 && facts->left_ns >= 0 && facts->need_ns >= 0);
    PRE(facts->status == 0 || facts->cause == CAUSE_NONE); /* one failure at a time */
    PRE(!facts->beside || facts->struck);
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
        if (!questions[i].is_yes(&q))
            return (struct retry_answer){questions[i].otherwise, 0};
    }
    return (struct retry_answer){RETRY_GOES_ON, q.wait_ns};
}

bool retry_hedge_counts(uint16_t status, bool is_safe)
{
    if (status < 400)
        return true;
    return is_safe && status < 500 && status != 408 && status != 409 && status != 425 && status != 429;
}

int64_t retry_need_ns(int64_t per_try_ns, int64_t median_ns, int64_t budget_ns)
{
    if (per_try_ns != NS_NEVER)
        return per_try_ns;
    return median_ns >= 0 ? median_ns : budget_ns / 10;
}
