#ifndef CURFEW_HTTP_SSE_H
#define CURFEW_HTTP_SSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/*
 * Server-sent events, counted (WHATWG HTML, 9.2.5 and 9.2.6): a machine that reads an event stream byte by byte,
 * however its bytes were split, and says where a block of lines ends and whether it was an event. What keeps a
 * connection warm is none: comments, `retry:`, and events of the types that are ignored, as Anthropic's `event: ping`.
 *
 * Nothing of the text is kept. What stands behind the last empty line is no event, since no client is given it. The
 * stream is read in any encoding: a text that is not UTF-8 has the same lines. Nothing allocates. One thread.
 */

/* Types that can be ignored: one bit each. */
#define SSE_IGNORE_MAX 16

/* How the bytes of an event stream are judged; immutable, and lives as long as the streams that it judges. */
struct sse_terms {
    const struct span *ignore; /* types of events */
    uint32_t ignore_count;     /* at most SSE_IGNORE_MAX */
};

/* What a block of lines was. */
enum sse_block {
    SSE_NONE,    /* it has not ended: more bytes are needed */
    SSE_COMMENT, /* nothing but comments */
    SSE_OTHER,   /* fields, but no event: no data, or of a type that is ignored */
    SSE_EVENT,
};

/* Zero it before a stream, by sse_begin. */
struct sse {
    uint16_t candidates; /* of terms.ignore: those that the type may still be; a bit each */
    uint16_t at;         /* bytes of a byte order mark, a field's name or a type that have been read */
    uint8_t state;
    bool after_cr; /* a LF that follows belongs to the line end before */
    bool has_fields, has_data;
    bool is_ignored;       /* the block's type is */
    bool ignores_messages; /* and so is that of an event that says none */
};

void sse_begin(struct sse *sse, const struct sse_terms *terms);

/* Takes bytes off *rest up to the end of the next block, and says what it was. NONE: *rest is empty. */
enum sse_block sse_next(struct sse *sse, const struct sse_terms *terms, struct span *rest);

/* How many events end in `bytes`. */
uint32_t sse_count(struct sse *sse, const struct sse_terms *terms, struct span bytes);

#endif
