#ifndef CURFEW_CALL_TRY_H
#define CURFEW_CALL_TRY_H

#include <stdbool.h>
#include <stdint.h>

#include "call/context.h"
#include "call/try_plan.h"
#include "core/breaker.h"
#include "core/retry.h"
#include "core/try_fsm.h"
#include "core/verdict.h"
#include "http/http1.h"
#include "runtime/dns.h"
#include "runtime/pool.h"
#include "wire/h1_exchange.h"
#include "wire/h2_exchange.h"

struct try;
struct upstream;

/*
 * One exchange with an API on behalf of a call: a permit, a connection, a stream on it. core/try_fsm says what it holds
 * when. It knows nothing of the caller and of the call's other tries: it gets what it has to know from its user (the
 * call) in struct try_plan, tells it what happens by struct try_events, and ends in one of two ways: by
 * try_finish when the whole response is here, or by try_cut. It never ends its call.
 *
 * It goes by steps: a permit (try_begin), a connection (try_connect), and then the exchange has begun. What is there at
 * once, the step's result says; for what has to be waited for there is an event. Where it is, `fsm` says.
 *
 * The user moves the bytes: it sends the head and the content on `exchange`, and reads the response from there; what
 * goes wrong there it tells the try by try_fail. Whatever goes wrong comes back as a result by one event, `over`. The
 * try then holds still what it held, and its user says what follows (core/retry decides): try_reconnect, or try_cut.
 *
 * Another try. A call's first try lies in the call. What a second one takes: the first is over by `over`; the user cuts
 * it (its connection and its permit go back: while nothing runs, nothing is held), and begins another struct try by
 * try_init and try_begin, with a plan of its own: another configuration, its pool and its credentials for a fallback,
 * the same ones else. It asks for a permit as a newcomer does. Between the two may lie any time. The first stays as it
 * ended, with what had come of a response, until try_fini. Tries that run at once differ by nothing but their number.
 *
 * Threads: the loop's own. Ownership: memory is the user's, and goes at the end of a turn, since an event may be on its
 * way out of a function of the try; permits and connections are the try's between try_begin and its end.
 * What may call back: whatever can fail, before it returns, by `over`.
 */
struct try_events {
    /* It may have to wait for its permit, at a pool whose queue is shared: in which of its buckets? */
    uint8_t (*bucket)(struct try *try);
    /* The permit that it has waited for is there: time for try_connect, or for try_fail. */
    void (*admitted)(struct try *try);
    /* Its connection, which is being made, has got to another phase (fsm.phase). */
    void (*entered)(struct try *try);
    /* The connection that it has waited for is there: the exchange has begun, it is time to send the head. */
    void (*begun)(struct try *try);
    /* Its connection may be read from or written to again. */
    void (*ready)(struct try *try);
    /* It has come to nothing. What the result points to is valid until this returns. */
    void (*over)(struct try *try, const struct try_result *result);
};

/* The formatter takes the name for a keyword of C++. */
/* clang-format off */
struct try {
    /* clang-format on */
    struct try_fsm fsm;
    const struct try_events *events;
    void *user;
    struct call_context *context;
    struct try_plan plan;
    struct pool_ticket ticket;
    struct upstream *upstream;      /* being made or in use, else NULL */
    struct stream *exchange;        /* before there is a connection, it has not begun */
    struct h1_exchange h1;          /* which it is, */
    struct h2_exchange *h2;         /* or this one; NULL: it has met no connection that speaks HTTP/2 */
    int64_t granted_ns;             /* the permit, 0: it never was; */
    int64_t released_ns;            /* and when it went back, 0: it has not */
    int64_t uploaded_ns;            /* the request was all sent, and the wait for the response began */
    struct breaker_pass pass;       /* with which the breaker has let it in */
    struct breaker_refusal refusal; /* or has not */
    union dns_address peer;         /* the upstream's address; family 0: none was tried */
    uint16_t status;                /* of the final response's head; 0: none has come */
    bool probes : 1;                /* it was let in to see whether the API is well again */
    bool judged : 1;                /* the breaker knows of the head that has come, */
    bool judged_bad : 1;            /* which was a bad one */
    bool has_no_verdict : 1;        /* it is under way, and what it says of the API is still to come */
    bool lingers : 1;               /* its permit is a ghost's now (call/ghost) */
    bool uploaded : 1;              /* this connection has taken the whole request */
    bool reusable : 1;              /* the response allows to keep its connection */
    bool was_refused : 1;           /* not processed, by its last connection */
    bool reconnected : 1;           /* a stale connection has been replaced */
    bool dns_is_stale : 1;          /* its address is the last good one: DNS fails */
};

