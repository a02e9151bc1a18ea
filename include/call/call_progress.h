#ifndef CURFEW_CALL_CALL_PROGRESS_H
#define CURFEW_CALL_CALL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "call/call.h"
#include "config/streams.h"
#include "core/progress.h"

/* What is held back of a stream until its first event (call/call_hold.c). */
struct held_response {
    bool is_on;  /* the head is handed over and not sent; another response can take its place */
    bool last;   /* nothing follows what is held */
    char *bytes; /* from `at` to `len`: to be sent before anything else */
    uint32_t at, len, cap;
    uint32_t block_at; /* where the block of lines begins that has not ended */
    struct span trailers;
};

/*
 * How a call's response gets on: of calls alone that have a limit which asks, or whose response is a stream. Within
 * call/call*.c.
 */
struct call_progress {
    struct progress progress;
    struct progress_terms terms;
    const struct streams_config *streams; /* of the call's route; NULL: the response is none */
    bool reads_events;                    /* else each read is one */
    struct sse sse;
    uint64_t seen;              /* bytes of content */
    int64_t deadline_before_ns; /* what the call's was before its response was a stream */
    struct held_response hold;
};

/* Is its response a stream? */
static inline bool call_is_stream(const struct call *call)
{
    return call->progress != NULL && call->progress->streams != NULL;
}

/* Is its response held back? Then all of the call's events lead here. */
static inline bool call_holds(const struct call *call)
{
    return call->progress != NULL && call->progress->hold.is_on;
}

/* Is there something to be sent before what the exchange has? */
static inline bool call_has_held(const struct call *call)
{
    return call->progress != NULL && (call->progress->hold.len != 0 || call->progress->hold.last);
}

/* Takes what has come, up to the first event: then the response is adopted. Returns what stops the call. */
const struct stream_fault *call_hold_back(struct call *call) __attribute__((warn_unused_result));

/* As stream_send has it, of what is held. *is_last: the message is out by OK. */
enum stream_result call_send_held(struct call *call, bool *is_last) __attribute__((warn_unused_result));

/* Frees what it has. */
void held_response_fini(struct held_response *hold);

/*
 * The response that is held back is none of the caller's: another one may come in its place. The call has the deadline
 * that it had before.
 */
void call_forget_response(struct call *call);

#endif
