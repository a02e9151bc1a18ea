#ifndef CURFEW_CALL_LOCAL_REPLY_H
#define CURFEW_CALL_LOCAL_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "core/breaker.h"
#include "call/retries.h"
#include "core/call_fsm.h"
#include "core/cause.h"
#include "http/forward.h"
#include "http/http1.h"
#include "http/trace.h"

/* What curfew itself tells a caller, in place of the upstream. */
struct local_reply {
    enum cause cause;
    enum phase phase;
    const char *detail; /* NULL: none */
    const char *upstream;
    const struct call_fsm *fsm;            /* times */
    const struct breaker_refusal *refusal; /* by a breaker; NULL: by something else */
    int64_t now_ns;
    uint64_t call_id;
    struct span date;                   /* as http/date writes it */
    const struct trace *trace;          /* NULL: it is of none */
    struct span grpc_type;              /* the content type of a gRPC request; empty: it is none */
    bool is_call;                       /* false: refused before it became one; then it has no budget */
    bool head_only;                     /* to a HEAD request */
    bool timed;                         /* with Server-Timing; for a call only */
    uint64_t retry_after_s;             /* where asking again helps */
    const struct call_retries *retries; /* tries that there were; NULL: one at most */
    enum retry_stop retry_stop;
    bool says;     /* that it has tried again, if it has */
    bool by_proxy; /* a forward one, whose reason phrase is all that some clients show */
    /* A member `error`, too, by which a caller's library tells failures from what it asked for. */
    bool has_api_error;
};

/* Longest one, as HTTP/1.1 writes it. */
#define LOCAL_REPLY_MAX 4096

/* As a stream sends it: a head, what goes with it, and the content. It lies in `block`. */
struct local_response {
    struct http1_head head;
    struct forward_own own;
    struct span content;
    char reason[96]; /* the phrase, of a forward proxy */
    char block[LOCAL_REPLY_MAX];
};

/*
 * A whole response: problem+json (RFC 9457) with Proxy-Status (RFC 9209), Retry-After where it helps, X-Curfew-Call. A
 * gRPC caller gets 200 with grpc-status and grpc-message in the head ("Trailers-Only"), and no content.
 */
void local_reply_make(struct local_response *response, const struct local_reply *reply);

/* Field lines by which a gRPC response that has begun ends in its place. */
void local_reply_put_trailers(struct text *out, const struct local_reply *reply);

/* The same as HTTP/1.1 writes it, to a connection that ends with it, and of which no request is known. */
void local_reply_put(struct text *out, const struct local_reply *reply);

#endif
