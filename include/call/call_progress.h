#ifndef CURFEW_CALL_CALL_PROGRESS_H
#define CURFEW_CALL_CALL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "call/call.h"
#include "config/streams.h"
#include "core/progress.h"

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
    uint64_t seen; /* bytes of content */
};

/* Is its response a stream? */
static inline bool call_is_stream(const struct call *call)
{
    return call->progress != NULL && call->progress->streams != NULL;
}

#endif
