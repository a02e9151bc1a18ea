#include "faulty/request.h"

#include "base/number.h"

static bool is_token_char(char c)
{
    static const char others[] = "!#$%&'*+-.^_`|~";

    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != '\0' && strchr(others, c) != NULL);
}

static bool is_token(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_token_char(s.ptr[i]))
            return false;
    return s.len != 0;
}

/* Field values and targets: no control characters; a target has no space either. */
static bool is_clean(struct span s, bool spaces)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if (c == 0x7f || c < 0x20 || c == ' ')
            if (!(spaces && (c == ' ' || c == '\t')))
                return false;
    }
    return true;
}

/* Cuts *rest at the first `c`: what is before it is returned, what follows stays. Without one, all is taken. */
static struct span take_until(struct span *rest, char c)
{
    const char *at = rest->len != 0 ? memchr(rest->ptr, c, rest->len) : NULL;
    struct span taken = *rest;

    if (at == NULL) {
        *rest = (struct span){rest->ptr + rest->len, 0};
        return taken;
    }
    taken.len = (size_t)(at - rest->ptr);
    *rest = (struct span){at + 1, rest->len - taken.len - 1};
    return taken;
}

/* A line ends with CRLF; a bare CR or LF is an error. */
static bool take_line(struct span *rest, struct span *line)
{
    *line = take_until(rest, '\n');
    if (line->len == 0 || line->ptr[line->len - 1] != '\r')
        return false;
    line->len--;
    return memchr(line->ptr, '\r', line->len) == NULL;
}

/* "http://host:port/path" (RFC 9112 3.2.2) to "/path". */
static struct span origin_form(struct span target)
{
    struct span rest = target;
    struct span scheme = take_until(&rest, ':');

    if ((span_eq_nocase(scheme, SPAN_LIT("http")) || span_eq_nocase(scheme, SPAN_LIT("https"))) &&
        rest.len > 2 && memcmp(rest.ptr, "//", 2) == 0) {
        const char *slash = memchr(rest.ptr + 2, '/', rest.len - 2);

        if (slash == NULL)
            return SPAN_LIT("/");
        return (struct span){slash, (size_t)(rest.ptr + rest.len - slash)};
    }
    return target;
}

static int parse_request_line(struct span line, struct faulty_request *r)
{
    struct span target;

    r->method = take_until(&line, ' ');
    target = take_until(&line, ' ');
    if (!is_token(r->method) || target.len == 0 || !is_clean(target, false))
        return 400;
    if (span_eq(line, SPAN_LIT("HTTP/1.1")))
        r->minor = 1;
    else if (span_eq(line, SPAN_LIT("HTTP/1.0")))
        r->minor = 0;
    else
        return line.len == 8 && memcmp(line.ptr, "HTTP/", 5) == 0 ? 505 : 400;
    r->head = span_eq(r->method, SPAN_LIT("HEAD"));
    r->keep_alive = r->minor == 1;
    r->query = origin_form(target);
    r->path = take_until(&r->query, '?');
    return 0;
}

static int take_connection(struct faulty_request *r, struct span value)
{
    struct span option;

    while (span_next_element(&value, &option)) {
        if (span_eq_nocase(option, SPAN_LIT("close")))
            r->keep_alive = false;
        else if (span_eq_nocase(option, SPAN_LIT("keep-alive")) && r->minor == 0)
            r->keep_alive = true;
    }
    return 0;
}

static int take_content_length(struct faulty_request *r, struct span value)
{
    uint64_t bytes;

    if (number_u64(value, &bytes) != NUMBER_OK || (r->has_length && bytes != r->content_bytes))
        return 400;
    r->has_length = true;
    r->content_bytes = bytes;
    return 0;
}

static int take_transfer_encoding(struct faulty_request *r, struct span value)
{
    if (r->chunked || r->minor == 0)
        return 400;
    if (!span_eq_nocase(value, SPAN_LIT("chunked")))
        return 501;
    r->chunked = true;
    return 0;
}

static int take_expect(struct faulty_request *r, struct span value)
{
    if (!span_eq_nocase(value, SPAN_LIT("100-continue")))
        return 417;
    r->expects_continue = r->minor == 1;
    return 0;
}

static int take_field(struct faulty_request *r, struct span line)
{
    struct span value = line;
    struct span name = take_until(&value, ':');

    if (name.len == line.len || !is_token(name) || !is_clean(value, true))
        return 400;
    value = span_trim(value);
    if (span_eq_nocase(name, SPAN_LIT("Host")))
        r->hosts++;
    if (span_eq_nocase(name, SPAN_LIT("Connection")))
        return take_connection(r, value);
    if (span_eq_nocase(name, SPAN_LIT("Content-Length")))
        return take_content_length(r, value);
    if (span_eq_nocase(name, SPAN_LIT("Transfer-Encoding")))
        return take_transfer_encoding(r, value);
    if (span_eq_nocase(name, SPAN_LIT("Expect")))
        return take_expect(r, value);
    return 0;
}

int faulty_request_parse(struct span head, struct faulty_request *request)
{
    struct span line;
    int refusal;

    *request = (struct faulty_request){0};
    if (!take_line(&head, &line))
        return 400;
    refusal = parse_request_line(line, request);
    while (refusal == 0) {
        if (!take_line(&head, &line))
            return 400;
        if (line.len == 0)
            break;
        refusal = take_field(request, line);
    }
    if (refusal != 0)
        return refusal;
    /* RFC 9112 3.2 and 6.1. */
    if (request->hosts > 1 || (request->minor == 1 && request->hosts == 0))
        return 400;
    return request->chunked && request->has_length ? 400 : 0;
}

bool faulty_request_param(struct span query, struct span name, struct span *value)
{
    while (query.len != 0) {
        *value = take_until(&query, '&');
        if (span_eq(take_until(value, '='), name))
            return true;
    }
    return false;
}
