#ifndef CURFEW_CORE_HTTP1_FIELDS_H
#define CURFEW_CORE_HTTP1_FIELDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "core/http1.h"

/*
 * What request, response and content share: field lines, and the fields that both kinds of head understand.
 * Inside http1 only. Texts given as `detail` are static.
 */

#define HTTP1_FIELD_IDS (HTTP1_FIELD_X_FORWARDED_PROTO + 1)

/* How often each known field came, and the index of its first line. */
struct http1_seen {
    uint8_t count[HTTP1_FIELD_IDS];
    uint8_t first[HTTP1_FIELD_IDS];
};

/*
 * All field lines of `head` from `at` to the empty line, into *out. CAUSE_NONE, `broken` for a line that
 * breaks the rules, or `too_many`.
 */
enum cause http1_read_fields(struct span head, size_t at, struct http1_head *out, struct http1_seen *seen,
                             enum cause broken, enum cause too_many, const char **detail);

/*
 * What version and Connection say (RFC 9112 9.3): sets keep_alive and marks the nominated fields. False, and
 * *detail, if Connection is malformed or names a field that frames or routes the message.
 */
bool http1_read_connection(struct http1_head *head, const struct http1_seen *seen, const char **detail);

/*
 * What Content-Length and Transfer-Encoding say (RFC 9112 6): sets framing to CHUNKED, LENGTH (and
 * content_length) or, if neither is there, NO_CONTENT. CAUSE_NONE, BAD_REQUEST, TRANSFER_CODING or
 * CONTENT_TOO_LARGE, in terms of a request.
 */
enum cause http1_read_framing(struct http1_head *head, const struct http1_seen *seen, const char **detail);

/* The minor version of "HTTP/1.x", 0 or 1; -1 if it is another version, -2 if it is none (RFC 9112 2.3). */
int http1_read_version(struct span text);

#endif
