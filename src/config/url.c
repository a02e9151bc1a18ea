#include "config/url.h"

#include "base/number.h"
#include "config/address.h"

#define HOST_MAX  253
#define LABEL_MAX 63

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'z';
}

static bool is_hex(char c)
{
    return is_digit(c) || (is_letter(c) && (c | 0x20) <= 'f');
}

static bool take_prefix(struct span *s, const char *prefix)
{
    size_t len = strlen(prefix);

    if (s->len < len || !span_eq_nocase((struct span){s->ptr, len}, span_of(prefix)))
        return false;
    s->ptr += len;
    s->len -= len;
    return true;
}

static bool is_one_of(const char *characters, char c)
{
    return c != '\0' && strchr(characters, c);
}

/* Where the first of these characters stands; the length if none does. */
static size_t find_any(struct span s, const char *characters)
{
    size_t at = 0;

    while (at < s.len && !is_one_of(characters, s.ptr[at]))
        at++;
    return at;
}

bool url_is_path(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (c == '%') {
            if (s.len - i < 3 || !is_hex(s.ptr[i + 1]) || !is_hex(s.ptr[i + 2]))
                return false;
        } else if (!is_letter(c) && !is_digit(c) && !is_one_of("-._~!$&'()*+,;=:@/", c)) {
            return false;
        }
    }
    return true;
}

/* One label of a name: letters, digits, hyphens, and underscores as many names have them. */
static bool is_label(struct span s)
{
    if (s.len == 0 || s.len > LABEL_MAX || s.ptr[0] == '-' || s.ptr[s.len - 1] == '-')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_letter(s.ptr[i]) && !is_digit(s.ptr[i]) && s.ptr[i] != '-' && s.ptr[i] != '_')
            return false;
    }
    return true;
}

static bool is_number(struct span s)
{
    uint64_t n;

    return number_u64(s, &n) != NUMBER_SYNTAX;
}

/*
 * A name whose last label is a number was meant to be an IPv4 address (as browsers have it too). One dot at the end
 * says that the name is whole, and is not to be tried in the domains of a search list.
 */
static const char *check_name(struct span host)
{
    struct span rest = host, label;

    if (rest.len > 1 && rest.ptr[rest.len - 1] == '.')
        rest.len--;
    if (rest.len > HOST_MAX)
        return "the host is longer than 253 bytes";
    do {
        label = (struct span){rest.ptr, find_any(rest, ".")};
        if (!is_label(label))
            return "the host is not a valid name";
        rest.ptr += label.len;
        rest.len -= label.len;
    } while (take_prefix(&rest, "."));
    return is_number(label) ? "the host is neither a name nor a valid IP address" : NULL;
}

static const char *parse_host(struct span host, struct url *out)
{
    bool is_bracketed = host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';

    if (host.len == 0)
        return "there is no host";
    if (is_bracketed)
        host = (struct span){host.ptr + 1, host.len - 2};
    out->host = host;
    out->host_is_ip = endpoint_parse_ip(host, &out->ip);
    if (is_bracketed)
        return out->host_is_ip && out->ip.family == ENDPOINT_IPV6 ? NULL
                                                                  : "not a valid IPv6 address in brackets";
    if (find_any(host, ":") < host.len)
        return "an IPv6 address is written in brackets, as in http://[::1]:8080";
    return out->host_is_ip ? NULL : check_name(host);
}

bool url_is_host(struct span text, struct url *out)
{
    out->host = text;
    out->host_is_ip = endpoint_parse_ip(text, &out->ip);
    return out->host_is_ip || !check_name(text);
}

static const char *parse_port(struct span port, struct url *out)
{
    uint64_t n;

    if (number_u64(port, &n) != NUMBER_OK || n == 0 || n > UINT16_MAX)
        return "the port must be a number from 1 to 65535";
    out->has_default_port = n == out->port;
    out->port = (uint16_t)n;
    return NULL;
}

/* The port stands behind the last colon, if that is not inside brackets. */
static const char *parse_authority(struct span authority, struct url *out)
{
    size_t colon = authority.len;
    const char *why;

    if (find_any(authority, "@") < authority.len)
        return "user and password have no place here; set an Authorization header";
    while (colon > 0 && authority.ptr[colon - 1] != ':' && authority.ptr[colon - 1] != ']')
        colon--;
    out->port = out->is_https ? 443 : 80;
    out->has_default_port = true;
    if (colon == 0 || authority.ptr[colon - 1] == ']')
        return parse_host(authority, out);
    why = parse_host((struct span){authority.ptr, colon - 1}, out);
    return why ? why : parse_port((struct span){authority.ptr + colon, authority.len - colon}, out);
}

const char *url_parse(struct span text, struct url *out)
{
    struct span authority;

    *out = (struct url){.is_https = take_prefix(&text, "https://")};
    if (!out->is_https && !take_prefix(&text, "http://"))
        return "must start with http:// or https://";
    authority = (struct span){text.ptr, find_any(text, "/?#")};
    out->base_path = (struct span){text.ptr + authority.len, text.len - authority.len};
    if (find_any(out->base_path, "?#") < out->base_path.len)
        return "query and fragment have no place here";
    if (!url_is_path(out->base_path))
        return "a character in the path must be percent-encoded";
    while (out->base_path.len != 0 && out->base_path.ptr[out->base_path.len - 1] == '/')
        out->base_path.len--;
    return parse_authority(authority, out);
}
