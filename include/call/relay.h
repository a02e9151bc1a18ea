#ifndef CURFEW_CALL_RELAY_H
#define CURFEW_CALL_RELAY_H

#include "wire/stream.h"

/* How far content has come on its way from one stream to another. */
enum relay_end {
    RELAY_DONE,   /* the message has gone, to its end */
    RELAY_WAIT,   /* for more of it, or, if the sink is blocked, for room: the next event says when */
    RELAY_AGAIN,  /* there is more to do than a turn should take */
    RELAY_SOURCE, /* the source is lost, or breaks its protocol: see its fault */
    RELAY_SINK,   /* the sink is lost */
    RELAY_NOMEM,
};

/* Is shown each piece before it is sent, in which some may be new. */
typedef void (*relay_watch_fn)(void *arg, const struct stream_piece *piece);

/*
 * Moves content as far as it goes, up to a turn's share, and in front of it the head that waits to be sent. The same in
 * both directions, whatever the streams are; ends no call. `watch` may be NULL.
 */
enum relay_end relay_run(struct stream *from, struct stream *to, relay_watch_fn watch, void *arg);

/* The head that waits to be sent goes, and nothing behind it. */
enum relay_end relay_head(struct stream *from, struct stream *to);

#endif
