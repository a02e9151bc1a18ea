#ifndef CURFEW_HTTP_FORWARDED_H
#define CURFEW_HTTP_FORWARDED_H

#include <stdbool.h>

#include "base/span.h"
#include "base/text.h"
#include "http/forward_rules.h"
#include "http/http1.h"

/* Who has sent the request, and how. */
struct forwarded_caller {
    struct span ip; /* empty for a unix socket */
    bool is_https;  /* by TLS */
};

/*
 * The fields by which an API is told of the caller: X-Forwarded-For, -Proto and -Host, or Forwarded (RFC 7239), as
 * forward_rules.tells has it. What came of them goes on; the lists of addresses get the caller's behind what came, and
 * the other two are added only if they did not come. A field that the rules drop is not added either. Pure.
 */
struct forwarded {
    struct forwarded_caller caller;
    struct span host;         /* that the caller used; empty: none */
    enum http1_field_id list; /* the field that is written anew; HTTP1_FIELD_OTHER: none */
    bool proto, x_host;       /* X-Forwarded-Proto and -Host are added */
};

/* The host by which the caller reached us: the target's authority, else Host (RFC 9112 3.2.2); empty: it names none. */
struct span forwarded_host(const struct http1_head *head);

/* What becomes of these fields of `head`. */
struct forwarded forwarded_plan(const struct http1_head *head, const struct forward_rules *rules,
                                struct forwarded_caller caller);

/* The fields, as they were planned. */
void forwarded_put(struct text *out, const struct http1_head *head, const struct forwarded *plan);

#endif
