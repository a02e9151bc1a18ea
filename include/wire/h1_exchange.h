#ifndef CURFEW_WIRE_H1_EXCHANGE_H
#define CURFEW_WIRE_H1_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "http/forward_rules.h"
#include "http/h1_reader.h"
#include "http/h1_writer.h"
#include "http/http1.h"
#include "runtime/buffer.h"
#include "runtime/loop.h"
#include "runtime/transport.h"
#include "wire/stream.h"

/*
 * A stream to an upstream over HTTP/1.1: a connection's one exchange. It lies with its user, so that a connection which
 * is idle needs no room for it; zeroed memory but for what h1_exchange_init sets.
 *
 * The transport is edge-triggered: a short read counts as having emptied the socket. Where something may be there still
 * that raises no other event, this file knows, and asks once more: receive and send say why.
 */
struct h1_exchange {
    struct stream stream;
    struct loop *loop;
    struct transport *transport; /* NULL: not begun, or let go */
    struct http1_head *parsed;   /* where heads are parsed: the thread's */
    struct http1_scan scan;
    struct h1_reader reader;
    struct h1_writer writer;
    struct buffer in;           /* received, not yet taken */
    uint32_t head_max;          /* bytes of a head, */
    uint32_t head_cap;          /* and of the block that it is received into */
    const struct span *upgrade; /* the protocol that the request asks for; NULL: none */
    enum http1_method method : 8;
    bool unclean;     /* the connection may not serve others after this */
    uint8_t interims; /* that have come */
};

extern const struct stream_ops h1_exchange_ops;

/* Ready to begin. `parsed` has room for fields, and is overwritten by each head that is read. */
static inline void h1_exchange_init(struct h1_exchange *exchange, struct loop *loop,
                                    struct http1_head *parsed)
{
    exchange->stream.ops = &h1_exchange_ops;
    exchange->loop = loop;
    exchange->parsed = parsed;
    exchange->scan.is_response = true;
}

/*
 * On a connection that is open. Once more on another one, if that was lost before anything was heard on it: then the
 * request has no content, and the same end as the first time.
 */
struct h1_terms {
    enum http1_method method;
    const struct span *upgrade; /* outlives the exchange */
    const struct forward_rules *rules;
    uint32_t head_max;
    uint32_t head_cap;
};
void h1_exchange_begin(struct h1_exchange *exchange, struct transport *transport,
                       const struct h1_terms *terms);

/*
 * What is still to come is `to`'s from now on, which need not be initialised, on the same connection; nothing more is
 * sent. `from` keeps its figures, and holds nothing of what had come.
 */
void h1_exchange_take_over(struct h1_exchange *to, struct h1_exchange *from);

/* Gives back what it holds, but not the connection. */
static inline void h1_exchange_fini(struct h1_exchange *exchange)
{
    buffer_close(&exchange->loop->spare_buffers, &exchange->in);
    h1_writer_fini(&exchange->writer);
}

#endif
