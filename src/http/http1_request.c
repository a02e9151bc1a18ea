#include "http/http1_fields.h"

#include "base/invariant.h"
#include "http/octet.h"

#define PORT_DIGITS_MAX 5

/*
 * Host or authority, RFC 3986 3.2.2: [name] [":" port], or "[" address "]" [":" port]; no user information.
 */
static size_t skip_ip_literal(struct span s)
{
    size_t at = 1;

    while (at < s.len && (octet_is(s.ptr[at], OCTET_HOST) || s.ptr[at] == ':'))
        at++;
    return at < s.len && s.ptr[at] == ']' && at > 1 ? at + 1 : 0;
}

static size_t skip_name(struct span s)
{
    size_t at = 0;

    while (at < s.len) {
        if (octet_is(s.ptr[at], OCTET_HOST))
            at++;
        else if (s.ptr[at] == '%' && s.len - at > 2 && octet_is(s.ptr[at + 1], OCTET_HEX) &&
                 octet_is(s.ptr[at + 2], OCTET_HEX))
            at += 3;
        else
            break;
    }
    return at;
}

bool http1_is_host(struct span s)
{
    size_t at = s.len != 0 && s.ptr[0] == '[' ? skip_ip_literal(s) : skip_name(s);

    if (at == s.len)
        return true;
    if (at == 0 || s.ptr[at] != ':' || s.len - at - 1 > PORT_DIGITS_MAX)
        return false;
    return octet_all((struct span){s.ptr + at + 1, s.len - at - 1}, OCTET_DIGIT);
}

/* The length of "http://" or "https://" at the start of the target, in any case; 0 if there is none. */
static size_t scheme_len(struct span target)
{
    static const struct span schemes[] = {{"http://", 7}, {"https://", 8}};

    for (unsigned i = 0; i < 2; i++)
        if (target.len > schemes[i].len &&
            span_eq_nocase((struct span){target.ptr, schemes[i].len}, schemes[i]))
            return schemes[i].len;
    return 0;
}

/* RFC 9112 3.2.2. */
static bool read_absolute_form(struct http1_head *out)
{
    size_t start = scheme_len(out->target), end = start;

    if (start == 0)
        return false;
    while (end < out->target.len && out->target.ptr[end] != '/' && out->target.ptr[end] != '?')
        end++;
    out->authority = (struct span){out->target.ptr + start, end - start};
    out->path = (struct span){out->target.ptr + end, out->target.len - end};
    if (out->path.len == 0)
        out->path = out->method_id == HTTP1_OPTIONS ? SPAN_LIT("*") : SPAN_LIT("/");
    return out->authority.len != 0 && out->authority.ptr[0] != ':' && http1_is_host(out->authority);
}

static bool read_target(struct http1_head *out)
{
    out->authority = (struct span){NULL, 0};
    out->path = out->target;
    if (out->target.len == 0 || !octet_all(out->target, OCTET_TARGET))
        return false;
    if (out->method_id == HTTP1_CONNECT) {
        out->authority = out->target;
        return true;
    }
    if (out->target.ptr[0] == '/')
        return true;
    if (out->target.ptr[0] == '*')
        return out->target.len == 1 && out->method_id == HTTP1_OPTIONS;
    return read_absolute_form(out);
}

static enum cause refuse(const char **detail, const char *why, enum cause cause)
{
    *detail = why;
    return cause;
}

/* Takes "METHOD SP" off the line. */
static bool read_method(struct span *line, struct http1_head *out)
{
    size_t at = 0;

    while (at < line->len && octet_is(line->ptr[at], OCTET_TOKEN))
        at++;
    if (at == 0 || at > HTTP1_METHOD_MAX || at == line->len || line->ptr[at] != ' ')
        return false;
    out->method = (struct span){line->ptr, at};
    out->method_id = http1_method_of(out->method);
    line->ptr += at + 1;
    line->len -= at + 1;
    return true;
}

