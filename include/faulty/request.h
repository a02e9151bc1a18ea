#ifndef CURFEW_FAULTY_REQUEST_H
#define CURFEW_FAULTY_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

/* Longer heads are answered with 431. */
#define FAULTY_HEAD_MAX ((size_t)65536)

/* A request's head (RFC 9112). The spans point into the bytes it was read from. */
struct faulty_request {
    struct span method;
    struct span path;  /* of the target, without the query; an absolute-form target's path */
    struct span query; /* without the question mark; empty if there is none */
    int minor;         /* HTTP/1.minor: 0 or 1 */
    bool head;         /* HEAD: the response has no content */
    bool keep_alive;
    bool expects_continue;
    bool chunked;
    bool has_length;
    uint64_t content_bytes; /* Content-Length, 0 without */
    unsigned hosts;         /* Host field lines seen */
};

/*
 * Reads a head that ends with its empty line. Strict: whatever RFC 9112 lets a server refuse is refused, so that
 * a proxy that forwards something sloppy is found out. Returns 0, or the status code to refuse it with.
 */
int faulty_request_parse(struct span head, struct faulty_request *request);

/* Is this query parameter there ("name" or "name=value")? *value is what follows the equals sign. */
bool faulty_request_param(struct span query, struct span name, struct span *value);

#endif
