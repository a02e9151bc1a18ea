#include "base/endpoint.h"

#include <arpa/inet.h>
#include <string.h>

bool endpoint_parse_ip(struct span text, struct endpoint *out)
{
    char terminated[INET6_ADDRSTRLEN];

    if (text.len >= sizeof(terminated))
        return false;
    memcpy(terminated, text.ptr, text.len);
    terminated[text.len] = '\0';
    out->family = memchr(text.ptr, ':', text.len) ? ENDPOINT_IPV6 : ENDPOINT_IPV4;
    memset(out->ip, 0, sizeof(out->ip));
    return inet_pton(out->family == ENDPOINT_IPV6 ? AF_INET6 : AF_INET, terminated, out->ip) == 1;
}

void endpoint_put_ip(struct text *out, const struct endpoint *endpoint)
{
    char ip[INET6_ADDRSTRLEN];

    if (endpoint->family == ENDPOINT_UNIX)
        return;
    inet_ntop(endpoint->family == ENDPOINT_IPV6 ? AF_INET6 : AF_INET, endpoint->ip, ip, sizeof(ip));
    text_put(out, span_of(ip));
}

void endpoint_put(struct text *out, const struct endpoint *endpoint)
{
    bool is_ipv6 = endpoint->family == ENDPOINT_IPV6;

    if (endpoint->family == ENDPOINT_UNIX) {
        TEXT_LIT(out, "unix:");
        text_put(out, span_of(endpoint->path));
        return;
    }
    if (is_ipv6)
        TEXT_LIT(out, "[");
    endpoint_put_ip(out, endpoint);
    text_put(out, is_ipv6 ? SPAN_LIT("]:") : SPAN_LIT(":"));
    text_u64(out, endpoint->port);
}

bool endpoint_is_local(const struct endpoint *endpoint)
{
    static const uint8_t loopback[16] = {[15] = 1};

    switch (endpoint->family) {
    case ENDPOINT_IPV4: return endpoint->ip[0] == 127;
    case ENDPOINT_IPV6: return memcmp(endpoint->ip, loopback, sizeof(loopback)) == 0;
    default: return true;
    }
}

bool endpoint_is_equal(const struct endpoint *a, const struct endpoint *b)
{
    if (a->family != b->family)
        return false;
    if (a->family == ENDPOINT_UNIX)
        return strcmp(a->path, b->path) == 0;
    return a->port == b->port && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

bool endpoint_is_same(const struct endpoint *a, const struct endpoint *b)
{
    return endpoint_is_equal(a, b) && (a->family == ENDPOINT_UNIX || a->port != 0);
}

static bool is_any(const struct endpoint *endpoint)
{
    static const uint8_t any[16];

    return memcmp(endpoint->ip, any, sizeof(any)) == 0;
}

/* The next component of a path; its length 0: there is none. */
static struct span next_component(const char **path)
{
    struct span component;

    do {
        *path += strspn(*path, "/");
        component = (struct span){*path, strcspn(*path, "/")};
        *path += component.len;
    } while (span_eq(component, SPAN_LIT(".")));
    return component;
}

static bool is_same_path(const char *a, const char *b)
{
    struct span left, right;

    do {
        left = next_component(&a);
        right = next_component(&b);
    } while (left.len != 0 && span_eq(left, right));
    return left.len == 0 && right.len == 0;
}

bool endpoint_overlaps(const struct endpoint *a, const struct endpoint *b)
{
    if (a->family != b->family)
        return false;
    if (a->family == ENDPOINT_UNIX)
        return is_same_path(a->path, b->path);
    return a->port == b->port && a->port != 0 &&
           (is_any(a) || is_any(b) || memcmp(a->ip, b->ip, sizeof(a->ip)) == 0);
}
