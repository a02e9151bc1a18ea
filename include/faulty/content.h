#ifndef CURFEW_FAULTY_CONTENT_H
#define CURFEW_FAULTY_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "faulty/request.h"

enum faulty_content_state {
    FAULTY_CONTENT_LENGTH, /* content of known length */
    FAULTY_CHUNK_SIZE,
    FAULTY_CHUNK_EXTENSION,
    FAULTY_CHUNK_SIZE_LF,
    FAULTY_CHUNK_DATA,
    FAULTY_CHUNK_DATA_CR,
    FAULTY_CHUNK_DATA_LF,
    FAULTY_TRAILER_START,
    FAULTY_TRAILER_LINE,
    FAULTY_TRAILER_LF,
    FAULTY_CHUNK_END_LF,
    FAULTY_CONTENT_DONE,
    FAULTY_CONTENT_BROKEN, /* framing that breaks RFC 9112 7.1 */
};

/* Where in a request's content the reader is. */
struct faulty_content {
    enum faulty_content_state state;
    uint64_t left;        /* bytes of the content, or of the chunk */
    unsigned size_digits; /* of the chunk size at hand */
    size_t trailer_bytes;
};

void faulty_content_begin(struct faulty_content *content, const struct faulty_request *request);

static inline bool faulty_content_is_done(const struct faulty_content *content)
{
    return content->state == FAULTY_CONTENT_DONE;
}

/*
 * Reads one run of `bytes`, which follow those read before: returns how many it took, at least one unless the
 * content is done or broken. *data is the part of them that is content; the rest was framing.
 */
size_t faulty_content_take(struct faulty_content *content, struct span bytes, struct span *data);

#endif
