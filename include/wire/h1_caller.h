#ifndef CURFEW_WIRE_H1_CALLER_H
#define CURFEW_WIRE_H1_CALLER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "core/timer.h"
#include "http/h1_reader.h"
#include "http/h1_writer.h"
#include "http/http1.h"
#include "runtime/buffer.h"
#include "runtime/loop.h"
#include "runtime/transport.h"
#include "wire/stream.h"

struct caller_common;

/* Of one request and its response; zeroed before each. */
struct h1_turn {
    struct http1_scan scan;
    struct h1_reader reader;
    struct h1_writer writer;
    char *kept_head;     /* what the socket did not take of a head at once */
    uint32_t answer_len; /* of the final response's head, as it is written; 0: it has not been handed over */
    uint8_t minor;       /* the caller speaks HTTP/1.minor */
    bool expects_continue;
    bool has_told_line; /* head() has said STREAM_LINE */
    bool caller_ended;  /* it has ended its side, but is there */
};

/*
 * A caller's connection over HTTP/1.1: one stream after another, which is the connection's and lies in it. Between
 * requests it waits, for idle_ns; behind the last one it is closed, or lingers (RFC 9112 9.6): our side is ended, and
 * what the caller still sends is thrown away for a moment, so that a reset does not destroy the answer on its way.
 *
 * The transport is edge-triggered: it is tried first, and waited for only after that.
 */
struct h1_caller {
    struct stream stream;
    struct transport transport;
    struct mail resume; /* at the end of the turn */
    struct timer timer; /* handshake; idle between requests; linger */
    const struct caller_common *common;
    void *owner;
    struct buffer in; /* received, not yet taken */
    struct h1_turn turn;
    int64_t first_ns;   /* when the first byte came of what is HTTP/2's preface so far; else 0 */
    bool takes_connect; /* set by the owner: requests may be CONNECT */
    bool in_handshake;
    bool in_use; /* the stream is the user's */
    bool lingering;
    bool winding_down; /* is closed after the next response at the latest */
};

/*
 * Owns `fd` from then on; on failure too: it is closed. With a handshake, the user makes that on the transport, when it
 * hears of events, and then has the connection start, linger or close.
 */
enum status h1_caller_open(struct h1_caller *caller, const struct caller_common *common, void *owner, int fd,
                           bool has_handshake) MUST_CHECK;
void h1_caller_start(struct h1_caller *caller);
void h1_caller_linger(struct h1_caller *caller);

/*
 * The connection is to end soon, and no request on it is to go without an answer: the one in flight, or the next one if
 * it comes within a moment, is the last, and its response says so if that can still be said.
 */
void h1_caller_wind_down(struct h1_caller *caller);

/*
 * Between requests, the transport becomes another's, who hears of its events by on_ready, and of `arg` by the
 * transport. What had been received is given with it. Its timer rests.
 */
struct buffer h1_caller_lend(struct h1_caller *caller, transport_fn on_ready, void *arg);
/* It has the transport again, to linger or to close. */
void h1_caller_take_back(struct h1_caller *caller);

/* Closes at once. The stream is not in use. */
void h1_caller_close(struct h1_caller *caller);

/* Within wire/h1_caller*.c: returns `result`, and notes why. */
enum stream_result h1_caller_fail(struct h1_caller *caller, enum stream_result result, enum cause cause,
                                  const char *detail);
/* Functions of the stream. What comes, by wire/h1_caller_read.c: */
enum stream_result h1_caller_read_head(struct stream *stream, struct http1_head **head);
bool h1_caller_read_start(struct stream *stream, struct stream_start *start);
enum stream_result h1_caller_peek(struct stream *stream, bool is_first, struct stream_piece *piece);
void h1_caller_take(struct stream *stream, size_t len);
enum stream_result h1_caller_receive(struct stream *stream);
void h1_caller_tunnel(struct stream *stream);
bool h1_caller_has_all(struct stream *stream);
void h1_caller_discard(struct stream *stream);
bool h1_caller_is_gone(struct stream *stream);
/* There may be news of a caller of which nothing is read. If it has left, the stream is lost. */
void h1_caller_look_for_end(struct h1_caller *caller);
/* What goes, by wire/h1_caller_send.c. */
enum stream_result h1_caller_send_response(struct stream *stream, const struct http1_head *head,
                                           const struct forward_own *own);
bool h1_caller_keep_response(struct stream *stream);
void h1_caller_drop_response(struct stream *stream);
enum stream_result h1_caller_send(struct stream *stream, const struct stream_piece *piece, size_t *taken);

#endif
