#ifndef CURFEW_CALL_CALL_H
#define CURFEW_CALL_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/invariant.h"
#include "call/call_set.h"
#include "call/context.h"
#include "core/call_fsm.h"
#include "http/forward.h"
#include "http/http1.h"
#include "http/outgoing.h"
#include "call/retries.h"
#include "call/try.h"
#include "core/timer.h"
#include "http/trace.h"
#include "runtime/circuit.h"
#include "runtime/loop.h"

struct call_grpc;
struct call_progress;
struct call_tunnel;
struct downstream;
struct replay;

/*
 * A call: performs what core/call_fsm says. Events come in by the functions below; each records what happened and
 * moves things as far as they go. The only way out is call_end, which gives back all that the state holds, counts,
 * logs, answers, and tells the caller's connection. The memory goes at the end of the loop's turn, so a function that
 * may end the call says so, and its caller does not touch the call afterwards (but for call_is_over).
 *
 * Files, as a call goes: call.c (beginning, moving, time), call_admit.c (from head to a try), call_request.c (the
 * request's head), call_forward.c (what a forward proxy looks at in between), call_try.c (its tries), call_retries.c
 * (whether another one follows), call_hedge.c (two at once), call_record.c (what stays of them), call_content.c (the
 * request's content, as they get it), call_exchange.c (bytes in both directions), call_response.c (heads of responses),
 * call_grpc.c (what a gRPC call is told and tells), call_progress.c and call_hold.c (streams), call_connect.c and
 * call_tunnel.c (tunnels), call_verdict.c (what its try says of the API), call_end.c (the way out), call_log.c (its
 * line). Beside them: call_set.c (a worker's calls, in lists), audit.c (calls, and callers, of which no event tells).
 */
struct call {
    struct call_fsm fsm;
    union {
        struct call_place place;            /* in context.calls */
        struct deferred_free deferred_free; /* of one that is over */
    };
    struct timer timer;
    struct call_context *context;
    struct downstream *downstream;
    struct try *try;   /* the one at hand; not begun before the call is one */
    struct try *rival; /* the other one, while there are two (call/call_hedge); else NULL */
    struct call_terms *terms;
    const struct upstream_config *config; /* of the terms */
    const struct route_config *route;
    uint64_t id;
    struct trace *trace; /* that the upstream is told of; NULL: none, or no memory */

    struct target *target; /* where a forward proxy's caller wants to go; NULL: where the url says */
    struct outgoing request;
    bool vetting : 1;       /* that is looked up, and it is no call yet */
    bool counted : 1;       /* is in started_total: must end in one outcome */
    bool arrives : 1;       /* its request's head, which has just been read, is in the context still */
    bool authenticates : 1; /* its credentials belong to the connection that they are sent on */
    bool answering : 1;     /* the response's head has gone, or is on its way, to the caller */
    bool ends : 1;          /* no other try follows the one that is being cut */
    bool overdue : 1;       /* at the last look, it was past its deadline */
    bool has_retries : 1;   /* its route's: another try may follow the first */
    bool has_fallback : 1;  /* to which it may go: `fallback` is there, or can be made */
    bool keeps : 1; /* for and of its tries: `replay`, `fallback` or `retries` was made, once at least */
    bool begins_trace : 1;          /* `trace` is none of the caller's */
    bool may_repeat : 1;            /* its retries say so, of what the request's head says */
    bool continued : 1;             /* a 100 has gone to the caller, */
    bool interim_went : 1;          /* or another interim response */
    bool content_went : 1;          /* of the request's content, something has gone, and is not kept */
    bool falls_back : 1;            /* its try at hand, and those to come, go to the fallback */
    bool renews : 1;                /* its next try is to be on a new connection */
    enum retry_stop retry_stop : 8; /* why there is no other try, if one was asked for */
    uint8_t bucket;                 /* in a queue that is shared, if it had to wait there */
    uint16_t status;                /* at the end, of what the caller got; 0: nothing */
    struct stream *caller;          /* the downstream's */
    struct call_grpc *grpc;         /* NULL: it is no gRPC call, or there was no memory */
    struct call_progress *progress; /* how the response gets on; NULL: no limit asks */
    struct call_tunnel *tunnel;     /* that it asks for, or is; NULL: none */
    int64_t caller_end_ns;          /* what the caller asks for; NS_NEVER: nothing */
    int64_t per_try_ns;             /* when the try at hand has been silent for too long; NS_NEVER: never */
    struct replay *replay;          /* the request's content, for another try; NULL: none was kept */
    struct outgoing *fallback; /* the request as the fallback's API gets it; NULL: none has been asked for */
    struct call_retries *retries; /* NULL: no try has failed that another one may follow */
    struct try first;             /* so that a call with one try needs no memory for it */
};

