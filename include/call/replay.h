#ifndef CURFEW_CALL_REPLAY_H
#define CURFEW_CALL_REPLAY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "wire/stream.h"

/*
 * A request's content, kept as it goes to the API, so that another try can send it again: up to a bound for each
 * request, and for all of them together, over all workers. What does not fit is not kept, and what was is dropped: the
 * try goes on, and no other one follows it once a part of the content has gone.
 *
 * It is a stream between the caller's and the API's: bytes are read from the caller once; a try takes first what is
 * kept, from its start, and then what the caller gives, which is kept behind it.
 *
 *   kept:  | sent by this try | to be sent by it |   and then the caller's stream
 *          0                  at                 len
 */
struct replay_store {
    _Atomic(uint64_t) bytes; /* kept now, by all workers */
};

struct replay {
    struct stream stream;
    struct stream *from; /* the caller's */
    struct replay_store *store;
    uint64_t max;  /* bytes of this request, */
    uint64_t most; /* and of all together */
    char *data;
    uint32_t cap, len, at;
    char *trailers; /* field lines, which come once, with the end of the content; NULL: none */
    uint32_t trailers_len;
    struct span shown; /* of the caller's content */
    bool keeps : 1;    /* what is sent is kept */
    bool is_lost : 1;  /* something has been sent, and is not kept */
};

/* Nothing of the content has been taken yet. NULL: no memory. */
struct replay *replay_new(struct stream *from, struct replay_store *store, uint64_t max, uint64_t most)
    __attribute__((warn_unused_result));
/* The same content, all of which the caller has given, once more. NULL: no memory, or no room for it. */
struct replay *replay_copy(const struct replay *replay) __attribute__((warn_unused_result));
void replay_free(struct replay *replay);

/* Another try begins with the first byte. */
void replay_rewind(struct replay *replay);

/* No other try needs what is kept. A part that the one at hand has still to send stays until it has. */
void replay_drop(struct replay *replay);

#endif
