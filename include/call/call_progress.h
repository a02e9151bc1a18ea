#ifndef CURFEW_CALL_CALL_PROGRESS_H
#define CURFEW_CALL_CALL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/streams.h"
#include "core/progress.h"

struct call;

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
bool call_is_stream(const struct call *call) __attribute__((pure));

/* Is its response a stream of which no event has come? */
bool call_lacks_event(const struct call *call) __attribute__((pure));

#endif