/* Ready to begin; zeroed memory otherwise. */
static inline void try_init(struct try *try, struct call_context *context, const struct try_events *events,
                            void *user)
{
    try_fsm_begin(&try->fsm);
    try->events = events;
    try->user = user;
    try->context = context;
    h1_exchange_init(&try->h1, context->loop, &context->head);
    try->exchange = &try->h1.stream;
}

enum try_step {
    TRY_IS_THERE, /* what it has asked for */
    TRY_WAITS,    /* it is still to come; until when, fsm.limit_ns says */
    TRY_FAILED,   /* it has come to nothing, which has been told: the call may be over, or at another try */
};

/* Asks for a permit. */
enum try_step try_begin(struct try *try, const struct try_plan *plan) __attribute__((warn_unused_result));

/* The same, if there is a permit for it without waiting. False: there is none, and it has not begun. */
bool try_begin_at_once(struct try *try, const struct try_plan *plan) __attribute__((warn_unused_result));

/* It has its permit, and uses it: gets a connection, on which the exchange begins. */
enum try_step try_connect(struct try *try, int64_t now_ns) __attribute__((warn_unused_result));

/*
 * The same try on a connection that is made for it, after one that was kept too long has been lost, and with it
 * nothing that had come of a response.
 */
enum try_step try_reconnect(struct try *try) __attribute__((warn_unused_result));

/*
 * The next head of the response, as stream_head has it; its status is counted, and a final one's noted. Whether it is
 * the caller's is not said by that: its user may begin another try in its place.
 */
enum stream_result try_head(struct try *try, struct http1_head **head) __attribute__((warn_unused_result));
/* The final response is on its way to the caller. False: that can't be, which has been told. */
bool try_adopt(struct try *try) __attribute__((warn_unused_result));

/* Likewise, and behind it the exchange is a tunnel. */
bool try_open_tunnel(struct try *try) __attribute__((warn_unused_result));

/* The exchange has taken the whole request. */
void try_note_uploaded(struct try *try);

/* It has come to nothing, or has not begun and may not, by what its user has found. Ends in `over`. */
void try_fail(struct try *try, const struct stream_fault *fault);

/*
 * The whole response is here, or the tunnel has ended in order: permit and connection go back. `keeps_caller`: the
 * caller's connection goes on, for which one that authenticates the caller can be kept. False: that can't be, which has
 * been told.
 */
bool try_finish(struct try *try, bool keeps_caller) __attribute__((warn_unused_result));

/*
 * Ends it in whatever it is doing, with all that it holds; no event comes any more. Nothing, if it has not begun or is
 * over. `is_broken`: gives back all that it has, whatever its state says.
 */
void try_cut(struct try *try, bool is_broken);

/* Gives back the memory that it has. It is over, or never began. */
void try_fini(struct try *try);

/* Its permit is held, or has been granted and is still in the mail. */
static inline bool try_has_permit(const struct try *try)
{
    bool in_the_mail = try->fsm.state == TRY_QUEUED && try->ticket.permit.state == PERMIT_HELD;

    return (try_state_holds(try->fsm.state) & HOLD_PERMIT) != 0 || in_the_mail;
}

/* For how long it has held its permit. */
static inline int64_t try_held_ns(const struct try *try, int64_t now_ns)
{
    int64_t released_ns = try->released_ns != 0 ? try->released_ns : now_ns;

    return try->granted_ns != 0 ? released_ns - try->granted_ns : 0;
}

#endif