/* RFC 9112 3: single spaces, and nothing that another reader of the line might cut elsewhere. */
static enum cause read_request_line(struct span line, struct http1_head *out, const char **detail)
{
    const char *space;
    int minor;

    if (!read_method(&line, out))
        return refuse(detail, "the method is not sound", CAUSE_BAD_REQUEST);
    space = memchr(line.ptr, ' ', line.len);
    if (space == NULL)
        return refuse(detail, "the request line has no HTTP version", CAUSE_BAD_REQUEST);
    out->target = (struct span){line.ptr, (size_t)(space - line.ptr)};
    minor = http1_read_version((struct span){space + 1, line.len - out->target.len - 1});
    if (minor == -1)
        return refuse(detail, "only HTTP/1.1 and HTTP/1.0 are served", CAUSE_VERSION);
    if (minor < 0)
        return refuse(detail, "the request line does not end with an HTTP version", CAUSE_BAD_REQUEST);
    out->minor = (uint8_t)minor;
    if (out->method_id == HTTP1_CONNECT && !out->takes_connect)
        return refuse(detail, "CONNECT is not served", CAUSE_METHOD);
    if (!read_target(out))
        return refuse(detail, "the request target is not sound", CAUSE_BAD_REQUEST);
    POST(out->path.len != 0 && (out->method_id == HTTP1_CONNECT || strchr("/*?", out->path.ptr[0]) != NULL));
    return CAUSE_NONE;
}

enum cause http1_parse_request_line(struct span line, struct http1_head *out)
{
    const char *detail;

    return read_request_line(line, out, &detail);
}

void http1_request_words(struct span bytes, struct span *method, struct span *target)
{
    struct span line = {bytes.ptr, octet_find_line_end(bytes, 0)};
    const char *space = line.len != 0 ? memchr(line.ptr, ' ', line.len) : NULL;

    *method = *target = (struct span){bytes.ptr, 0};
    if (space == NULL || !http1_is_token((struct span){line.ptr, (size_t)(space - line.ptr)}))
        return;
    method->len = (size_t)(space - line.ptr);
    *target = (struct span){space + 1, line.len - method->len - 1};
    if (method->len > HTTP1_METHOD_MAX)
        method->len = HTTP1_METHOD_MAX;
    space = target->len != 0 ? memchr(target->ptr, ' ', target->len) : NULL;
    if (space != NULL)
        target->len = (size_t)(space - target->ptr);
    POST(target->ptr + target->len <= line.ptr + line.len);
}

/*
 * RFC 9112 3.2. Beside an absolute-form target, what it says is ignored (3.2.2); it has to be there and sound all the
 * same.
 */
static const char *host_fault(struct http1_head *out, const struct http1_seen *seen)
{
    unsigned count = seen->count[HTTP1_FIELD_HOST];

    if (count > 1)
        return "two Host fields";
    if (count == 0)
        return out->minor == 1 ? "no Host field" : NULL;
    out->host = out->fields[seen->first[HTTP1_FIELD_HOST]].value;
    if (!http1_is_host(out->host))
        return "Host is not a host";
    return NULL;
}

/* RFC 9110 10.1.1; in HTTP/1.0 the field means nothing, and without content there is nothing to wait with. */
static bool read_expect(struct http1_head *out)
{
    struct span rest, element;

    for (unsigned i = 0; i < out->field_count; i++) {
        if (out->fields[i].id != HTTP1_FIELD_EXPECT)
            continue;
        rest = out->fields[i].value;
        while (span_next_element(&rest, &element))
            if (!span_eq_nocase(element, SPAN_LIT("100-continue")))
                return false;
    }
    PRE(out->framing != HTTP1_UNTIL_CLOSE);
    out->expect_continue =
        out->framing == HTTP1_CHUNKED || (out->framing == HTTP1_LENGTH && out->content_length != 0);
    return true;
}

