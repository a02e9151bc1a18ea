#include "http/http1.h"

#include "base/invariant.h"
#include "http/octet.h"

/*
 * A line ends at `at` of the bytes, and the next begins at `next`. True if that was the empty line that ends the head;
 * false with *bad if not.
 */
static bool end_line(struct http1_scan *scan, size_t at, size_t next, bool *bad)
{
    bool empty = at == scan->at;

    PRE(scan->start <= scan->at && scan->at <= at && at < next);
    if (empty && scan->in_fields)
        return true;
    if (!empty)
        scan->in_fields = true;
    else if (scan->start != 0)
        *bad = true;
    else
        scan->start = (uint32_t)next;
    scan->at = (uint32_t)next;
    return false;
}

/* What is at `at` is not CRLF. A response may have LF alone; only if it is DONE, *next is behind it. */
static enum http1_status read_odd_line_end(const struct http1_scan *scan, struct span bytes, size_t at,
                                           size_t *next)
{
    if (bytes.len - at >= 2 && bytes.ptr[at] == '\r')
        return HTTP1_BAD; /* no LF is behind it */
    if (at == bytes.len || bytes.ptr[at] == '\r')
        return HTTP1_MORE;
    *next = at + 1;
    return bytes.ptr[at] == '\n' && scan->is_response ? HTTP1_DONE : HTTP1_BAD;
}

enum http1_status http1_scan(struct http1_scan *scan, struct span bytes, struct span *head, size_t *end)
{
    size_t at, next = scan->looked;
    bool bad = false;

    PRE(scan->looked <= bytes.len); /* the bytes of before are still there */
    do {
        enum http1_status status;

        at = octet_find_line_end(bytes, next);
        scan->looked = (uint32_t)at;
        next = at + 2;
        if (next <= bytes.len && bytes.ptr[at] == '\r' && bytes.ptr[at + 1] == '\n')
            continue;
        status = read_odd_line_end(scan, bytes, at, &next);
        if (status != HTTP1_DONE)
            return status;
    } while (!end_line(scan, at, next, &bad) && !bad);
    if (bad)
        return HTTP1_BAD;
    *end = next;
    POST(*end <= bytes.len && bytes.ptr[*end - 1] == '\n');
    *head = (struct span){bytes.ptr + scan->start, *end - scan->start};
    return HTTP1_DONE;
}

bool http1_first_line(const struct http1_scan *scan, struct span bytes, struct span *line)
{
    struct span from_start = {bytes.ptr + scan->start, bytes.len - scan->start};

    if (!scan->in_fields)
        return false;
    *line = (struct span){from_start.ptr, octet_find_line_end(from_start, 0)};
    return true;
}

struct span http1_odd_line(const struct http1_scan *scan, struct span bytes, size_t max)
{
    size_t at = scan->at;

    PRE(at <= bytes.len);
    if (at - scan->start < max)
        return (struct span){bytes.ptr + at, bytes.len - at};
    at = scan->start + max;
    while (at > scan->start && bytes.ptr[at - 1] != '\n')
        at--;
    return (struct span){bytes.ptr + at, bytes.len - at};
}

enum cause http1_head_excess(const struct http1_scan *scan, struct span bytes, size_t end, size_t max)
{
    size_t known = (end != 0 ? end : scan->looked) - scan->start;
    struct span line = {NULL, known};

    PRE(end == 0 || end > scan->start);
    if (known <= max)
        return CAUSE_NONE;
    (void)http1_first_line(scan, bytes, &line);
    return line.len > max ? CAUSE_TARGET_TOO_LONG : CAUSE_HEAD_TOO_LARGE;
}