/* How a caller's requests become calls: a downstream_begin_fn. */
bool call_begin(struct downstream *downstream, struct stream *caller, int64_t now_ns);

/* The caller has gone. Ends the call. */
void call_caller_gone(struct call *call);

/*
 * The one way out, also of a request that never became a call: moves to the final state of the cause's outcome, gives
 * everything back, counts, answers the caller if no response has begun (or cuts him), logs. Of many connections to
 * upstreams that are cut at once, most go after the answers, and the permits behind them (upstream_cut_with_permit).
 * `detail` (for people, may be NULL) goes into the answer and the log.
 */
void call_end(struct call *call, enum cause cause, const char *detail);
/* The same; `odd` is what of the upstream's bytes is at fault: the log, and nobody else, gets an excerpt of it. */
void call_end_over(struct call *call, enum cause cause, const char *detail, struct span odd);

/*
 * An invariant of ours is broken, in the way that `what` says: counted, complained about, and the call, if it is not
 * over, ended; it gives back all that it has, whatever its state says. No other call is touched. Ends a build with
 * asserts.
 */
void call_break(struct call *call, const char *what);

/*
 * Does the call hold what its state says, and no more, and does its timer watch over it? Between two events, not
 * within one.
 */
bool call_is_sound(const struct call *call) __attribute__((pure));

/* Has a byte of the upstream's final response gone to the caller? */
static inline bool call_has_answered(const struct call *call)
{
    return call->answering && call->caller->answered;
}

/* Does its caller speak HTTP/2, and did the API in its last exchange? */
static inline bool call_comes_by_h2(const struct call *call)
{
    return call->caller->carries_grpc;
}

static inline bool call_goes_by_h2(const struct call *call)
{
    return call->try->h2 != NULL && call->try->exchange == &call->try->h2->stream;
}

static inline bool call_is_over(const struct call *call)
{
    return call_state_is_final(call->fsm.state);
}

/* Within call/call*.c. */

/* The table does not allow this move, which ends the call. */
void call_refuse_move(struct call *call, enum call_state to) __attribute__((cold, noinline));

/* Moves and gives back what the new state does not hold. False: the table does not allow it; the call is over. */
static inline bool call_move(struct call *call, enum call_state to)
{
    struct loop *loop = call->context->loop;
    unsigned holds;

    if (!call_fsm_move(&call->fsm, to, loop_now(loop), &holds)) {
        call_refuse_move(call, to);
        return false;
    }
    if ((holds & HOLD_TIMER) != 0)
        timer_fini(&loop->timers, &call->timer);
    return true;
}

/* stream.ready of the caller's: more of the head may have come; and once that has been read. May end the call. */
void call_head_ready(struct stream *caller);
void call_caller_ready(struct stream *caller);
/* The route's policy is the call's: its deadline, from the first byte on. The timer is not put there yet. */
void call_set_route(struct call *call, const struct route_config *route);
/* Puts the timer to the earlier of deadline and limit. */
void call_set_timer(struct call *call);
/* What its tries tell it. */
extern const struct try_events call_try_events;
/* Of a forward proxy: where the request wants to go. If that can't be read, or without memory, target stays NULL. */
void call_aim(struct call *call, const struct http1_head *head);
/* Its destination is allowed; are its addresses? What it ends by; CAUSE_NONE: it goes on, waits, or has ended. */
enum cause call_vet(struct call *call, const char **detail);
/* It becomes a call, and asks for its permit. What it ends by; CAUSE_NONE: it goes on, or has ended. */
enum cause call_admit(struct call *call);
/* It arrives, and may have to wait for a permit of that route: `bucket` is found, if the queue there is shared. */
void call_find_bucket(struct call *call, const struct route_config *route);
/* Admitted: its try, which is the number-th, begins. May end the call. */
void call_begin_try(struct call *call, uint8_t number);
/* The try at hand has its permit, and goes on by it. May end the call. */
void call_connect_try(struct call *call);
/* An event of a try: bytes may move. May end the call. */
void call_try_ready(struct try *try);
/* What that one is to do, at the fallback's API or its own. */
struct try_plan call_plan_try(struct call *call, bool falls_back, uint8_t number);
/* Of the request of the try at hand something may have gone, by a write of its connection too: that is noted. */
void call_note_sent(struct call *call);
/* Ends its try, whatever that is doing, as `cause` says: it gets its verdict, and its permit may become a ghost's. */
void call_cut_try(struct call *call, enum cause cause);
/* As call_end; the phase is not the one at hand, but where `cause` struck. */
void call_end_in(struct call *call, enum cause cause, enum phase phase, const char *detail);
/* The response of a try that is over is on its way to the caller. NULL: nothing is wrong. */
const struct stream_fault *call_deliver_parked(struct call *call, struct http1_head *head);
/* Refuses, or ends as before, a call that waits for a permit or in its back-off: this curfew shuts down. */
void call_turn_away(struct call *call);
/* The trace can be kept. False: no memory. */
bool call_make_room_for_trace(struct call *call);
/* What is sent on, ready but for its end; for a fallback, the head as it is. NONE, HEAD_TOO_LARGE, or INTERNAL. */
enum cause call_keep_head(struct call *call, const struct http1_head *head, bool begins_trace);
/* The request as the API of the try at hand gets it. */
struct outgoing *call_request_of_try(struct call *call);
/* The request's head, complete, is put in front of what the try's exchange sends next. */
void call_close_head(struct call *call);
/*
 * Asks the breaker that a try with this plan has to pass, which is not closed. False: it is refused, and try->refusal
 * says why. An observed call is never refused; that it would have been is noted.
 */
