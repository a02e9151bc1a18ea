#include "http/h1_head.h"

/* A record of TLS with the beginning of a handshake in it (RFC 8446 5.1). */
static bool is_tls(struct span bytes)
{
    return bytes.len >= 2 && bytes.ptr[0] == 0x16 && bytes.ptr[1] == 0x03;
}

enum http1_status h1_head_read_request(struct http1_scan *scan, struct span bytes, size_t max,
                                       struct http1_head *head, size_t *end, struct h1_fault *fault)
{
    struct span whole;
    enum http1_status status;

    if (scan->looked == 0 && http1_read_request(bytes, head, end) && *end <= max)
        return HTTP1_DONE;
    *end = 0;
    status = http1_scan(scan, bytes, &whole, end);
    fault->detail = NULL;
    fault->cause = http1_head_excess(scan, bytes, *end, max);
    if (fault->cause != CAUSE_NONE)
        return HTTP1_BAD;
    if (status == HTTP1_DONE) {
        fault->cause = http1_parse_request(whole, head, &fault->detail);
    } else if (status == HTTP1_BAD) {
        fault->cause = CAUSE_BAD_REQUEST;
        fault->detail = is_tls(bytes) ? "this listener speaks plain HTTP, and TLS came"
                                      : "a line of the head does not end with CRLF, or holds a control byte";
    }
    return fault->cause == CAUSE_NONE ? status : HTTP1_BAD;
}

bool h1_head_read_request_line(const struct http1_scan *scan, struct span bytes, struct http1_head *head)
{
    struct span line;

    return http1_first_line(scan, bytes, &line) && http1_parse_request_line(line, head) == CAUSE_NONE;
}

/* A response's head has not come whole, by what the scan says. */
static enum cause judge_part(const struct http1_scan *scan, enum http1_status status, struct span bytes,
                             size_t max, struct h1_fault *fault)
{
    fault->odd = bytes;
    if (status == HTTP1_BAD) {
        fault->detail = "a line of the response head holds a control byte, or empty lines are before it";
        fault->odd = http1_odd_line(scan, bytes, max);
        return CAUSE_HTTP_PROTOCOL;
    }
    if (http1_may_be_response(scan, bytes))
        return CAUSE_NONE;
    fault->detail = "the status line is not sound";
    return CAUSE_HTTP_PROTOCOL;
}

enum http1_status h1_head_read_response(struct http1_scan *scan, struct span bytes, size_t max,
                                        enum http1_method request_method, struct http1_head *head,
                                        size_t *end, struct h1_fault *fault)
{
    struct span whole;
    enum http1_status status;

    if (scan->looked == 0 && http1_read_response(bytes, request_method, head, end) && *end <= max)
        return HTTP1_DONE;
    *end = 0;
    status = http1_scan(scan, bytes, &whole, end);
    fault->detail = NULL;
    if (http1_head_excess(scan, bytes, *end, max) != CAUSE_NONE) {
        fault->cause = CAUSE_RESPONSE_HEAD_SIZE;
        fault->odd = http1_odd_line(scan, bytes, max);
    } else if (status == HTTP1_DONE) {
        fault->cause = http1_parse_response(whole, request_method, head, &fault->detail);
        fault->odd = head->odd;
    } else {
        fault->cause = judge_part(scan, status, bytes, max, fault);
    }
    return fault->cause == CAUSE_NONE ? status : HTTP1_BAD;
}
