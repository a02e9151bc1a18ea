#ifndef CURFEW_WIRE_H2_CALLER_H
#define CURFEW_WIRE_H2_CALLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "core/timer.h"
#include "runtime/buffer.h"
#include "runtime/loop.h"
#include "runtime/transport.h"
#include "runtime/websocket.h"
#include "wire/h1_caller.h"
#include "wire/h2_session.h"
#include "wire/stream.h"

struct caller_common;

/* What a stream has besides that asks for a tunnel (wire/h2_caller_tunnel.c). */
struct h2_tunnel {
    char key[WEBSOCKET_KEY_LEN + 1]; /* ours */
    uint8_t protocol_len;
    char protocol[];
};

/*
 * A caller's connection over HTTP/2: a session, the transport below it, and a stream for each request that is under
 * way. It takes over from the h1_caller that it began as, and hands the transport back when it is to end.
 *
 *   socket -> receive -> session -> events, which take notes in streams -> tell: streams' users are called
 *   users send -> session -> pull -> out -> flush, once at the end of a turn -> socket
 *
 * What came is read whatever becomes of it: WINDOW_UPDATE and RST_STREAM come there, too. Each stream holds what its
 * window allows, no more is drawn out of the session than `out` has room for, and a peer that has too much queued, or
 * breaks the protocol too often, is sent away. No user is called from within the session: what the session says is
 * noted, and told when it has returned.
 */
struct h2_caller {
    struct h1_caller *base;
    struct h2_caller **at; /* the owner's pointer to it, NULLed at its end */
    const struct caller_common *common;
    struct h2_session *session;
    struct transport *transport; /* the base's */
    struct list_node streams;    /* that are a user's, or are to be */
    struct list_node news;       /* those of them that have something to be told */
    uint32_t count;              /* of streams, */
    uint32_t incomplete;         /* and of those whose request has not ended */
    uint32_t places;             /* that it has taken: for each stream but one */
    struct mail turn;            /* to tell and to flush, at the end of the turn */
    struct timer timer;          /* idle; between the two GOAWAYs */
    struct deferred_free deferred_free;
    struct buffer out;        /* to be written */
    uint64_t pulled, written; /* bytes, on the whole */
    uint32_t breaches;        /* streams that have broken the protocol */
    bool is_wild;             /* it is to be sent away */
    bool winding_down;        /* the first GOAWAY has gone, */
    bool last_said;           /* and the last one */
    bool ending;              /* all that is left is to write what there is */
};

/* One request and its response. */
struct h2_stream {
    struct stream stream;
    struct h2_caller *caller;
    struct list_node node; /* in caller.streams */
    struct list_node news; /* in caller.news */
    struct deferred_free deferred_free;
    int32_t id;
    /* What comes. The head in HTTP/1.1's form, behind it nothing; then trailers. */
    struct buffer head;
    uint32_t method_len, path_len,
        authority_len;           /* as long as pseudo-fields come: what stands in `head`, in order */
    uint32_t cookie_end;         /* where another cookie goes; 0: there is none yet */
    uint32_t head_bytes, fields; /* as they are counted against limits */
    enum cause refused;          /* NONE: the head is sound so far */
    const char *refused_detail;
    struct buffer in;
    struct h2_tunnel *tunnel; /* NULL: it asks for none */
    bool begun_told : 1;
    bool has_line : 1; /* pseudo-fields have become the request line */
    bool head_is_whole : 1;
    bool head_given : 1;
    bool is_grpc : 1;   /* its content type is gRPC's */
    bool has_ended : 1; /* END_STREAM has come */
    bool came : 1;      /* something, since receive was called */
    bool closed : 1;
    bool trailers_shown : 1;
    /* What goes. */
    bool submitted : 1; /* the final head */
    bool offers_last : 1;
    bool end_given : 1;
    bool is_head_only : 1;
    char *answer; /* the final head in HTTP/1.1's form, not yet submitted */
    uint32_t answer_len;
    struct span offer; /* within send: content that may be taken */
    char *trailers;    /* to be sent behind the content, in HTTP/1.1's form */
    uint32_t trailers_len;
    uint64_t end_at; /* of caller.pulled: where its end is */
};

/*
 * Takes over: the base has received nothing but what lies in its buffer, which begins with the preface. NULL: no
 * memory, and nothing has changed. `max_streams`: that the caller may have open; `tunnels`: it may ask for tunnels.
 */
struct h2_caller *h2_caller_new(struct h1_caller *base, uint32_t max_streams, bool tunnels,
                                struct h2_caller **at);
/* Goes on with what the base had received. May end the connection. */
void h2_caller_start(struct h2_caller *caller);

/* The terms are others now: what they allow more than those of before holds at once, what they allow less does not. */
void h2_caller_allow(struct h2_caller *caller, uint32_t max_streams, bool tunnels);
/* GOAWAY, and after a moment the last one; it ends with its last stream. */
void h2_caller_wind_down(struct h2_caller *caller);
/* Ends at once, with what can still be written, and closes the base. Streams' users have ended them. */
void h2_caller_close(struct h2_caller *caller);

/* Within wire/h2_caller*.c. */

extern const struct h2_events h2_caller_events;

/* A new one, whose user is to hear of it. False: it is one too many. */
bool h2_caller_add(struct h2_stream *stream);
/* There is something to tell the stream's user, at the end of this turn at the latest. */
void h2_caller_note(struct h2_stream *stream);
/* There is something to write by the end of this turn. */
void h2_caller_wants_turn(struct h2_caller *caller);
/* Draws frames out of the session, as far as there is room. */
void h2_caller_pull(struct h2_caller *caller);
/* The user has let go of the stream. */
void h2_caller_drop(struct h2_stream *stream);
/* Calls the user, for the first time if need be. Its memory lasts until the end of the turn. */
void h2_stream_tell(struct h2_stream *stream);
void h2_stream_lose(struct h2_stream *stream);
/* :protocol has come: it asks for a tunnel. False: no memory, or no randomness. */
bool h2_tunnel_ask(struct h2_stream *stream, struct span protocol);
bool h2_tunnel_is_asked_for(const struct h2_stream *stream) __attribute__((pure));
/* Is this a field that we write ourselves in such a request? */
bool h2_tunnel_owns(const struct h2_stream *stream, struct span name);
/* Field lines that HTTP/1.1 asks by. */
void h2_tunnel_put_lines(const struct h2_stream *stream, struct text *out);
/* A 101 as it is told over HTTP/2: *translated shares its fields. False: it does not answer what was asked. */
bool h2_tunnel_translate(const struct h2_stream *stream, const struct http1_head *head,
                         struct http1_head *translated);
/* As struct stream_ops has it. */
void h2_stream_drop_response(struct stream *stream);
/* Notes why, and returns `result`. */
enum stream_result h2_stream_fail(struct h2_stream *stream, enum stream_result result, enum cause cause,
                                  const char *detail);
/* What goes, by wire/h2_caller_send.c: as h2_events and stream_ops have it. */
size_t h2_stream_give(void *user, void *stream, void *to, size_t cap, bool *end);
enum stream_result h2_stream_send_response(struct stream *stream, const struct http1_head *head,
                                           const struct forward_own *own);
enum stream_result h2_stream_send(struct stream *stream, const struct stream_piece *piece, size_t *taken);
enum stream_result h2_stream_trail(struct stream *stream, struct span trailers);

#endif
