#ifndef CURFEW_PROXY_FLOW_H
#define CURFEW_PROXY_FLOW_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/span.h"
#include "base/status.h"
#include "http/forward.h"
#include "http/http1.h"
#include "runtime/buffer.h"
#include "runtime/transport.h"

/*
 * One direction of a call: a message on its way from the buffer into which its source is read to the transport of its
 * sink. Content is decoded from the source's framing and put into the sink's; it is written straight out of the
 * source's buffer, in which small chunks are moved together first; nothing else is copied, and nothing more is read
 * while the sink is full (back-pressure).
 *
 *   source buffer:  | data: decoded, not yet written | skip: framing behind it | not yet decoded … |
 *   to the sink:    head, then again and again: frame (a chunk's size), data, CRLF; at last tail (last chunk, trailers)
 */
struct flow {
    struct span head;                  /* written first; its bytes are the call's */
    const struct forward_rules *rules; /* of a request: what is not sent on; else NULL */
    struct http1_content content;
    enum http1_framing framing; /* towards the sink */
    bool open;                  /* content may flow: the head is complete */
    bool decoded_all;           /* the source's message has been decoded to its end */
    uint8_t frame_at, frame_len;
    uint8_t crlf_left; /* of the CRLF that ends the chunk */
    char frame[18];    /* up to 16 digits, CRLF */
    uint32_t data, skip;
    uint32_t tail_at, tail_len;
    char *tail;
    uint64_t content_bytes; /* taken from the source */
};

enum flow_result {
    FLOW_STARVED, /* all is written: more must be read from the source */
    FLOW_BLOCKED, /* the sink takes no more now */
    FLOW_DONE,    /* the message has been written to its end */
    FLOW_BROKEN,  /* the source breaks its framing */
    FLOW_REFUSED, /* the sink is gone */
    FLOW_NOMEM,
};

void flow_init(struct flow *flow);
void flow_fini(struct flow *flow);

/* Content begins, a response's or a request's: how the source delimits it, and how the sink is to see it. */
void flow_open(struct flow *flow, bool is_response, enum http1_framing from, uint64_t length,
               enum http1_framing to);

/*
 * What was written is to be written once more to another sink, after a new head: for a message that has no content and
 * is decoded to its end.
 */
void flow_rewind(struct flow *flow);

/*
 * Moves what can be moved. `progress` is set if the sink took a byte. As long as some of the head has not been written,
 * all of `source` is looked at first: content that is broken already is FLOW_BROKEN before the sink gets its beginning.
 */
enum flow_result flow_pump(struct flow *flow, struct buffer *source, struct transport *sink, bool *progress);

/* After FLOW_BROKEN, or when it has no room for more of a piece: the bytes of `source` from the piece at fault on. */
struct span flow_fault(const struct flow *flow, const struct buffer *source);

/* The source has closed: FLOW_DONE if that is the end of the message, FLOW_BROKEN if it came early; FLOW_NOMEM. */
enum flow_result flow_source_ended(struct flow *flow);

/* Throws away what `source` holds of the message, without a sink. True: it was the whole rest. */
bool flow_discard(struct flow *flow, struct buffer *source);

/* What a source is left with behind its message: if there is either, the connection is not to be used again. */
struct flow_end {
    size_t extra; /* bytes behind the message, which are none of it */
    bool odd;     /* as of http1_content */
};

/* Does `source` hold the message to its very end, so that nothing more is needed of the source? Then *end is known. */
bool flow_source_is_complete(const struct flow *flow, const struct buffer *source, struct flow_end *end);

#endif
