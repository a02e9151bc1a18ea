#include "http/http1_fields.h"

#include "base/invariant.h"
#include "http/octet.h"

static enum cause refuse(const char **detail, const char *why)
{
    *detail = why;
    return CAUSE_HTTP_PROTOCOL;
}

#define VERSION_LEN (sizeof("HTTP/1.1") - 1)

static inline bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Where the code begins, behind one space; several blanks have but one reading, too. */
static inline __attribute__((always_inline)) size_t find_code(struct span line, bool *tolerated)
{
    size_t at = VERSION_LEN;

    while (at < line.len && is_blank(line.ptr[at]))
        at++;
    *tolerated |= at != VERSION_LEN + 1 || line.ptr[VERSION_LEN] != ' ';
    return at;
}

/* RFC 9112 4; the space before an empty reason is often left out, and codes above 599 are in use (RFC 9110 15). */
static inline __attribute__((always_inline)) bool read_status_line(struct span line, struct http1_head *out)
{
    size_t at = find_code(line, &out->tolerated), end = at + 3;
    const char *code = line.ptr + at;
    int minor;

    if (at == VERSION_LEN || end > line.len || !octet_all((struct span){code, 3}, OCTET_DIGIT))
        return false;
    minor = http1_read_version((struct span){line.ptr, VERSION_LEN});
    if (minor < 0 || (end < line.len && !is_blank(line.ptr[end])))
        return false;
    out->tolerated |= end < line.len && line.ptr[end] == '\t';
    out->minor = (uint8_t)minor;
    out->code = (uint16_t)((code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0'));
    POST(out->minor <= 1 && out->code <= 999);
    out->reason = end < line.len ? (struct span){line.ptr + end + 1, line.len - end - 1}
                                 : (struct span){line.ptr + end, 0};
    return true;
}

bool http1_read_status(struct span bytes, uint16_t *code)
{
    struct span line = {bytes.ptr, octet_find_line_end(bytes, 0)};
    struct http1_head head = {0};

    if (line.len == bytes.len || !read_status_line(line, &head))
        return false;
    *code = head.code;
    return true;
}

bool http1_may_be_response(const struct http1_scan *scan, struct span bytes)
{
    static const char start[] = "HTTP/1.";
    struct span text = {bytes.ptr + scan->start, bytes.len - scan->start}, line;
    size_t len = text.len < sizeof(start) - 1 ? text.len : sizeof(start) - 1;
    struct http1_head head = {0};

    if (http1_first_line(scan, bytes, &line))
        return read_status_line(line, &head) && head.code >= 100;
    return memcmp(text.ptr, start, len) == 0 || (scan->start == 0 && text.ptr[0] == '\r');
}

/* A response of these codes ends with its head, and nothing in the head may say otherwise (RFC 9110 8.6, 9112 6.1). */
static bool is_always_empty(uint16_t code)
{
    return code < 200 || code == 204;
}

/* Method or code say that there is no content; whatever the framing fields say then (RFC 9112 6.3). */
static void settle_without_content(struct http1_head *out, bool is_readable)
{
    bool tells = is_readable && !is_always_empty(out->code);

    /* Who says that there is content may well send it. */
    out->tolerated |= !is_readable || (!tells && (out->framing == HTTP1_CHUNKED || out->content_length != 0));
    out->described = tells ? out->framing : HTTP1_NO_CONTENT;
    out->framing = HTTP1_NO_CONTENT;
}

static enum cause settle_framing(struct http1_head *out, const struct http1_seen *seen, const char **detail)
{
    enum cause cause = http1_read_framing(out, seen, true, detail);

    if (out->method_id == HTTP1_HEAD || out->code == 304 || is_always_empty(out->code)) {
        *detail = "";
        settle_without_content(out, cause == CAUSE_NONE);
    } else if (cause != CAUSE_NONE) {
        return CAUSE_HTTP_PROTOCOL;
    } else if (out->framing == HTTP1_NO_CONTENT) {
        out->framing = HTTP1_UNTIL_CLOSE;
    }
    POST(out->described == HTTP1_NO_CONTENT || out->framing == HTTP1_NO_CONTENT);
    out->keep_alive = out->keep_alive && !out->tolerated && out->framing != HTTP1_UNTIL_CLOSE;
    return CAUSE_NONE;
}

/* The head that `bytes` begin with, which ends before *end. */
static inline __attribute__((always_inline)) enum cause read_head(struct span bytes,
                                                                  enum http1_method request_method,
                                                                  struct http1_head *out, size_t *end,
                                                                  const char **detail)
{
    struct span line = {bytes.ptr, octet_find_line_end(bytes, 0)};
    struct http1_seen seen;
    enum cause cause;

    *detail = "";
    out->odd = bytes;
    out->method = out->target = out->authority = out->path = out->host = (struct span){NULL, 0};
    out->method_id = request_method;
    out->expect_continue = out->te_trailers = out->tolerated = false;
    out->described = HTTP1_NO_CONTENT;
    *end = http1_behind_line_end(bytes, line.len, &out->tolerated);
    if (*end == 0 || !read_status_line(line, out) || out->code < 100)
        return refuse(detail, "the status line is not sound");
    cause = http1_read_fields(bytes, end, true, out, &seen, detail);
    if (cause != CAUSE_NONE)
        return cause;
    out->has_date = seen.count[HTTP1_FIELD_DATE] != 0;
    if (out->code == 101 && out->upgrade.len == 0)
        return refuse(detail, "a protocol switch that was not asked for");
    if (!http1_read_connection(out, &seen, detail))
        return CAUSE_RESPONSE_HEAD_SIZE;
    return settle_framing(out, &seen, detail);
}

enum cause http1_parse_response(struct span head, enum http1_method request_method, struct http1_head *out,
                                const char **detail)
{
    enum cause cause;
    size_t end;

    cause = read_head(head, request_method, out, &end, detail);
    if (cause == CAUSE_NONE && end != head.len)
        return refuse(detail, "the head does not end with its first empty line");
    return cause;
}

bool http1_read_response(struct span bytes, enum http1_method request_method, struct http1_head *out,
                         size_t *end)
{
    const char *detail;

    return read_head(bytes, request_method, out, end, &detail) == CAUSE_NONE && !out->tolerated;
}