/* RFC 9110 10.1.4. */
static void read_te(struct http1_head *out)
{
    struct span rest, element;

    for (unsigned i = 0; i < out->field_count; i++) {
        if (out->fields[i].id != HTTP1_FIELD_TE)
            continue;
        rest = out->fields[i].value;
        while (span_next_element(&rest, &element))
            out->te_trailers |= span_eq_nocase(element, SPAN_LIT("trailers"));
    }
}

/* Two of them say nothing, and neither does one that Connection keeps from going on (W3C Trace Context 3.2). */
static void read_traceparent(struct http1_head *out, const struct http1_seen *seen)
{
    const struct http1_field *field = &out->fields[seen->first[HTTP1_FIELD_TRACEPARENT]];

    if (seen->count[HTTP1_FIELD_TRACEPARENT] == 1 && !field->nominated)
        out->traceparent = field->value;
}

/* RFC 9110 9.3.6: what follows are the tunnel's bytes, and nothing else. */
static bool has_content_of_connect(struct http1_head *out)
{
    if (out->framing == HTTP1_CHUNKED || (out->framing == HTTP1_LENGTH && out->content_length != 0))
        return true;
    out->framing = HTTP1_NO_CONTENT;
    return false;
}

/* What the fields say, once they are all known. */
static enum cause read_meaning(struct http1_head *out, const struct http1_seen *seen, const char **detail)
{
    const char *fault = host_fault(out, seen);
    enum cause cause;

    if (fault != NULL)
        return refuse(detail, fault, CAUSE_BAD_REQUEST);
    if (!http1_read_connection(out, seen, detail))
        return CAUSE_HEAD_TOO_LARGE;
    cause = http1_read_framing(out, seen, false, detail);
    if (cause != CAUSE_NONE)
        return cause;
    if (out->method_id == HTTP1_CONNECT && has_content_of_connect(out))
        return refuse(detail, "CONNECT has no content", CAUSE_BAD_REQUEST);
    read_traceparent(out, seen);
    if (seen->count[HTTP1_FIELD_UPGRADE] != 0)
        out->upgrade = (struct span){NULL, 0};
    if (out->minor == 1 && seen->count[HTTP1_FIELD_EXPECT] != 0 && !read_expect(out))
        return refuse(detail, "an expectation other than 100-continue", CAUSE_EXPECTATION);
    if (out->minor == 1 && seen->count[HTTP1_FIELD_TE] != 0)
        read_te(out);
    return CAUSE_NONE;
}

/* The head that `bytes` begin with, which ends before *end. */
static inline __attribute__((always_inline)) enum cause read_head(struct span bytes, struct http1_head *out,
                                                                  size_t *end, const char **detail)
{
    struct span line = {bytes.ptr, octet_find_line_end(bytes, 0)};
    struct http1_seen seen;
    enum cause cause;

    *detail = "";
    out->odd = bytes;
    out->code = 0;
    out->reason = out->host = out->traceparent = (struct span){NULL, 0};
    out->expect_continue = out->te_trailers = out->tolerated = false;
    out->described = HTTP1_NO_CONTENT;
    cause = read_request_line(line, out, detail);
    if (cause != CAUSE_NONE)
        return cause;
    *end = http1_behind_line_end(bytes, line.len, NULL);
    if (*end == 0)
        return refuse(detail, "a control byte in the request line", CAUSE_BAD_REQUEST);
    cause = http1_read_fields(bytes, end, false, out, &seen, detail);
    if (cause != CAUSE_NONE)
        return cause;
    out->whole = (struct span){bytes.ptr, *end};
    return read_meaning(out, &seen, detail);
}

enum cause http1_parse_request(struct span head, struct http1_head *out, const char **detail)
{
    enum cause cause;
    size_t end;

    cause = read_head(head, out, &end, detail);
    if (cause == CAUSE_NONE && end != head.len)
        return refuse(detail, "the head does not end with its first empty line", CAUSE_BAD_REQUEST);
    return cause;
}

bool http1_read_request(struct span bytes, struct http1_head *out, size_t *end)
{
    const char *detail;

    return read_head(bytes, out, end, &detail) == CAUSE_NONE;
}
