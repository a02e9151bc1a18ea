#include "http/http1_fields.h"

#include "base/invariant.h"
#include "http/octet.h"

/* Each name that Connection nominates is looked for among all fields; so many looks are taken for one message. */
#define LOOKS_MAX (1 << 18)

_Static_assert(HTTP1_FIELD_IDS <= 32, "http1_head.known has a bit for each");

static const struct span lower_names[HTTP1_FIELD_IDS] = {
#define NAME(id, text) [HTTP1_FIELD_##id] = {(text), sizeof(text) - 1}
    NAME(AUTHORIZATION, "authorization"),
    NAME(CONNECTION, "connection"),
    NAME(CONTENT_LENGTH, "content-length"),
    NAME(DATE, "date"),
    NAME(EXPECT, "expect"),
    NAME(FORWARDED, "forwarded"),
    NAME(HOST, "host"),
    NAME(KEEP_ALIVE, "keep-alive"),
    NAME(PERSISTENT_AUTH, "persistent-auth"),
    NAME(PROXY_AUTHENTICATE, "proxy-authenticate"),
    NAME(PROXY_AUTHORIZATION, "proxy-authorization"),
    NAME(PROXY_CONNECTION, "proxy-connection"),
    NAME(TE, "te"),
    NAME(TRACEPARENT, "traceparent"),
    NAME(TRACESTATE, "tracestate"),
    NAME(TRAILER, "trailer"),
    NAME(TRANSFER_ENCODING, "transfer-encoding"),
    NAME(UPGRADE, "upgrade"),
    NAME(VIA, "via"),
    NAME(WWW_AUTHENTICATE, "www-authenticate"),
    NAME(X_FORWARDED_FOR, "x-forwarded-for"),
    NAME(X_FORWARDED_HOST, "x-forwarded-host"),
    NAME(X_FORWARDED_PROTO, "x-forwarded-proto"),
#undef NAME
};

/* The one known field that a name can be, by its length and its first letter in lower case. */
static inline __attribute__((always_inline)) enum http1_field_id candidate(size_t len, char first)
{
    switch (len) {
    case 2: return HTTP1_FIELD_TE;
    case 3: return HTTP1_FIELD_VIA;
    case 4: return first == 'h' ? HTTP1_FIELD_HOST : HTTP1_FIELD_DATE;
    case 6: return HTTP1_FIELD_EXPECT;
    case 7: return first == 'u' ? HTTP1_FIELD_UPGRADE : HTTP1_FIELD_TRAILER;
    case 9: return HTTP1_FIELD_FORWARDED;
    case 10:
        return first == 'k'   ? HTTP1_FIELD_KEEP_ALIVE
               : first == 'c' ? HTTP1_FIELD_CONNECTION
                              : HTTP1_FIELD_TRACESTATE;
    case 11: return HTTP1_FIELD_TRACEPARENT;
    case 13: return HTTP1_FIELD_AUTHORIZATION;
    case 14: return HTTP1_FIELD_CONTENT_LENGTH;
    case 15: return first == 'x' ? HTTP1_FIELD_X_FORWARDED_FOR : HTTP1_FIELD_PERSISTENT_AUTH;
    case 16:
        return first == 'x'   ? HTTP1_FIELD_X_FORWARDED_HOST
               : first == 'w' ? HTTP1_FIELD_WWW_AUTHENTICATE
                              : HTTP1_FIELD_PROXY_CONNECTION;
    case 17: return first == 'x' ? HTTP1_FIELD_X_FORWARDED_PROTO : HTTP1_FIELD_TRANSFER_ENCODING;
    case 18: return HTTP1_FIELD_PROXY_AUTHENTICATE;
    case 19: return HTTP1_FIELD_PROXY_AUTHORIZATION;
    default: return HTTP1_FIELD_OTHER;
    }
}

/* Eight letters at once, in lower case if they are letters, as far as is_in_any_case needs to know. */
static uint64_t eight_lower(const char *bytes)
{
    uint64_t eight;

    memcpy(&eight, bytes, sizeof(eight));
    return eight | UINT64_C(0x2020202020202020);
}

/*
 * Is a token this name, which is in lower case, in whatever case? Among what tokens hold, setting bit 5 maps upper case
 * to lower and nothing else onto a letter or '-'. Both are `len` bytes long.
 */
