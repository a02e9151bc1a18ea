#include "core/ip.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/invariant.h"

static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};

bool ip_is_v4(const struct ip *ip)
{
    return memcmp(ip->bytes, v4_prefix, sizeof(v4_prefix)) == 0;
}

struct ip ip_from_v4(const void *four_bytes)
{
    struct ip ip;

    memcpy(ip.bytes, v4_prefix, sizeof(v4_prefix));
    memcpy(ip.bytes + sizeof(v4_prefix), four_bytes, 4);
    POST(ip_is_v4(&ip));
    return ip;
}

bool ip_read(struct span text, struct ip *out)
{
    char terminated[INET6_ADDRSTRLEN];
    uint8_t four_bytes[4];

    if (text.len >= sizeof(terminated))
        return false;
    memcpy(terminated, text.ptr, text.len);
    terminated[text.len] = '\0';
    if (inet_pton(AF_INET, terminated, four_bytes) == 1) {
        *out = ip_from_v4(four_bytes);
        return true;
    }
    return inet_pton(AF_INET6, terminated, out->bytes) == 1;
}
