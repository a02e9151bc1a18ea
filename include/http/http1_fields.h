#ifndef CURFEW_HTTP_HTTP1_FIELDS_H
#define CURFEW_HTTP_HTTP1_FIELDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "http/http1.h"

/*
 * What request, response and content share: field lines, and the fields that both kinds of head understand.
 * Inside http1 only. Texts given as `detail` are static.
 */

#define HTTP1_FIELD_IDS (HTTP1_FIELD_X_FORWARDED_PROTO + 1)

/* How often each known field came, and, if it did, the index of its first line. */
struct http1_seen {
    uint32_t count[HTTP1_FIELD_IDS];
    uint32_t first[HTTP1_FIELD_IDS];
};

/*
 * Behind the line end at `at`, 0 if there is none: CRLF, or, if `tolerated` is not NULL, also LF alone: then *tolerated
 * is set.
 */
static inline size_t http1_behind_line_end(struct span bytes, size_t at, bool *tolerated)
{
    if (bytes.len - at >= 2 && bytes.ptr[at] == '\r' && bytes.ptr[at + 1] == '\n')
        return at + 2;
    if (tolerated == NULL || at == bytes.len || bytes.ptr[at] != '\n')
        return 0;
    *tolerated = true;
    return at + 1;
}

/*
 * All field lines of the head that `bytes` begin with, a response's or a request's, from *at to the empty line, into
 * *out; *at is then behind that. CAUSE_NONE, BAD_REQUEST or HTTP_PROTOCOL for a line that breaks the rules, or is not
 * whole, HEAD_TOO_LARGE or RESPONSE_HEAD_SIZE for too many.
 */
enum cause http1_read_fields(struct span bytes, size_t *at, bool is_response, struct http1_head *out,
                             struct http1_seen *seen, const char **detail);

/*
 * What version and Connection say (RFC 9112 9.3): sets keep_alive and marks the nominated fields. What is no token is
 * skipped, and the connection not kept; what frames or routes the message is skipped, and the head tolerated. False,
 * and *detail, if it names so many fields that to look for them all would take too long.
 */
bool http1_read_connection(struct http1_head *head, const struct http1_seen *seen, const char **detail);

/*
 * What Content-Length and Transfer-Encoding say (RFC 9112 6): sets framing to CHUNKED, LENGTH (and
 * content_length) or, if neither is there, NO_CONTENT. CAUSE_NONE, BAD_REQUEST, TRANSFER_CODING or
 * CONTENT_TOO_LARGE, in terms of a request. Of a response, the same length more than once is tolerated, not an error.
 */
enum cause http1_read_framing(struct http1_head *head, const struct http1_seen *seen, bool is_response,
                              const char **detail);

/* The minor version of "HTTP/1.x", 0 or 1; -1 if it is another version, -2 if it is none (RFC 9112 2.3). */
int http1_read_version(struct span text);

#endif