static bool is_in_any_case(const char *token, const char *lower, size_t len)
{
    if (len >= 8) {
        for (size_t at = 0; at + 8 < len; at += 8)
            if (eight_lower(token + at) != eight_lower(lower + at))
                return false;
        return eight_lower(token + len - 8) == eight_lower(lower + len - 8);
    }
    for (size_t i = 0; i < len; i++)
        if ((token[i] | 0x20) != lower[i])
            return false;
    return true;
}

/* Which field a name stands for. It is a token. Inlined, because every field line comes by here. */
static inline __attribute__((always_inline)) enum http1_field_id field_id_of(struct span name)
{
    enum http1_field_id id =
        name.len == 0 ? HTTP1_FIELD_OTHER : candidate(name.len, (char)(name.ptr[0] | 0x20));

    POST(id == HTTP1_FIELD_OTHER || lower_names[id].len == name.len); /* both are read to that length */
    return id != HTTP1_FIELD_OTHER && is_in_any_case(name.ptr, lower_names[id].ptr, name.len)
               ? id
               : HTTP1_FIELD_OTHER;
}

static const char *name_fault(struct span bytes, size_t start, size_t stop)
{
    char c = stop < bytes.len ? bytes.ptr[stop] : '\r';

    if (start == stop && (c == ' ' || c == '\t'))
        return "a folded field line";
    if (start == stop && c == ':')
        return "a field without a name";
    if (c == ' ' || c == '\t')
        return "white space in or behind a field name";
    if (c == '\r')
        return "a field line without a colon";
    return "a field name is not a token";
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/*
 * The bytes from `start` to `stop` without the white space around them (RFC 9110 5.5). Mostly that is one space before
 * them.
 */
static inline __attribute__((always_inline)) struct span value_between(const char *base, size_t start,
                                                                       size_t stop)
{
    if (stop - start >= 2 && base[start] == ' ' && (uint8_t)base[start + 1] > ' ' &&
        (uint8_t)base[stop - 1] > ' ')
        return (struct span){base + start + 1, stop - start - 1};
    while (start < stop && is_space(base[start]))
        start++;
    while (stop > start && is_space(base[stop - 1]))
        stop--;
    return (struct span){base + start, stop - start};
}

/*
 * The field line at *at of `bytes`, which then is behind its line end. False, and *detail, if there is no whole and
 * sound field line (RFC 9112 5). Inlined, because every field line comes by here.
 */
static inline __attribute__((always_inline)) bool read_field_line(struct span bytes, size_t *at,
                                                                  struct http1_field *field, bool *tolerated,
                                                                  const char **detail)
{
    const char *base = bytes.ptr;
    size_t start = *at, colon = octet_find_token_end(bytes, start), stop, next;

    if (colon == start || colon == bytes.len || base[colon] != ':') {
        *detail = name_fault(bytes, start, colon);
        return false;
    }
    stop = octet_find_line_end(bytes, colon + 1);
    next = http1_behind_line_end(bytes, stop, tolerated);
    if (next == 0) {
        *detail = "a control byte in a field value";
        return false;
    }
    field->line = (struct span){base + start, next - start};
    field->name = (struct span){base + start, colon - start};
    field->value = value_between(base, colon + 1, stop);
    field->id = field_id_of(field->name);
    field->nominated = false;
    POST(field->value.ptr + field->value.len < field->line.ptr + field->line.len); /* inside of its line */
    *at = next;
    return true;
}

static bool ends_line(char c)
{
    return c == '\r' || c == '\n';
}

enum cause http1_read_fields(struct span bytes, size_t *at, bool is_response, struct http1_head *out,
                             struct http1_seen *seen, const char **detail)
{
    bool *tolerated = is_response ? &out->tolerated : NULL;
    enum cause broken = is_response ? CAUSE_HTTP_PROTOCOL : CAUSE_BAD_REQUEST;
    struct http1_field *first = out->fields, *field = first, *end = first + out->field_cap;
    size_t start = *at;

    PRE(start != 0 && start <= bytes.len); /* behind the start line */
    memset(seen->count, 0, sizeof(seen->count));
    out->field_count = out->known = 0;
    for (; start < bytes.len && !ends_line(bytes.ptr[start]); field++) {
        if (field == end) {
            *detail = "too many fields";
            out->odd = (struct span){bytes.ptr + start, bytes.len - start};
            return is_response ? CAUSE_RESPONSE_HEAD_SIZE : CAUSE_HEAD_TOO_LARGE;
        }
        if (!read_field_line(bytes, &start, field, tolerated, detail)) {
            out->odd = (struct span){bytes.ptr + start, bytes.len - start};
            return broken;
        }
        if (field->id != HTTP1_FIELD_OTHER && seen->count[field->id]++ == 0) {
            seen->first[field->id] = (uint32_t)(field - first);
            out->known |= 1u << field->id;
        }
    }
    *at = http1_behind_line_end(bytes, start, tolerated);
    if (*at == 0) {
        *detail = "the head does not end with an empty line";
        return broken;
    }
    out->field_count = (uint32_t)(field - first);
    POST(out->field_count <= HTTP1_FIELDS_IN(*at));
    return CAUSE_NONE;
}

static void mark_nominated(struct http1_head *head, struct span name)
{
    for (unsigned i = 0; i < head->field_count; i++)
        if (head->fields[i].name.len == name.len && span_eq_nocase(head->fields[i].name, name))
            head->fields[i].nominated = true;
}

/*
 * Connection names `name`. It may not take away what the next hop needs: framing and Host stay in force, whatever their
 * sender meant, and fields that we write ourselves or that are meant for every recipient stay too (RFC 9110 7.6.1).
 */
static void nominate(struct http1_head *head, struct span name)
{
    switch (field_id_of(name)) {
    case HTTP1_FIELD_HOST:
    case HTTP1_FIELD_CONTENT_LENGTH:
    case HTTP1_FIELD_TRANSFER_ENCODING: head->tolerated = true; return;
    case HTTP1_FIELD_CONNECTION:
    case HTTP1_FIELD_DATE:
    case HTTP1_FIELD_EXPECT:
    case HTTP1_FIELD_FORWARDED:
    case HTTP1_FIELD_VIA:
    case HTTP1_FIELD_X_FORWARDED_FOR:
    case HTTP1_FIELD_X_FORWARDED_HOST:
    case HTTP1_FIELD_X_FORWARDED_PROTO: return;
    default: mark_nominated(head, name); return;
    }
}

struct connection_options {
    bool close, keep_alive;
    unsigned looks;
};

/* False: it would take too long. What is no token may be meant to say "close". */
static bool read_option(struct http1_head *head, struct connection_options *options, struct span option)
{
    if (span_eq_nocase(option, SPAN_LIT("keep-alive"))) {
        options->keep_alive = true;
    } else if (span_eq_nocase(option, SPAN_LIT("close")) || !http1_is_token(option)) {
        options->close = true;
    } else {
        options->looks += head->field_count;
        if (options->looks > LOOKS_MAX)
            return false;
        nominate(head, option);
    }
    return true;
}

bool http1_read_connection(struct http1_head *head, const struct http1_seen *seen, const char **detail)
{
    struct connection_options options = {0};
    unsigned left = seen->count[HTTP1_FIELD_CONNECTION];

    for (unsigned i = seen->first[HTTP1_FIELD_CONNECTION]; left > 0; i++) {
        struct span rest = head->fields[i].value, option;

        PRE(i < head->field_count); /* as many of them are there as were seen */
        if (head->fields[i].id != HTTP1_FIELD_CONNECTION)
            continue;
        left--;
        head->odd = head->fields[i].line;
        while (span_next_element(&rest, &option))
            if (!read_option(head, &options, option)) {
                *detail = "Connection names too many fields";
                return false;
            }
    }
    head->keep_alive = !options.close && (head->minor == 1 || options.keep_alive);
    return true;
}

int http1_read_version(struct span text)
{
    if (text.len != 8 || memcmp(text.ptr, "HTTP/", 5) != 0 || text.ptr[6] != '.' ||
        !octet_is(text.ptr[5], OCTET_DIGIT) || !octet_is(text.ptr[7], OCTET_DIGIT))
        return -2;
    if (text.ptr[5] == '0')
        return -2;
    if (text.ptr[5] != '1')
        return -1;
    return text.ptr[7] == '0' ? 0 : 1;
}

bool http1_next_trailer(struct span *rest, struct http1_field *field, bool *bad)
{
    size_t at = 0;
    const char *detail;

    *bad = false;
    if (rest->len == 0)
        return false;
    if (!read_field_line(*rest, &at, field, NULL, &detail)) {
        *bad = true;
        return false;
    }
    rest->ptr += at;
    rest->len -= at;
    return true;
}

bool http1_is_token(struct span s)
{
    return s.len != 0 && octet_all(s, OCTET_TOKEN);
}

bool http1_is_field_value(struct span s)
{
    return octet_find_line_end(s, 0) == s.len;
}
