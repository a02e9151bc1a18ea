#include "config/address.h"

#include <string.h>

#include "base/number.h"

/* sun_path, without its terminator. */
#define UNIX_PATH_MAX_LEN 107

static bool starts_with(struct span s, const char *prefix)
{
    size_t len = strlen(prefix);

    return s.len >= len && memcmp(s.ptr, prefix, len) == 0;
}

static bool is_digits(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    }
    return s.len != 0;
}

static const char *parse_unix(const char *path, struct endpoint *out)
{
    out->family = ENDPOINT_UNIX;
    out->path = path;
    if (path[0] != '/')
        return "the path of a unix socket starts with /";
    return strlen(path) > UNIX_PATH_MAX_LEN ? "the path of a unix socket has at most 107 bytes" : NULL;
}

/* An IPv4 address inside an IPv6 one (RFC 4291 2.5.5.2): a socket for IPv6 alone can't be bound to it. */
static bool is_mapped(const struct endpoint *address)
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

    return address->family == ENDPOINT_IPV6 && memcmp(address->ip, prefix, sizeof(prefix)) == 0;
}

static const char *parse_host(struct span host, struct endpoint *out)
{
    bool is_bracketed = host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';

    if (is_bracketed)
        host = (struct span){host.ptr + 1, host.len - 2};
    else if (span_eq_nocase(host, SPAN_LIT("localhost")))
        host = SPAN_LIT("127.0.0.1");
    if (!is_bracketed && memchr(host.ptr, ':', host.len))
        return "an IPv6 address is written in brackets, as in [::1]:8080";
    if (!endpoint_parse_ip(host, out) || is_bracketed != (out->family == ENDPOINT_IPV6))
        return "the host must be an IP address or localhost";
    return is_mapped(out) ? "an IPv4 address is written as one, as in 127.0.0.1:8080" : NULL;
}

static const char *parse_port(struct span text, struct endpoint *out)
{
    uint64_t port;

    if (number_u64(text, &port) != NUMBER_OK || port > UINT16_MAX)
        return "the port must be a number from 0 to 65535";
    out->port = (uint16_t)port;
    return NULL;
}

/* What looks like an address of another program's configuration. */
static const char *explain(struct span all)
{
    if (starts_with(all, "http://") || starts_with(all, "https://"))
        return "curfew listens on an address, without a scheme and a path; write for example 127.0.0.1:8080";
    if (starts_with(all, "tcp:"))
        return "an address has no tcp: before it; write for example 127.0.0.1:8080";
    if (starts_with(all, "/"))
        return "the path of a unix socket has unix: before it, as in unix:/run/curfew.sock";
    if (starts_with(all, "*") || (starts_with(all, ":") && !starts_with(all, "::")))
        return "for every address of the machine write 0.0.0.0:8080 (IPv4) or \"[::]:8080\" (IPv6); for this "
               "machine alone, 8080";
    return NULL;
}

const char *address_parse(const char *text, struct endpoint *out)
{
    struct span all = span_of(text);
    const char *colon = strrchr(text, ':');
    const char *why = explain(all);

    *out = (struct endpoint){.text = text};
    if (why)
        return why;
    if (starts_with(all, "unix:"))
        return parse_unix(text + strlen("unix:"), out);
    if (!colon && is_digits(all)) {
        out->ip[0] = 127;
        out->ip[3] = 1;
        return parse_port(all, out);
    }
    if (endpoint_parse_ip(all, out) && out->family == ENDPOINT_IPV4)
        return "the port is missing; write for example 127.0.0.1:8080";
    if (!colon || text[all.len - 1] == ']')
        return "not an address; write for example 8080, 127.0.0.1:8080, \"[::1]:8080\" or unix:/run/curfew.sock";
    why = parse_port(span_of(colon + 1), out);
    return why ? why : parse_host((struct span){text, (size_t)(colon - text)}, out);
}
