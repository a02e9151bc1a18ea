#ifndef CURFEW_CALL_FLOW_H
#define CURFEW_CALL_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "http/forward_rules.h"
#include "http/h1_reader.h"
#include "http/h1_writer.h"
#include "http/http1.h"
#include "runtime/buffer.h"
#include "runtime/transport.h"

/*
 * One direction of a call: a message on its way from the buffer into which its source is read, where it is decoded, to
 * the transport of its sink, in the sink's framing. Content is written straight out of the source's buffer, and nothing
 * more is read while the sink is full (back-pressure).
 */
struct flow {
    struct h1_reader reader;
    struct h1_writer writer;
    const struct forward_rules *rules; /* of a request: what of its trailers is not sent on; else NULL */
};

enum flow_result {
    FLOW_STARVED, /* all is written: more must be read from the source */
    FLOW_BLOCKED, /* the sink takes no more now */
    FLOW_DONE,    /* the message has been written to its end */
    FLOW_BROKEN,  /* the source breaks its framing */
    FLOW_REFUSED, /* the sink is gone */
    FLOW_NOMEM,
};

void flow_fini(struct flow *flow);

/*
 * Zeroed memory is a flow whose content has not begun. Now it does, a response's or a request's: how the source
 * delimits it, and how the sink sees it.
 */
void flow_open(struct flow *flow, bool is_response, enum http1_framing from, uint64_t length,
               enum http1_framing to);

/*
 * Moves what can be moved. `progress` is set if the sink took a byte. As long as some of the head has not been written,
 * all of `source` is looked at first: content that is broken already is FLOW_BROKEN before the sink gets its beginning.
 */
enum flow_result flow_pump(struct flow *flow, struct buffer *source, struct transport *sink, bool *progress);

/* The source has closed: FLOW_DONE if that is the end of the message, FLOW_BROKEN if it came early; FLOW_NOMEM. */
enum flow_result flow_source_ended(struct flow *flow);

/* Throws away what `source` holds of the message, without a sink. True: it was the whole rest. */
bool flow_discard(struct flow *flow, struct buffer *source);

#endif
