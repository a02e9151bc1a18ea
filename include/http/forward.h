#ifndef CURFEW_HTTP_FORWARD_H
#define CURFEW_HTTP_FORWARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/text.h"
#include "http/forward_rules.h"
#include "http/forwarded.h"
#include "http/http1.h"

/*
 * The heads that a proxy sends on (RFC 9110 7.6): hop-by-hop fields out, exactly one framing, and what the
 * configuration sets, removes and has it tell of itself. Order and bytes of all other fields are kept.
 * Pure; writes into a text that the caller owns, whose `overflow` tells if it did not fit.
 */

/*
 * The request head without its closing empty line, so that one more field can follow when it is sent. `trace_line` is
 * a ready field line, in whose favour each traceparent and tracestate that came is left out; empty: they go on.
 * Of a caller by a unix socket, X-Forwarded-For is left as it came, and Forwarded says for=unknown.
 * Content framing is written as `head` has it. Expect goes on only if the caller waits
 * (head->expect_continue). A protocol that is asked for (head->upgrade) is the only one that goes on.
 */
void forward_request_head(struct text *out, const struct http1_head *head, const struct forward_rules *rules,
                          struct forwarded_caller caller, struct span trace_line);

/* How a response is to be delimited towards the caller; see forward_response_framing. */
struct forward_framing {
    enum http1_framing framing;
    bool close; /* the caller's connection can't be kept */
};

/*
 * How the content of `response` is delimited towards a caller that speaks HTTP/1.`caller_minor`: as it came
 * where possible; UNTIL_CLOSE becomes chunked for HTTP/1.1; chunked becomes UNTIL_CLOSE for HTTP/1.0.
 */
struct forward_framing forward_response_framing(const struct http1_head *response, uint8_t caller_minor);

/* What a response says that did not come with it. All but `rules` is for final responses alone. */
struct forward_own {
    const struct forward_rules *rules; /* NULL: it did not come, it is our own */
    uint64_t call_id;                  /* for "X-Curfew-Call: <in hex>"; 0: it is of no call */
    struct span lines;                 /* ready field lines; empty: none */
    struct span date;      /* for a response that came without (RFC 9110 6.6.1); empty: it has one */
    struct span authority; /* that the caller reached us by, for Location; empty: that stays as it came */
    bool is_https;         /* and how */
    struct span upgrade;   /* of a 101: the protocol */
};

/*
 * The whole response head, with its closing empty line: always HTTP/1.1; `keep_alive` says what Connection
 * says (for an HTTP/1.0 caller "keep-alive" is spelt out). Adds what `own` has.
 * For 1xx heads only the fields and Via, no framing and nothing of the call. Responses to HEAD and 304 (their framing
 * is NO_CONTENT) tell by Content-Length or Transfer-Encoding what they described.
 */
void forward_response_head(struct text *out, const struct http1_head *response,
                           struct forward_framing framing, uint8_t caller_minor, bool keep_alive,
                           const struct forward_own *own);

/*
 * The trailer section that is sent on: without framing, routing and hop-by-hop fields (RFC 9110 6.5.1). `rules` are a
 * request's, whose dropped fields are left out here too; NULL for a response.
 */
void forward_trailers(struct text *out, struct span trailers, const struct forward_rules *rules);

#endif
