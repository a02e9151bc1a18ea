#include "core/cause.h"

#include <stddef.h>

#include "base/invariant.h"

static const struct {
    const char *reason;
    enum outcome outcome;
    uint16_t status;
    const char *error;
    const char *title;
} causes[CAUSE_COUNT] = {
#define CAUSE(id, reason, outcome, status, error, title)                                                     \
    [CAUSE_##id] = {(reason), OUTCOME_##outcome, (status), (error), (title)},
#include "core/causes.def"
#undef CAUSE
};

static const char *const outcome_names[OUTCOME_COUNT] = {
    [OUTCOME_COMPLETED] = "completed", [OUTCOME_STUCK] = "stuck",         [OUTCOME_FAILED] = "failed",
    [OUTCOME_REJECTED] = "rejected",   [OUTCOME_ABANDONED] = "abandoned", [OUTCOME_NOT_A_CALL] = "not_a_call",
};

static const char *const sent_names[] = {
    [SENT_NONE] = "none", [SENT_PARTIAL] = "partial", [SENT_COMPLETE] = "complete"};

const char *outcome_name(enum outcome outcome)
{
    PRE(outcome < OUTCOME_COUNT);
    return outcome_names[outcome];
}

const char *sent_name(enum sent sent)
{
    PRE(sent <= SENT_COMPLETE);
    return sent_names[sent];
}

const char *cause_reason(enum cause cause)
{
    PRE(cause < CAUSE_COUNT);
    return causes[cause].reason;
}

enum outcome cause_outcome(enum cause cause)
{
    return causes[cause].outcome;
}

uint16_t cause_status(enum cause cause)
{
    return causes[cause].status;
}

const char *cause_title(enum cause cause)
{
    return causes[cause].title;
}

bool cause_invites_retry(enum cause cause, enum sent sent)
{
    return causes[cause].status == 503 && sent == SENT_NONE;
}

bool cause_is_shutdown(enum cause cause)
{
    return cause == CAUSE_DRAINING || cause == CAUSE_DRAIN_OVER;
}

/* A time limit is named after what did not come in time (RFC 9209 2.3.1, 2.3.4, 2.3.7, 2.3.12). */
static const char *timeout_error(enum phase phase)
{
    switch (phase) {
    case PHASE_QUEUE: return "connection_limit_reached";
    case PHASE_DNS: return "dns_timeout";
    case PHASE_CONNECT:
    case PHASE_TLS: return "connection_timeout";
    default: return "http_response_timeout";
    }
}

const char *cause_proxy_error(enum cause cause, enum phase phase)
{
    if (causes[cause].outcome == OUTCOME_STUCK)
        return timeout_error(phase);
    return causes[cause].error[0] != '\0' ? causes[cause].error : NULL;
}
