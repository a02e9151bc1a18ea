#ifndef CURFEW_WIRE_H2_EXCHANGE_H
#define CURFEW_WIRE_H2_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "http/forward_rules.h"
#include "http/http1.h"
#include "runtime/buffer.h"
#include "runtime/mailbox.h"
#include "wire/h2_connection.h"
#include "wire/stream.h"

/*
 * A stream to an API over HTTP/2. Heads come as fields and are read in HTTP/1.1's form by its reader, so that all that
 * holds for a head does so here. Content waits in `in` until it has gone on, at most a window of it.
 *
 * What the API says it has not processed (REFUSED_STREAM, or a GOAWAY below the stream's number) is `refused`: such a
 * request may be sent again whatever it is (RFC 9113 8.7), if all of it is still here. So the first bytes of content
 * are kept until a response has come; h2_exchange_begin goes on from them on another connection.
 */
#define H2_KEPT_MAX 16384u

struct h2_exchange {
    struct stream stream;
    struct h2_connection *connection; /* NULL: not begun, let go, or lost */
    struct h2_member member;          /* of the connection */
    struct h2_exchange **at;          /* the owner's pointer to it, while it has a connection */
    struct loop *loop;
    struct http1_head *parsed; /* where heads are parsed: the thread's */
    const struct forward_rules *rules;
    int32_t id; /* 0: the request has not been submitted */
    enum http1_method method : 8;
    bool is_https : 1;
    bool waits_for_settings : 1; /* it was refused before: the peer's limits come first */
    /* what comes */
    bool open : 1;        /* the final head was given */
    bool head_comes : 1;  /* one has begun, and is not whole */
    bool head_is_bad : 1; /* the one that is coming: `detail` */
    bool head_is_final : 1;
    bool has_trailers : 1; /* `heads` has them */
    bool has_ended : 1;    /* END_STREAM has come */
    bool closed : 1;
    bool news : 1;  /* since receive was called last, which it says */
    bool shown : 1; /* the trailers */
    /* what goes */
    bool end_offered : 1, end_given : 1;
    uint8_t interims;
    enum stream_result failure; /* OK: none so far; see stream.fault */
    uint32_t whole_heads;
    struct http1_scan scan;
    struct buffer heads; /* in HTTP/1.1's form, then trailers */
    uint64_t head_max;
    uint32_t head_cap, head_bytes; /* of the one that is coming */
    struct buffer in;
    uint32_t window;
    uint64_t came, length; /* of content; UINT64_MAX: any number of bytes */
    struct span head, offer;
    size_t given;
    char *trailers; /* to be sent */
    size_t trailers_len;
    char *kept; /* of the request's content, its first kept_len bytes */
    uint32_t kept_len, again_at;
    uint64_t sent_bytes; /* of content, that were given to the connection */
};

/* For h2_connection_new. */
extern const struct h2_events h2_exchange_events;
extern const struct h2_member_ops h2_exchange_ops;

struct h2_exchange_terms {
    enum http1_method method;
    const struct forward_rules *rules;
    uint64_t head_max; /* bytes of a head, */
    uint32_t head_cap; /* and of the block that it is received into */
    uint32_t window;
    bool is_https;
    void *owner; /* told of it by the connection's user, and not from within a function of the stream */
    struct h2_exchange **at; /* where it notes that the exchange runs, until it does not: NULL then */
};

/* Heap. NULL: no memory. `parsed` has room for fields, and is overwritten by each head that is read. */
struct h2_exchange *h2_exchange_new(struct loop *loop, struct http1_head *parsed)
    __attribute__((warn_unused_result));
/* On a connection. Once more on another one, if that was lost or refused before anything came. */
void h2_exchange_begin(struct h2_exchange *exchange, struct h2_connection *connection,
                       const struct h2_exchange_terms *terms);
/* Is all of the request here that has been sent, so that it can be sent again? */
bool h2_exchange_is_whole(const struct h2_exchange *exchange);
void h2_exchange_free(struct h2_exchange *exchange);

/*
 * Ends it at the peer as far as it has not ended there, and lets go of the connection. True: by a RST_STREAM, which is
 * the last of what the connection has to write now.
 */
bool h2_exchange_cut(struct h2_exchange *exchange);
/* Lets go of the connection, and leaves the stream as it is. */
void h2_exchange_lose(struct h2_exchange *exchange);
/* Has the peer ended it, so that there is nothing to reset? */
bool h2_exchange_is_closed(const struct h2_exchange *exchange);

/*
 * Within wire/h2_exchange*.c: h2_exchange.c is what comes, for the stream's user, and its life; h2_exchange_notes.c
 * what the session tells; h2_exchange_send.c what goes.
 */
/* The first failure counts. */
void h2_exchange_fail(struct h2_exchange *exchange, enum stream_result result, enum cause cause,
                      const char *detail);
void h2_exchange_fail_for_memory(struct h2_exchange *exchange);
/* The API has broken the rules: `detail` says which. */
void h2_exchange_fail_for_breach(struct h2_exchange *exchange, const char *detail);
/* There is something to tell its owner. */
void h2_exchange_has_news(struct h2_exchange *exchange);
/* As h2_events and stream_ops have them. */
size_t h2_exchange_give(void *user, void *stream, void *to, size_t cap, bool *end);
void h2_exchange_send_head(struct stream *stream, struct outgoing *request, struct span name,
                           struct span value);
enum stream_result h2_exchange_send(struct stream *stream, const struct stream_piece *piece, size_t *taken);

#endif
