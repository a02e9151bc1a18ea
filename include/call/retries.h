#ifndef CURFEW_CALL_RETRIES_H
#define CURFEW_CALL_RETRIES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "base/text.h"
#include "call/try.h"
#include "core/retry_policy.h"
#include "http/outgoing.h"

struct http1_head;

/*
 * A call's tries after its first one: whether there is another (core/retry_policy decides), the wait before it, and
 * what stays of those that have ended.
 *
 *   TRYING --a try fails, or per_try strikes--> BACKOFF --the wait is over--> TRYING ...
 *
 * In BACKOFF the call holds its timer and nothing else: the try before is over, its connection and its permit have gone
 * back, and nothing is read from the caller. The next try asks for a permit as a newcomer does. If it does not get one,
 * the call ends with what the API did last, not with a refusal by a queue: that would tell the caller "not done".
 *
 * The last failure. A response that was given up for a retry is *parked* if all of it had come: it stays in the try
 * whose it is, with its head as it would have been written. If no later try brings a response, the caller gets this
 * one. Of tries without a response cause and detail are kept. There is room for two tries: one that has a parked
 * response, and the one at hand; a hedge, which runs beside another one, has its own (call/call_hedge).
 *
 * All this is made when a call's first try has failed and may be followed by another: a call that succeeds at once has
 * nothing of it.
 */

#define TRIES_MAX 5u

struct call_hedge;

/* By what, besides its cause. */
enum try_end_kind {
    TRY_ENDED,
    TRY_STRUCK, /* per_try gave it up */
    TRY_LOST,   /* the one beside it was the first with a response */
};

/* What the answer and the log tell of one try. */
struct try_record {
    const char *upstream; /* its name */
    union dns_address peer;
    int64_t took_ns; /* from its permit on */
    uint16_t status; /* of its response, 0: none */
    enum cause cause : 8;
    enum sent sent : 8;
    enum try_end_kind end : 8;
    bool is_hedge;
};

struct call_retries {
    struct try other;          /* beside the one that lies in the call */
    struct call_hedge *hedges; /* the latest one; NULL: none */
    struct try_record tries[TRIES_MAX];
    uint8_t count;                  /* of them: tries that have ended, and had a permit */
    uint8_t started;                /* tries that have had a permit: count, and those under way */
    struct try *parked;             /* NULL: none */
    struct http1_head *parked_head; /* a copy */
    union dns_address
        shunned;          /* where the try before has failed, or the one beside is; family 0: any will do */
    enum cause cause;     /* of the last failure without a response; NONE: there was a response */
    enum phase phase;     /* where it struck */
    uint16_t lost_status; /* of a response that was given up, and was not here whole; 0: there was none */
    char detail[128];     /* "": none */
    int64_t began_ns;     /* the first try had its permit, */
    int64_t again_ns;     /* and the one at hand began to ask for one */
    uint64_t received;    /* content of the API's, by the tries that are over */
    int64_t held_ns;      /* permits, by the same */
};

/* Has an earlier try of the call ended? */
static inline bool retries_had_one(const struct call_retries *retries)
{
    return retries != NULL && retries->count != 0;
}

/* The members "tries", if there was more than one, "last_status" and "retry_stopped". */
void retries_put(struct jsonw *json, const struct call_retries *retries, enum retry_stop stop);

/* Field lines of a response after a retry: what that took, if it is `timed`, and that there was one, if it `says`. */
#define RETRIES_LINES_MAX 128
void retries_put_lines(struct text *out, const struct call_retries *retries, bool timed, bool says);

#endif
