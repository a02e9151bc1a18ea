#ifndef CURFEW_WIRE_CALLER_H
#define CURFEW_WIRE_CALLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http1_head;
struct loop;
struct stream;

/* What whoever serves callers hears of their connections, from the loop. `owner` is the connection's. */
struct caller_user {
    /*
     * The first byte of a request has come. The stream is the user's, which sets its `ready` and `user`, until it
     * finishes or cuts it. False: no memory, and the connection is closed.
     */
    bool (*begin)(void *owner, struct stream *stream, int64_t now_ns);
    /*
     * The connection begins with HTTP/2's preface (RFC 9113 3.4), of which nothing was taken: to be gone on with as
     * such, or closed. NULL: that is a request, as any other.
     */
    void (*speaks_h2)(void *owner);
    /* A connection that begins with a handshake has something to read, or room to write. */
    void (*handshake)(void *owner);
    /* The handshake has taken handshake_ns; the connection is closed next. */
    void (*handshake_is_late)(void *owner);
    /*
     * A connection has one stream more beside its first; false: there are too many on the whole, and the stream is
     * refused. And: it has one less.
     */
    bool (*take_place)(void *owner);
    void (*give_place)(void *owner);
    /* The connection is closed. Its memory is the owner's, and is looked at until the end of the loop's turn. */
    void (*closed)(void *owner);
};

/* What all callers' connections of a loop have in common. Its owner changes it between two events only. */
struct caller_common {
    struct loop *loop;
    const struct caller_user *user;
    struct http1_head *parsed; /* where heads are parsed, one after another */
    char *text;                /* where heads are written, within one callback */
    size_t text_cap;
    uint64_t request_head_max, response_head_max; /* bytes */
    int64_t idle_ns;                              /* between requests */
    int64_t handshake_ns;
    int64_t head_timeout_ns;
};

#endif
