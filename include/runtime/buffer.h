#ifndef CURFEW_RUNTIME_BUFFER_H
#define CURFEW_RUNTIME_BUFFER_H

#include <stdint.h>

#include "base/invariant.h"
#include "base/span.h"
#include "base/status.h"

/*
 * Bytes read and not yet used: data[start..end) are waiting, data[end..cap) is free. A buffer holds a block only while
 * bytes are in it; blocks of the two sizes come from stacks that are kept warm, one loop's each.
 */
struct buffer {
    char *data; /* NULL: no block */
    uint32_t cap, start, end;
};

/* The usual block, and one for content that comes in bulk: fewer system calls for the same bytes. */
#define BUFFER_SIZE  16384u
#define BUFFER_LARGE 65536u

enum buffer_kind { BUFFER_KIND_USUAL, BUFFER_KIND_LARGE, BUFFER_KINDS };

/* Blocks that wait to be used again, in a stack for each size. Zero: none. One thread. */
struct buffer_spares {
    struct buffer_stack {
        struct buffer_block *first;
        uint32_t count;
    } of[BUFFER_KINDS];
};

/* Makes sure that there is a block. */
enum status buffer_open(struct buffer_spares *spares, struct buffer *buffer) MUST_CHECK;
/* Likewise, and a large one if no byte is waiting in a usual one. */
enum status buffer_open_large(struct buffer_spares *spares, struct buffer *buffer) MUST_CHECK;
/* Gives the block back, with whatever is in it. */
void buffer_close(struct buffer_spares *spares, struct buffer *buffer);
/* Gives the block back if no byte is in it. */
void buffer_close_if_empty(struct buffer_spares *spares, struct buffer *buffer);

/*
 * Makes room behind `end`: moves the bytes to the front, or, when they fill the block, moves them to one twice as
 * large, up to `max` bytes. ST_LIMIT when max bytes are waiting already.
 */
enum status buffer_make_room(struct buffer_spares *spares, struct buffer *buffer, uint32_t max) MUST_CHECK;

/*
 * The same for so many bytes more, and opens the buffer if need be: for bytes that come from elsewhere than a socket.
 * ST_LIMIT when more than `max` would be waiting; nothing has changed.
 */
enum status buffer_reserve(struct buffer_spares *spares, struct buffer *buffer, size_t len,
                           uint32_t max) MUST_CHECK;

static inline struct span buffer_span(const struct buffer *buffer)
{
    return (struct span){buffer->data + buffer->start, buffer->end - buffer->start};
}

static inline uint32_t buffer_len(const struct buffer *buffer)
{
    return buffer->end - buffer->start;
}

static inline void buffer_consume(struct buffer *buffer, size_t len)
{
    PRE(len <= buffer_len(buffer));
    buffer->start += (uint32_t)len;
}

/* Frees the blocks that wait. */
void buffer_drop_spares(struct buffer_spares *spares);

#endif
