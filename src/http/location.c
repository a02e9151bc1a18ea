#include "http/location.h"

#include <arpa/inet.h>

#include "base/invariant.h"
#include "base/number.h"

struct authority {
    struct span host; /* an IPv6 address with its brackets; of a name, without the dot at its end */
    uint64_t port;
};

bool location_is_told_by(const struct http1_field *field)
{
    switch (field->name.len) {
    case sizeof("Location") - 1: return span_eq_nocase(field->name, SPAN_LIT("Location"));
    case sizeof("Content-Location") - 1: return span_eq_nocase(field->name, SPAN_LIT("Content-Location"));
    default: return false;
    }
}

static size_t find_any(struct span s, const char *characters)
{
    size_t at = 0;

    while (at < s.len && (s.ptr[at] == '\0' || strchr(characters, s.ptr[at]) == NULL))
        at++;
    return at;
}

static struct span behind(struct span s, size_t at)
{
    PRE(at <= s.len);
    return (struct span){s.ptr + at, s.len - at};
}

/* RFC 3986 3.2.3: a port that is empty, as one that is left out, is the scheme's. */
static bool read_port(struct span port, uint64_t *out)
{
    return port.len == 0 || number_u64(port, out) == NUMBER_OK;
}

static bool read_authority(struct span text, bool is_https, struct authority *out)
{
    bool is_bracketed = text.len != 0 && text.ptr[0] == '[';
    size_t end = is_bracketed ? find_any(text, "]") + 1 : find_any(text, ":");

    out->port = is_https ? 443 : 80;
    if (end == 0 || end > text.len || !http1_is_host(text))
        return false;
    out->host = (struct span){text.ptr, end};
    if (!is_bracketed && end > 1 && text.ptr[end - 1] == '.')
        out->host.len--;
    return end == text.len || read_port(behind(text, end + 1), &out->port);
}

/* The 16 bytes of "[address]". */
static bool read_ipv6(struct span bracketed, unsigned char ip[16])
{
    char text[INET6_ADDRSTRLEN];

    if (bracketed.len < 2 || bracketed.ptr[0] != '[' || bracketed.len - 2 >= sizeof(text))
        return false;
    memcpy(text, bracketed.ptr + 1, bracketed.len - 2);
    text[bracketed.len - 2] = '\0';
    return inet_pton(AF_INET6, text, ip) == 1;
}

static bool is_same_host(struct span a, struct span b)
{
    unsigned char ip_a[16], ip_b[16];

    if (span_eq_nocase(a, b))
        return true;
    return read_ipv6(a, ip_a) && read_ipv6(b, ip_b) && memcmp(ip_a, ip_b, sizeof(ip_a)) == 0;
}

static bool is_same_authority(struct span text, const struct authority *other, bool is_https)
{
    struct authority own;

    return read_authority(text, is_https, &own) && own.port == other->port &&
           is_same_host(own.host, other->host);
}

static bool take_prefix(struct span *s, struct span prefix)
{
    if (s->len < prefix.len || !span_eq_nocase((struct span){s->ptr, prefix.len}, prefix))
        return false;
    *s = behind(*s, prefix.len);
    return true;
}

/* "." or "..", each dot perhaps percent-encoded (RFC 3986 5.2.4, 6.2.2.2). */
static bool is_dots(struct span segment)
{
    unsigned dots = 0;

    while (take_prefix(&segment, SPAN_LIT(".")) || take_prefix(&segment, SPAN_LIT("%2e")))
        dots++;
    return segment.len == 0 && (dots == 1 || dots == 2);
}

static bool has_dots(struct span path)
{
    while (path.len != 0) {
        size_t end = find_any(path, "/");

        if (is_dots((struct span){path.ptr, end}))
            return true;
        path = behind(path, end < path.len ? end + 1 : end);
    }
    return false;
}

/* The base path ends on the border of a segment. */
static bool take_base(struct span base, struct span *rest)
{
    struct span path = {rest->ptr, find_any(*rest, "?#")};

    if (base.len == 0)
        return true;
    if (path.len < base.len || memcmp(path.ptr, base.ptr, base.len) != 0 ||
        (path.len > base.len && path.ptr[base.len] != '/') || has_dots(path))
        return false;
    *rest = behind(*rest, base.len);
    return true;
}

bool location_is_own(const struct forward_rules *rules, struct span uri, struct span *rest)
{
    struct authority authority;
    size_t end;

    (void)take_prefix(&uri, rules->is_https ? SPAN_LIT("https:") : SPAN_LIT("http:"));
    if (!take_prefix(&uri, SPAN_LIT("//")))
        return false;
    end = find_any(uri, "/?#");
    *rest = behind(uri, end);
    return read_authority((struct span){uri.ptr, end}, rules->is_https, &authority) &&
           (is_same_authority(rules->origin, &authority, rules->is_https) ||
            is_same_authority(rules->host, &authority, rules->is_https)) &&
           take_base(rules->base_path, rest);
}
