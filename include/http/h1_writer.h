#ifndef CURFEW_HTTP_H1_WRITER_H
#define CURFEW_HTTP_H1_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/span.h"
#include "http/forward_rules.h"
#include "http/http1.h"

/*
 * The sending half of an HTTP/1.1 message (RFC 9112): puts head, content and trailers into pieces for one gathering
 * write, and remembers how much of them has been taken. Content is sent from where it lies, nothing of it is copied.
 *
 *   to the peer:  head, then again and again: frame (a chunk's size), data, CRLF; at last tail (last chunk, trailers)
 *
 * A chunk that was begun is written to its end before the next: its data is offered anew until all of it is taken. One
 * thread.
 */
struct h1_writer {
    struct span head;                  /* written first; its bytes are the owner's */
    const struct forward_rules *rules; /* of a request: what of its trailers is not sent on; else NULL */
    char *tail;
    uint32_t left; /* of the data that h1_writer_begin was told of */
    uint32_t tail_at, tail_len;
    enum http1_framing framing : 8;
    uint8_t frame_at, frame_len;
    uint8_t crlf_left; /* of the CRLF that ends the chunk */
    bool ended;        /* what ends the message is known */
    char frame[10];    /* up to 8 digits, CRLF */
};

/* The most pieces of one write: head, frame, data, the chunk's end, tail. */
#define H1_WRITER_PIECES 5

/* Gives back what it holds. Zeroed memory is a writer that has nothing to write. */
void h1_writer_fini(struct h1_writer *writer);

/* Data is about to be offered, so many bytes of it, behind data that was taken whole; not 0, and less than 4 GiB. */
void h1_writer_begin(struct h1_writer *writer, size_t len);

/*
 * No data follows: what ends the message is written as soon as all is that was offered. The trailers are copied: they
 * are rare. False: no memory.
 */
bool h1_writer_end_chunks(struct h1_writer *writer, struct span trailers);
static inline bool h1_writer_end(struct h1_writer *writer, struct span trailers)
{
    writer->ended = writer->framing != HTTP1_CHUNKED || h1_writer_end_chunks(writer, trailers);
    return writer->ended;
}

/* Must what was offered be written on before there can be other data? The data itself aside. */
static inline bool h1_writer_is_within_chunk(const struct h1_writer *writer)
{
    return writer->crlf_left != 0;
}

/* Is there anything to write, beside data? */
static inline bool h1_writer_has_more(const struct h1_writer *writer)
{
    return writer->head.len != 0 || writer->crlf_left != 0 || writer->tail_at < writer->tail_len;
}

/* What to write next; `data` is what is left of that which h1_writer_begin was told of. */
int h1_writer_gather(struct h1_writer *writer, struct span data, struct iovec pieces[H1_WRITER_PIECES]);

/* So many bytes were written of what was gathered with `data_len` bytes of data: returns how many were the data's. */
size_t h1_writer_advance(struct h1_writer *writer, size_t data_len, size_t written);

/*
 * What was written is to be written once more to another peer, after a new head: for a message that has no content, and
 * whose end is known.
 */
void h1_writer_rewind(struct h1_writer *writer);

#endif
