#ifndef CURFEW_CORE_CAUSE_H
#define CURFEW_CORE_CAUSE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/phase.h"

/*
 * How a call is counted: one outcome for each. NOT_A_CALL marks causes that refuse a request before it is
 * one.
 */
enum outcome {
    OUTCOME_COMPLETED,
    OUTCOME_STUCK,
    OUTCOME_FAILED,
    OUTCOME_REJECTED,
    OUTCOME_ABANDONED,
    OUTCOME_NOT_A_CALL,
    OUTCOME_COUNT
};

/* Why a call ended, or why a request never became one (core/causes.def). */
enum cause {
#define CAUSE(id, reason, outcome, status, error, title) CAUSE_##id,
#include "core/causes.def"
#undef CAUSE
    CAUSE_COUNT
};

/* How much of the request the upstream can have seen when the call ended. */
enum sent { SENT_NONE, SENT_PARTIAL, SENT_COMPLETE };

const char *outcome_name(enum outcome outcome);
const char *sent_name(enum sent sent);

/* The reason label of a cause, its outcome, status code and title: the columns of core/causes.def. */
const char *cause_reason(enum cause cause);
enum outcome cause_outcome(enum cause cause);
uint16_t cause_status(enum cause cause);
const char *cause_title(enum cause cause);

/*
 * May the answer of a call that ended so say Retry-After? To client libraries, that is "not done, ask again": it is
 * never said of what the upstream can have seen a part of.
 */
bool cause_invites_retry(enum cause cause, enum sent sent);

/* Does it say that curfew shuts down? */
bool cause_is_shutdown(enum cause cause);

/* The Proxy-Status error (RFC 9209 2.3) of a cause that struck in `phase`; NULL where there is none. */
const char *cause_proxy_error(enum cause cause, enum phase phase);

#endif
