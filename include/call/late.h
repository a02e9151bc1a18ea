#ifndef CURFEW_CALL_LATE_H
#define CURFEW_CALL_LATE_H

#include <stdbool.h>
#include <stdint.h>

#include "http/trace.h"
#include "runtime/mailbox.h"
#include "stats/stuck_calls.h"
#include "wire/h1_exchange.h"
#include "wire/h2_exchange.h"

struct call;
struct call_context;
struct try;
struct late;
struct route_config;
struct upstream;
struct upstream_config;

/*
 * What becomes of a call that was cut (upstream.late): its connection lives on for as long as its ghost does, and the
 * response is read and thrown away, 64 KiB at most. What has come of it is written down: in a second line of the access
 * log, in curfew_calls_late_total, and for GET /stuck. Nobody gets it. The connection serves no other call.
 *
 * Worker's thread. The ghost holds the generation of the call, which `config` and `route` are of.
 */
struct late {
    struct call_context *context;
    struct upstream *upstream; /* NULL: it is over */
    struct stream *exchange;   /* one of these two */
    struct h1_exchange h1;
    struct h2_exchange *h2; /* NULL: it is the other one */
    struct mail kick;       /* begins to read: what came before may raise no event any more */
    const struct upstream_config *config;
    const struct route_config *route;
    struct trace trace;
    struct late_call result;
    int64_t begun_ns; /* the call, with its first byte */
    uint32_t taken;   /* bytes of the response's content */
    /* It is over before late_end. True: the API has ended the exchange, nothing of the call is left there. */
    void (*over)(struct late *late, bool api_has_ended);
};

/* Can it be done for this try, which has an exchange? Over HTTP/2 the whole request must have gone. */
bool late_can_begin(const struct try *try) __attribute__((pure));

/*
 * Takes over the connection of a try that is about to be cut, with what has come of the response; the try has none
 * then. `over` is set. Nothing is called back before this returns.
 */
void late_begin(struct late *late, const struct call *call, struct try *try);

/* Its line for the access log, of which there is one (call/call_log.c). */
void call_log_late(const struct late *late);

/* If it is not over yet, it is now, with what is known. `over` is not called. */
void late_end(struct late *late);

#endif
