#include "config/address.h"

#include <arpa/inet.h>

#include "base/number.h"

/* sun_path, without its terminator. */
#define UNIX_PATH_MAX_LEN 107

static bool starts_with(struct span s, const char *prefix)
{
    size_t len = strlen(prefix);

    return s.len >= len && memcmp(s.ptr, prefix, len) == 0;
}

bool address_parse_ip(struct span text, struct address *out)
{
    char terminated[INET6_ADDRSTRLEN];

    if (text.len >= sizeof(terminated))
        return false;
    memcpy(terminated, text.ptr, text.len);
    terminated[text.len] = '\0';
    out->family = memchr(text.ptr, ':', text.len) ? ADDRESS_IPV6 : ADDRESS_IPV4;
    memset(out->ip, 0, sizeof(out->ip));
    return inet_pton(out->family == ADDRESS_IPV6 ? AF_INET6 : AF_INET, terminated, out->ip) == 1;
}

static const char *parse_unix(const char *path, struct address *out)
{
    out->family = ADDRESS_UNIX;
    out->path = path;
    if (path[0] != '/')
        return "the path of a unix socket starts with /";
    return strlen(path) > UNIX_PATH_MAX_LEN ? "the path of a unix socket has at most 107 bytes" : NULL;
}

static const char *parse_host(struct span host, struct address *out)
{
    bool is_bracketed = host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';

    if (is_bracketed)
        host = (struct span){host.ptr + 1, host.len - 2};
    else if (span_eq_nocase(host, SPAN_LIT("localhost")))
        host = SPAN_LIT("127.0.0.1");
    if (!is_bracketed && memchr(host.ptr, ':', host.len))
        return "an IPv6 address is written in brackets, as in [::1]:8080";
    if (!address_parse_ip(host, out) || is_bracketed != (out->family == ADDRESS_IPV6))
        return "the host must be an IP address or localhost";
    return NULL;
}

const char *address_parse(const char *text, struct address *out)
{
    struct span all = span_of(text);
    const char *colon = strrchr(text, ':');
    uint64_t port;

    *out = (struct address){.text = text};
    if (starts_with(all, "unix:"))
        return parse_unix(text + strlen("unix:"), out);
    if (!colon || colon == text || text[all.len - 1] == ']')
        return "not an address; write for example 127.0.0.1:8080, [::1]:8080 or unix:/run/curfew.sock";
    if (number_u64(span_of(colon + 1), &port) != NUMBER_OK || port > UINT16_MAX)
        return "the port must be a number from 0 to 65535";
    out->port = (uint16_t)port;
    return parse_host((struct span){text, (size_t)(colon - text)}, out);
}

bool address_is_local(const struct address *address)
{
    static const uint8_t loopback[16] = {[15] = 1};

    switch (address->family) {
    case ADDRESS_IPV4: return address->ip[0] == 127;
    case ADDRESS_IPV6: return memcmp(address->ip, loopback, sizeof(loopback)) == 0;
    default: return true;
    }
}

bool address_is_equal(const struct address *a, const struct address *b)
{
    if (a->family != b->family)
        return false;
    if (a->family == ADDRESS_UNIX)
        return strcmp(a->path, b->path) == 0;
    return a->port == b->port && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

bool address_is_same(const struct address *a, const struct address *b)
{
    return address_is_equal(a, b) && (a->family == ADDRESS_UNIX || a->port != 0);
}
