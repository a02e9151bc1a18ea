#include "http/h2_head.h"

#include <string.h>

#include "base/invariant.h"
#include "http/grpc.h"
#include "http/http1.h"

/* Of a request there is a method, a scheme, an authority and a path; gRPC wants a TE. */
#define EXTRA_FIELDS 5
/* Shorter ones are guessed by who sees the sizes of many requests (RFC 7541 7.1.3). */
#define COOKIE_SAFE  20

size_t h2_head_most(struct span lines)
{
    return span_count(lines, '\n') + EXTRA_FIELDS;
}

/* Up to the line end, which is consumed; false: there is none, or the line is empty. */
static bool take_line(struct span *rest, struct span *line)
{
    const char *end = memchr(rest->ptr, '\n', rest->len);

    if (end == NULL)
        return false;
    *line = (struct span){rest->ptr, (size_t)(end - rest->ptr)};
    *rest = (struct span){end + 1, rest->len - line->len - 1};
    if (line->len != 0 && line->ptr[line->len - 1] == '\r')
        line->len--;
    return line->len != 0;
}

static struct span take_until(struct span *rest, char mark)
{
    const char *end = memchr(rest->ptr, mark, rest->len);
    struct span word = {rest->ptr, end != NULL ? (size_t)(end - rest->ptr) : rest->len};
    size_t used = word.len + (end != NULL);

    *rest = (struct span){rest->ptr + used, rest->len - used};
    return word;
}

bool h2_head_is_for_one_hop(struct span name)
{
    switch (name.len) {
    case 2: return span_eq(name, SPAN_LIT("te"));
    case 7: return span_eq(name, SPAN_LIT("upgrade"));
    case 10: return span_eq(name, SPAN_LIT("connection")) || span_eq(name, SPAN_LIT("keep-alive"));
    case 14: return span_eq(name, SPAN_LIT("http2-settings"));
    case 16: return span_eq(name, SPAN_LIT("proxy-connection"));
    case 17: return span_eq(name, SPAN_LIT("transfer-encoding"));
    default: return false;
    }
}

/*
 * Secrets; and what is another value in each message: in the compression's table they would only push out those that
 * come again, and be compared with each other every time.
 */
static bool is_never_indexed(const struct h2_field *field)
{
    switch (field->name.len) {
    case 6: return span_eq(field->name, SPAN_LIT("cookie")) && field->value.len < COOKIE_SAFE;
    case 11: return span_eq(field->name, SPAN_LIT("traceparent"));
    case 12:
        return span_eq(field->name, SPAN_LIT("x-request-id")) ||
               span_eq(field->name, SPAN_LIT("grpc-timeout"));
    case 13:
        return span_eq(field->name, SPAN_LIT("authorization")) ||
               span_eq(field->name, SPAN_LIT("x-curfew-call"));
    case 19: return span_eq(field->name, SPAN_LIT("proxy-authorization"));
    default: return false;
    }
}

/* *host: what Host says, if that is wanted: it is another field here. */
static size_t put_lines(struct span lines, struct h2_field *fields, char *names, struct span *host)
{
    struct span line;
    size_t count = 0;

    while (take_line(&lines, &line)) {
        struct h2_field *field = &fields[count];

        field->name = span_lower(take_until(&line, ':'), names);
        field->value = span_trim(line);
        field->never_indexed = is_never_indexed(field);
        names += field->name.len;
        if (host != NULL && span_eq(field->name, SPAN_LIT("host")))
            *host = field->value;
        else if (!h2_head_is_for_one_hop(field->name))
            count++;
    }
    return count;
}

size_t h2_head_of_lines(struct span lines, struct h2_field *fields, char *names)
{
    return put_lines(lines, fields, names, NULL);
}

static bool is_grpc(const struct h2_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (span_eq(fields[i].name, SPAN_LIT("content-type")))
            return grpc_is_type(fields[i].value);
    return false;
}

size_t h2_head_of_request(struct span head, bool is_https, struct h2_field *fields, char *names)
{
    struct span line = {0}, host = SPAN_LIT("");
    bool has_line = take_line(&head, &line);
    size_t count = 4;

    PRE(has_line); /* it is one that we have made */
    fields[0] = (struct h2_field){SPAN_LIT(":method"), take_until(&line, ' '), false};
    fields[1] =
        (struct h2_field){SPAN_LIT(":scheme"), is_https ? SPAN_LIT("https") : SPAN_LIT("http"), false};
    fields[3] = (struct h2_field){SPAN_LIT(":path"), take_until(&line, ' '), false};
    count += put_lines(head, fields + count, names, &host);
    fields[2] = (struct h2_field){SPAN_LIT(":authority"), host, false};
    if (is_grpc(fields, count))
        fields[count++] = (struct h2_field){SPAN_LIT("te"), SPAN_LIT("trailers"), false};
    return count;
}

bool h2_head_put_status(struct text *out, struct span status)
{
    uint16_t code;

    if (status.len != 3 || status.ptr[0] < '1' || status.ptr[0] > '9')
        return false;
    for (int i = 1; i < 3; i++)
        if (status.ptr[i] < '0' || status.ptr[i] > '9')
            return false;
    code = (uint16_t)((status.ptr[0] - '0') * 100 + (status.ptr[1] - '0') * 10 + (status.ptr[2] - '0'));
    if (code == 101)
        return false;
    TEXT_LIT(out, "HTTP/1.1 ");
    text_put(out, status);
    TEXT_LIT(out, " ");
    text_put(out, span_of(http1_reason(code)));
    TEXT_LIT(out, "\r\n");
    return !out->overflow;
}

bool h2_head_put_field(struct text *out, struct span name, struct span value)
{
    text_put(out, name);
    TEXT_LIT(out, ": ");
    text_put(out, value);
    TEXT_LIT(out, "\r\n");
    return !out->overflow;
}
