#include "core/http1.h"

#include "core/octet.h"

/*
 * A line ends at `at` of the bytes. True if that was the empty line that ends the head; false with *bad if
 * not.
 */
static bool end_line(struct http1_scan *scan, size_t at, bool *bad)
{
    bool empty = at == scan->at;

    if (empty && scan->in_fields)
        return true;
    if (!empty)
        scan->in_fields = true;
    else if (scan->start != 0 || scan->is_response)
        *bad = true;
    else
        scan->start = (uint32_t)at + 2;
    scan->at = (uint32_t)at + 2;
    return false;
}

enum http1_status http1_scan(struct http1_scan *scan, struct span bytes, struct span *head, size_t *end)
{
    size_t at = scan->looked;
    bool bad = false;

    for (;;) {
        at = octet_find_line_end(bytes, at);
        scan->looked = (uint32_t)at;
        if (at == bytes.len)
            return HTTP1_MORE;
        if (bytes.ptr[at] != '\r')
            return HTTP1_BAD;
        if (at + 1 == bytes.len)
            return HTTP1_MORE;
        if (bytes.ptr[at + 1] != '\n')
            return HTTP1_BAD;
        if (end_line(scan, at, &bad))
            break;
        if (bad)
            return HTTP1_BAD;
        at += 2;
    }
    *end = at + 2;
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

    if (known <= max)
        return CAUSE_NONE;
    (void)http1_first_line(scan, bytes, &line);
    return line.len > max ? CAUSE_TARGET_TOO_LONG : CAUSE_HEAD_TOO_LARGE;
}
