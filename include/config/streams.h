#ifndef CURFEW_CONFIG_STREAMS_H
#define CURFEW_CONFIG_STREAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "config/place.h"
#include "http/sse.h"

/*
 * Responses that are streams, by their media type: they have an end of their own, and events count as their progress,
 * not bytes.
 */
struct streams_config {
    const struct span *types; /* "text/event-stream"; at least one, without parameters */
    uint32_t type_count;
    struct sse_terms events;
    int64_t deadline_ns; /* from the first byte of the request; none of these is NS_NEVER */
    int64_t first_event_ns;
    int64_t idle_ns;
    bool commits_by_event;  /* the head goes to the caller with the first event, not before */
    const struct place *at; /* where the map stands; NULL: nowhere alone, parts of it do */
    const struct place *deadline_at, *first_event_at, *idle_at;
};

/* Are responses of this media type (a Content-Type field's value, RFC 9110 8.3) streams? */
bool streams_take(const struct streams_config *streams, struct span content_type) __attribute__((pure));

#endif
