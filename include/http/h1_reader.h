#ifndef CURFEW_HTTP_H1_READER_H
#define CURFEW_HTTP_H1_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "base/status.h"
#include "http/http1.h"

/*
 * The receiving half of an HTTP/1.1 message (RFC 9112): heads found and parsed, and content decoded where it lies. The
 * bytes belong to whoever receives them; each function is given all that have come and are not done with yet.
 *
 *   bytes:  | gap: done with | data: decoded, not yet taken | skip: framing behind it | not yet decoded … |
 *
 * Small pieces of content are moved together, so that they can be sent on as one: a write is dearer than that.
 * Nothing allocates. One thread.
 */
struct h1_reader {
    struct http1_content content;
    bool open;  /* content may come: the head is complete */
    bool ended; /* the message has been decoded to its end */
    uint32_t gap, data, skip;
    uint64_t content_bytes; /* decoded so far */
};

/* Content begins, a response's or a request's. */
void h1_reader_open(struct h1_reader *reader, bool is_response, enum http1_framing framing, uint64_t length);

/*
 * Decodes one piece more of what has come, if it can be moved next to the data that is there. MORE: there may be
 * another piece, call again at once. DONE: nothing more can be decoded of these bytes for now; *trailers are set if the
 * message has ended by it (`ended`), and lie in the bytes until more are received. BAD: the framing is broken; never
 * while there is data.
 */
enum http1_status h1_reader_decode(struct h1_reader *reader, struct span bytes, struct span *trailers);

/* Of h1_reader_show, where something is there that has not been decoded, and is due. */
bool h1_reader_decode_more(struct h1_reader *reader, struct span bytes, bool is_first, struct span *trailers,
                           size_t *front) MUST_CHECK;

/*
 * Decodes what can be moved together, if it is due: what was decoded before has been taken, or lasts until the
 * connection's end, and is shown whole, also to who has not taken it. *front bytes of the front are done with, and go
 * now, whatever comes of it; *trailers as above, else empty. `is_first`: nothing of the message has gone on yet, so all
 * that is there is looked at. False: the framing is broken.
 */
static inline MUST_CHECK bool h1_reader_show(struct h1_reader *reader, struct span bytes, bool is_first,
                                             struct span *trailers, size_t *front)
{
    bool is_due = (reader->data == 0 || reader->content.framing == HTTP1_UNTIL_CLOSE) && !reader->ended;
    bool has_more = bytes.len > (size_t)reader->gap + reader->data + reader->skip;

    *trailers = (struct span){0};
    *front = 0;
    return !is_due || !has_more || h1_reader_decode_more(reader, bytes, is_first, trailers, front);
}

/* What of the bytes is the decoded data. It lies in them and is valid as long as they are. */
static inline struct span h1_reader_data(const struct h1_reader *reader, struct span bytes)
{
    return (struct span){bytes.ptr + reader->gap, reader->data};
}

/* So much of the data is not needed any more. Returns how many bytes of the front are done with, which go now. */
static inline size_t h1_reader_take(struct h1_reader *reader, size_t len)
{
    size_t front = reader->gap + len;

    reader->gap = 0;
    reader->data -= (uint32_t)len;
    if (reader->data == 0) {
        front += reader->skip;
        reader->skip = 0;
    }
    return front;
}

/* The connection has ended. True: so has the message, in order. */
bool h1_reader_end(struct h1_reader *reader);

/* Throws away what has come of the message: returns how many bytes of the front go. `ended`: it was the whole rest. */
size_t h1_reader_discard(struct h1_reader *reader, struct span bytes);

/* Is the framing broken anywhere in what has come? */
bool h1_reader_is_broken(const struct h1_reader *reader, struct span bytes) __attribute__((pure));

/* After BAD, or when there is no room for more of a piece: the bytes from the piece at fault on. */
struct span h1_reader_fault(const struct h1_reader *reader, struct span bytes) __attribute__((pure));

/* What a connection is left with behind a message: if there is either, it is not to be used again. */
struct h1_rest {
    size_t extra; /* bytes behind the message, which are none of it */
    bool odd;     /* as of http1_content */
};

/* Do `bytes` hold the message to its very end, so that nothing more is needed of the peer? Then *rest is known. */
bool h1_reader_has_all(const struct h1_reader *reader, struct span bytes, struct h1_rest *rest);

/* Is so much of the content still to come that it is best received in large blocks? */
bool h1_reader_is_in_bulk(const struct h1_reader *reader, size_t usual) __attribute__((pure));

#endif
