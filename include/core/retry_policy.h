#ifndef CURFEW_CORE_RETRY_POLICY_H
#define CURFEW_CORE_RETRY_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "core/cause.h"
#include "core/retry_tokens.h"

/*
 * Whether a call tries once more after a try has failed, or has been silent for its `per_try`. The answer is that of
 * ten questions, asked in one order (src/core/retry_policy.c has them as a table): the first no ends it, and the word
 * for it is the one reason that the call's retry has for not being there. Questions that cost nothing to ask again come
 * first; the token is the last one, so that none is spent on a retry that does not happen, and is taken when all others
 * have said yes. Pure, but for the token.
 */

/* Why not (core/retry_stops.def). */
enum retry_stop {
    RETRY_GOES_ON,   /* there is a retry */
    RETRY_NOT_MEANT, /* and nobody has asked for one: this is counted nowhere */
#define RETRY_STOP(id, word) RETRY_STOP_##id,
#include "core/retry_stops.def"
#undef RETRY_STOP
    RETRY_STOP_COUNT
};

/* NULL of the two that are no reasons. */
const char *retry_stop_word(enum retry_stop stop);

enum retry_kind {
#define RETRY_KIND(id, word) RETRY_KIND_##id,
#include "core/retry_kinds.def"
    RETRY_KIND_COUNT
};

const char *retry_kind_word(enum retry_kind kind);
/* RETRY_KIND_COUNT: of none, which is never retried. */
enum retry_kind retry_kind_of(enum cause cause);

/* What retries.when lists. */
struct retry_when {
    uint32_t kinds;       /* 1 << enum retry_kind */
    uint64_t statuses[4]; /* a bit for each from RETRY_STATUS_FIRST on */
};

#define RETRY_STATUS_FIRST 400
#define RETRY_STATUS_LAST  599

/* "connect", "503". False: it is none of either. */
bool retry_when_add(struct retry_when *when, struct span word) __attribute__((warn_unused_result));
bool retry_when_has_status(const struct retry_when *when, uint16_t status);
static inline bool retry_when_has_kind(const struct retry_when *when, enum retry_kind kind)
{
    return (when->kinds & (1u << kind)) != 0;
}

struct retry_policy {
    struct retry_when when;
    uint8_t attempts;        /* tries in all */
    bool refused;            /* an answer that says "not taken, come again" is believed of any request */
    int64_t base_ns, max_ns; /* of the back-off */
    int64_t retry_after_ns;  /* the longest wait that the API may ask for */
};

/* How a try has ended, and what of the call bears on it. */
struct retry_case {
    enum cause cause;  /* NONE if a response came, or per_try has struck */
    uint16_t status;   /* of the response whose head has come; 0: none has */
    bool struck;       /* per_try has struck: nothing has ended yet, */
    bool beside;       /* and it goes on: the next one begins beside it, and waits for nothing */
    enum sent sent;    /* of this try */
    bool delivered;    /* something of a response has gone to the caller; a 100 is nothing */
    bool draining;     /* this curfew shuts down */
    bool told;         /* the API has said that it is not to be tried again */
    bool repeatable;   /* its method, or a field of the request, says that it may be sent twice */
    bool has_content;  /* all of the request's content is there, to be sent once more */
    bool breaker_open; /* of the one that would be tried */
    uint8_t tries;     /* so far, this one included */
    int64_t asked_ns;  /* to wait, by the API; below 0: it has not asked for anything */
    int64_t left_ns;   /* until the deadline */
    int64_t need_ns;   /* what a try takes */
    uint64_t random;
    struct retry_tokens *tokens; /* NULL: there is no budget, as in `curfew explain` */
};

struct retry_answer {
    enum retry_stop stop;
    int64_t wait_ns; /* before the next try, if it goes on */
};

struct retry_answer retry_ask(const struct retry_policy *policy, const struct retry_case *facts)
    __attribute__((warn_unused_result));

/*
 * Is the status of a try that began beside another one an answer as good as that one's? Not if it is about there being
 * two (409, 425, 429, 503, or the 404 to a second DELETE): then the other one's is waited for. `is_safe`: the request
 * changes nothing (RFC 9110 9.2.1).
 */
bool retry_hedge_counts(uint16_t status, bool is_safe) __attribute__((const));

/*
 * What a try needs of the time that is left: per_try if there is one (NS_NEVER: none), else the median of the route's
 * calls that completed, if enough of them are known (below 0: not), else a tenth of the budget.
 */
int64_t retry_need_ns(int64_t per_try_ns, int64_t median_ns, int64_t budget_ns);

#endif
