#ifndef CURFEW_HTTP_H1_HEAD_H
#define CURFEW_HTTP_H1_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"
#include "core/cause.h"
#include "http/http1.h"

/*
 * Heads of HTTP/1.1 messages as they are received: found in what has come, held to a bound, parsed, and if they are
 * refused, why. `bytes` starts at the same byte each time, and `scan` is zeroed (but for is_response) before each head.
 * Nothing allocates. One thread.
 */

/* Why a head is refused; known only then. */
struct h1_fault {
    enum cause cause;
    const char *detail; /* for people, static; NULL: nothing more to say */
    struct span odd;    /* of a response: the line at fault, and what follows it; in the bytes */
};

/*
 * MORE: the rest has not come. DONE: *head is the whole head, whose bytes end before *end. BAD: *fault says why. `max`
 * is how many bytes it may have.
 */
enum http1_status h1_head_read_request(struct http1_scan *scan, struct span bytes, size_t max,
                                       struct http1_head *head, size_t *end, struct h1_fault *fault);

/* A request's head has not come whole. Is its first line known, and sound? Then that is set in *head. */
bool h1_head_read_request_line(const struct http1_scan *scan, struct span bytes, struct http1_head *head);

/* As h1_head_read_request. What can't become a response, a greeting of another protocol say, is BAD at once. */
enum http1_status h1_head_read_response(struct http1_scan *scan, struct span bytes, size_t max,
                                        enum http1_method request_method, struct http1_head *head,
                                        size_t *end, struct h1_fault *fault);

#endif