bool call_ask_breaker(struct call *call, struct try *try, const struct try_plan *plan)
    __attribute__((warn_unused_result));

/* The same, if there is one, which mostly is closed. */
static inline __attribute__((warn_unused_result)) bool call_passes_breaker(struct call *call, struct try *try,
                                                                           const struct try_plan *plan)
{
    PRE(try->pass.place == 0);
    return plan->circuit == NULL || circuit_lets(plan->circuit, &try->pass) ||
           call_ask_breaker(call, try, plan);
}

/* Likewise, when it has its permit at last: the breaker may have opened meanwhile. False: it has failed by that. */
bool call_may_go_on(struct call *call, struct try *try);
/* The breaker has opened while it waits for its permit: it fails by that. */
void call_refuse_waiting(struct call *call, struct try *try, const struct circuit_news *news);
/* The head of the final response has been read. */
void call_try_answered(struct call *call);
/*
 * The exchange is over, as `cause` says: the try, if one is under way, gets its verdict, and what the breaker has given
 * it goes back. Before the call moves on; also of one that never got so far.
 */
void call_try_over(struct call *call, enum cause cause);
/* What stops a call besides the faults of its streams. */
extern const struct stream_fault call_no_memory, call_caller_left;
/* To CONNECT, whose connection is there: 200, and the tunnel opens. NULL: nothing is wrong, or the call is over. */
const struct stream_fault *call_answer_connect(struct call *call);
/* A limit has passed by which a tunnel that is idle may have to end. True: it goes on. */
bool call_tunnel_lives(struct call *call, int64_t now_ns);
/* What the caller has sent first through its tunnel is looked at; NULL: nothing is wrong, and it may be waited for. */
const struct stream_fault *call_await_hello(struct call *call);
/* A response's head is in the buffer, or a part of it. False: more bytes are needed, or there is a *fault. */
bool call_take_response_head(struct call *call, const struct stream_fault **fault);
/* Writes what waits of interim responses before the response has come. NULL: nothing is wrong. */
const struct stream_fault *call_deliver_interim(struct call *call);
/* Moves bytes in both directions as far as they go. May end the call. */
void call_pump(struct call *call);
/* A response that comes from no exchange was handed over, or there was a fault, which the call ends by: the same. */
void call_go_on_after(struct call *call, const struct stream_fault *fault);
/* The response's content begins, and its route has limits that may ask how it gets on. False: no memory. */
bool call_watch_progress(struct call *call, const struct http1_head *head);
void call_free_progress(struct call *call);
/* The response whose head was handed over goes to the caller. If that can't be, the call is over. */
void call_adopt_response(struct call *call);
/* What of the content is there, in which some may be new. */
void call_note_progress(struct call *call, const struct stream_piece *piece);
/* In place of try_set_limit, once it is known whether the caller takes more: by how the response gets on. */
void call_limit_by_progress(struct call *call);
/* ---- its tries after the first one (call_retries.c); most are for calls that have retries ---- */

/* Is all of the request's content still there, to be sent by another try? */
bool call_has_content(const struct call *call);

/*
 * Have tries another API to go to? Who asks first has the request's head for that one written; without memory for it,
 * or room in a head, there is no fallback. Uses the context's text.
 */
bool call_has_fallback(struct call *call);

/* How many tries have had a permit; at least 1. */
static inline uint8_t call_tries_started(const struct call *call)
{
    return call->retries != NULL ? call->retries->started : 1;
}

/* By what it is decided whether there is another try; as call_try_again has it. */
struct retry_case call_retry_case(struct call *call, const struct try_result *result,
                                  const struct http1_head *head);

