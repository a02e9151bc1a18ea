#ifndef CURFEW_CORE_RETRY_H
#define CURFEW_CORE_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "core/cause.h"
#include "core/phase.h"

/*
 * Whether a call tries once more after a try has come to nothing. Asked in one place, when a try is over; pure.
 *
 * There is one rule today: a kept connection may have been closed by the upstream while the request was on its way
 * (RFC 9112 9.3.1). If so, the request has most likely not been looked at, and if it is one that may be sent twice
 * (RFC 9110 9.2.2), it is: once, for the second connection is a new one, or was alive a moment ago. The other rule:
 * what an upstream says it has not processed goes again, whatever it is, once.
 */

/* How a try has ended: what call/try reports to its call. */
struct try_result {
    enum cause cause;
    const char *detail; /* for people, NULL: none */
    struct span odd;    /* of the upstream's bytes, what is at fault; empty: nothing is */
    uint16_t status;    /* of the final response, 0: none has come */
    enum sent sent;     /* what the upstream can have seen of the request in this try */
    bool closed;   /* the upstream has closed or reset the connection, in whatever way, before a response */
    bool reused;   /* the connection had served others before */
    bool answered; /* a byte has come back on it */
    bool refused;  /* the upstream says that it has not processed the request (RFC 9113 8.7) */
};

/* What of the call bears on it. */
struct retry_facts {
    /* Sending the request twice does no more than sending it once, and all of it is still there. */
    bool repeatable;
    bool whole;    /* all that was sent of the request is still here, whatever it means to send it twice */
    uint8_t tries; /* so far, the one that has just ended included */
};

enum retry {
    RETRY_GIVE_UP,
    RETRY_AT_ONCE, /* on a new connection, with the same permit */
};

enum retry retry_decide(const struct retry_facts *facts, const struct try_result *result)
    __attribute__((warn_unused_result));

#endif
