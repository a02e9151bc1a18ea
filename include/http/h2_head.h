#ifndef CURFEW_HTTP_H2_HEAD_H
#define CURFEW_HTTP_H2_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"
#include "base/text.h"

/*
 * Heads between HTTP/1.1's form and HTTP/2's (RFC 9113 8.2, 8.3). A message lies in HTTP/1.1's form everywhere else, as
 * rules for what is sent on are written for it; it is turned where it goes to an HTTP/2 connection, and where it comes
 * from one, before the same strict reader that all others go through. Pure.
 */
struct h2_field {
    struct span name; /* lower case; pseudo-fields first */
    struct span value;
    /* A secret, or a value of this message alone: it is not put into the compression's table. */
    bool never_indexed;
};

/* RFC 9113 8.2.2; the name in lower case. TE is among them: it goes no further than the next hop. */
bool h2_head_is_for_one_hop(struct span name);

/* No more fields than this come of a head, or of trailers. */
size_t h2_head_most(struct span lines);

/*
 * A request's head, as it is written for HTTP/1.1, whole or without its empty line, into fields: method, scheme, host
 * and target become pseudo-fields, and what is for one hop is left out. `names` has room for lines.len bytes. Returns
 * how many.
 */
size_t h2_head_of_request(struct span head, bool is_https, struct h2_field *fields, char *names);
/* Field lines, likewise. */
size_t h2_head_of_lines(struct span lines, struct h2_field *fields, char *names);

/*
 * A response's status line, which begins its head in HTTP/1.1's form; false: that is no status (RFC 9113 8.3.2), or one
 * that HTTP/2 does not have (8.6), or does not fit.
 */
bool h2_head_put_status(struct text *out, struct span status);
/* A field line of it, or of trailers. False: it does not fit. */
bool h2_head_put_field(struct text *out, struct span name, struct span value);

#endif
