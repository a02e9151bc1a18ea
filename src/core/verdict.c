#include "core/verdict.h"

#include "base/invariant.h"

#define BIT(code) (UINT64_C(1) << (code - STATUS_SET_MIN) % 64)

const struct status_set verdict_bad_statuses = {
    .bits = {[(502 - STATUS_SET_MIN) / 64] = BIT(502) | BIT(503) | BIT(504)},
};
_Static_assert((502 - STATUS_SET_MIN) / 64 == (504 - STATUS_SET_MIN) / 64, "one word has the three of them");

const char *verdict_name(enum verdict verdict)
{
    static const char *const names[VERDICT_COUNT] = {
        [VERDICT_GOOD] = "good", [VERDICT_BAD] = "bad", [VERDICT_NEUTRAL] = "neutral"};

    PRE(verdict < VERDICT_COUNT);
    return names[verdict];
}

const char *try_kind_name(enum try_kind kind)
{
    static const char *const names[TRY_KIND_COUNT] = {
        [TRY_FIRST] = "first", [TRY_RETRY] = "retry", [TRY_FALLBACK] = "fallback", [TRY_HEDGE] = "hedge"};

    PRE(kind < TRY_KIND_COUNT);
    return names[kind];
}

enum verdict verdict_of_status(uint16_t status, const struct status_set *bad)
{
    PRE(status > 100);
    if (status_set_has(bad, status))
        return VERDICT_BAD;
    return status == 429 ? VERDICT_NEUTRAL : VERDICT_GOOD;
}

static bool has_had_its_time(const struct try_end *end)
{
    return end->api_to_move && end->took_ns >= end->deadline_ns / 2;
}

/* Is how it ended the API's doing? */
static bool blames_api(const struct try_end *end)
{
    switch (cause_outcome(end->cause)) {
    case OUTCOME_FAILED: return end->cause != CAUSE_INTERNAL && end->cause != CAUSE_BROKEN;
    case OUTCOME_STUCK: break;
    default: return false;
    }
    switch (end->cause) {
    case CAUSE_HEAD_LIMIT:
    case CAUSE_OPERATOR:
    case CAUSE_DRAIN_OVER: return false;
    case CAUSE_DEADLINE: return has_had_its_time(end);
    case CAUSE_BEGIN_LIMIT: return end->api_to_move; /* it counts from the first byte of the request */
    default: return true;
    }
}

enum verdict verdict_of(const struct try_end *end, const struct status_set *bad)
{
    PRE(end->cause < CAUSE_COUNT && end->took_ns >= 0);
    if (blames_api(end))
        return VERDICT_BAD;
    return end->status != 0 ? verdict_of_status(end->status, bad) : VERDICT_NEUTRAL;
}