/*
 * A try has come to nothing without a response (`result`), or its response is one that `when` may list, and its head
 * has been read (`head`); or `per_try` has struck, and it goes on otherwise (both NULL). True: the call is in BACKOFF,
 * or over; the try has ended. False: there is no other try; call->retry_stop says why not.
 */
bool call_try_again(struct call *call, const struct try_result *result, const struct http1_head *head);

/* Its first try would have to wait for the end of a pause that the upstream has asked for, and not at the fallback. */
bool call_is_better_off_there(struct call *call);
/* The first try can't be made, as the upstream is known to be unwell: it goes to the fallback. False: there is none. */
bool call_fall_back(struct call *call);

/* The try at hand is at an address that the next one had better not be at, if there is another. */
void call_shun_address(struct call *call);

/* The wait is over: the next try begins. May end the call. */
void call_begin_again(struct call *call);

/*
 * The call ends with its last failure: the parked response is on its way to the caller, or the call is over, with an
 * answer that tells of it. `stop` is why there is no other try.
 */
void call_end_as_before(struct call *call, enum retry_stop stop);

/* The try at hand has its permit: from now on it may be silent for per_try. */
void call_limit_try(struct call *call, int64_t now_ns);

/* per_try has passed. False: the try goes on. */
bool call_try_is_too_long(struct call *call);

/* per_try has passed: another try begins beside it, if one may. True: the call is over. */
bool call_hedge(struct call *call);
/* The call has two tries: the other one is at hand from now on. */
void call_turn_to_rival(struct call *call);

/* Whose event this is: of two tries, the one of which an event tells is at hand from then on. */
static inline struct call *call_of_event(struct try *try)
{
    struct call *call = try->user;

    if (call->try != try)
        call_turn_to_rival(call);
    return call;
}

/* The try at hand may have got to another phase. Of two tries, a call is where the one that has got further is. */
static inline void call_follow_phase(struct call *call)
{
    enum phase phase = call->try->fsm.phase;

    if (call->rival != NULL && call->rival->fsm.phase != PHASE_COUNT && call->rival->fsm.phase > phase)
        phase = call->rival->fsm.phase;
    if (phase != call->fsm.phase && phase != PHASE_COUNT)
        call_fsm_enter_phase(&call->fsm, phase, loop_now(call->context->loop));
}

/* As call_try_again, of one of two: it has ended, and the other one goes on. Always true. */
bool call_go_on_with_rival(struct call *call, const struct try_result *result, const struct http1_head *head);
/* Does what the second of two tries has been answered leave it to the first one? Then it is cut, and that goes on. */
bool call_leave_it_to_first(struct call *call, uint16_t status);
/* The one at hand is left alone: it has won (NONE), or the call ends by `cause`. */
void call_cut_rival(struct call *call, enum cause cause);
/* The tries of hedges, all over, give back their memory; and hedges theirs. */
void call_fini_hedges(struct call *call);
void call_free_hedges(struct call *call);

/* Room for what stays of tries. False: no memory. */
bool call_make_room(struct call *call) __attribute__((warn_unused_result));
/* The try at hand comes to nothing, as call_try_again has it: it ends, and is recorded. False: the call is over. */
bool call_give_up_try(struct call *call, const struct try_result *result, const struct http1_head *head);
/* The try at hand is over, and: what the answer and the log tell of it, and what the call's figures have of it. */
void call_record_try(struct call *call, enum cause cause, enum try_end_kind end);
void call_add_figures(struct call *call);

/* A try has come to nothing, and no other one follows: the call ends, or its parked response is on its way. */
void call_end_tries(struct call *call, const struct try_result *result);

/* The try at hand is over, as `cause` says: it is recorded, too, if there was one before it. */
void call_record_last(struct call *call, enum cause cause);

/* Has the call completed as it should, after a try that had failed? */
bool call_was_saved(const struct call *call);

/* Where the try at hand takes the request's content from: the caller's stream, or one that keeps what goes. */
struct stream *call_content(struct call *call);
/* After a part of it may have gone. */
void call_note_content(struct call *call);
/* There will be no other try. */
void call_end_of_tries(struct call *call);

/* Gives back what is kept for and of its tries. */
void call_retries_free(struct call *call);

/* It has ended as this cause says, in this phase: that is counted, whether it was a call or none. */
void call_count(struct call *call, enum cause cause, enum phase phase, int64_t now_ns);

/* One line for the access log; `detail` and `odd` as call_end_over has them. */
void call_log(struct call *call, enum cause cause, enum phase phase, int64_t now_ns, const char *detail,
              struct span odd);

#endif
