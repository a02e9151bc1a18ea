#ifndef CURFEW_WIRE_H2_TERMS_H
#define CURFEW_WIRE_H2_TERMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

/* What a session (wire/h2_session.h) is made of by its user: its side, its bounds, and who is told what. */
enum h2_side { H2_CLIENT, H2_SERVER };

/* Error codes (RFC 9113 7) that are used here. */
enum h2_code {
    H2_NO_ERROR = 0,
    H2_PROTOCOL_ERROR = 1,
    H2_INTERNAL_ERROR = 2,
    H2_REFUSED_STREAM = 7,
    H2_CANCEL = 8,
    H2_ENHANCE_YOUR_CALM = 11,
};

/* `stream` is what `begun` returned or h2_session_request was given: its user's. It is told nothing after `closed`. */
struct h2_events {
    /* A server: a request's HEADERS begin. NULL: it is refused, by REFUSED_STREAM. A client: never told. */
    void *(*begun)(void *user, int32_t id);
    /* HEADERS begin on a stream that is known: a response, interim or not, or trailers. */
    void (*head)(void *user, void *stream);
    /* One of its fields, valid for now. False: the stream is reset by INTERNAL_ERROR. */
    bool (*field)(void *user, void *stream, struct span name, struct span value);
    /* The header block is whole; `end`: and nothing follows it. */
    void (*head_done)(void *user, void *stream, bool end);
    /* Content. False: no memory; the stream is reset by INTERNAL_ERROR. */
    bool (*data)(void *user, void *stream, struct span bytes);
    /* The peer has ended the stream in order, in whichever frame. */
    void (*ended)(void *user, void *stream);
    /* The stream is closed: H2_NO_ERROR if both sides have ended, or reset; `by_peer`: not for what it has broken. */
    void (*closed)(void *user, void *stream, uint32_t code, bool by_peer);
    /* Content is wanted: at most `cap` bytes are put at `to`. Returns how many; 0: none for now (h2_session_resume). */
    size_t (*give)(void *user, void *stream, void *to, size_t cap, bool *end);
    /*
     * The peer begins no streams any more, or takes no more; those above `last` it has not processed. `debug`: what it
     * says to people, or nothing.
     */
    void (*goaway)(void *user, int32_t last, uint32_t code, struct span debug);
    /* A client: the head of this request is in what is pulled; it may have waited for the peer to allow a stream. */
    void (*went)(void *user, void *stream);
    /* A stream is reset by us, whoever has asked for it: the frame is on its way. NULL: nobody wants to know. */
    void (*resets)(void *user);
};

struct h2_terms {
    enum h2_side side;
    uint32_t max_streams; /* that the peer may have open, more are refused by REFUSED_STREAM; a server's */
    bool tunnels;         /* that it may ask for, by CONNECT with :protocol (RFC 8441); a server's */
    uint32_t window;      /* of a stream, in bytes */
    uint32_t head_max;    /* told to the peer as the size of field sections; nothing is refused by it here */
    const struct h2_events *events;
    void *user;
};

#endif
