#ifndef CURFEW_CORE_VERDICT_H
#define CURFEW_CORE_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/cause.h"
#include "core/status_set.h"

/*
 * What a try says about the API, once it has ended: pure, one verdict for each try. Breakers, the ejection of addresses
 * and metrics go by it.
 *
 *   good     the API has answered, with whatever status, 4xx too, that is not one of the bad ones
 *   bad      it could not be reached, broke off, broke its protocol, let a time limit pass, or has answered with a bad
 *            status
 *   neutral  it is not the API's doing: the caller left or is slow, an operator or a shutdown cut the call, curfew
 *            itself is out of something; and 429, by which an API that is well says that it has had enough of us
 *
 * A status speaks when its head has been read; what goes wrong after a good head is bad all the same. A deadline is
 * bad only if the API was to move, and the try itself had at least half of the route's own: a caller that leaves 5 ms,
 * or a queue that took all but 100 ms, says nothing of the API.
 */
enum verdict { VERDICT_GOOD, VERDICT_BAD, VERDICT_NEUTRAL, VERDICT_COUNT };

/* What a try is to its call. */
enum try_kind {
    TRY_FIRST,
    TRY_RETRY,
    TRY_FALLBACK, /* at another upstream than the call's own */
    TRY_HEDGE,    /* beside one that goes on */
    TRY_KIND_COUNT
};

const char *verdict_name(enum verdict verdict);
const char *try_kind_name(enum try_kind kind);

/* 502, 503 and 504: the bad ones where no breaker names others. */
extern const struct status_set verdict_bad_statuses;

/* Of the status of a final response whose head has been read. */
enum verdict verdict_of_status(uint16_t status, const struct status_set *bad);

struct try_end {
    enum cause cause;    /* CAUSE_NONE: the exchange has come to its end in order */
    uint16_t status;     /* of the final response whose head has been read; 0: none has */
    bool api_to_move;    /* it was the API that was waited for, not the caller */
    int64_t took_ns;     /* since it had its permit */
    int64_t deadline_ns; /* how long the route gives a whole call */
};

enum verdict verdict_of(const struct try_end *end, const struct status_set *bad);

#endif
