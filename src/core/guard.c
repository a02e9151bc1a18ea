/* Which addresses nobody is connected to who may choose them. */
#include "core/guard.h"

#include "base/invariant.h"

/* Bits of an IPv4 range behind its prefix. */
#define V4(a, b, c, d, len)                                                                                  \
    {                                                                                                        \
        {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d}}, 96 + (len)                                 \
    }
/* An IPv6 range by its first six bytes. */
#define V6(a, b, c, d, e, f, len)                                                                            \
    {                                                                                                        \
        {{a, b, c, d, e, f}}, len                                                                            \
    }

/* RFC 6890 and its successors in IANA's registries, but for documentation's ranges, which nobody routes. */
static const struct ip_range denied_v4[] = {
    V4(0, 0, 0, 0, 8),        /* "this network"; 0.0.0.0 is this host */
    V4(10, 0, 0, 0, 8),       /* private, RFC 1918 */
    V4(100, 64, 0, 0, 10),    /* shared by carriers, RFC 6598; Alibaba's metadata service */
    V4(127, 0, 0, 0, 8),      /* loopback */
    V4(169, 254, 0, 0, 16),   /* link-local, RFC 3927: metadata services */
    V4(172, 16, 0, 0, 12),    /* private */
    V4(192, 0, 0, 0, 24),     /* protocol assignments; Oracle's metadata service */
    V4(192, 168, 0, 0, 16),   /* private */
    V4(198, 18, 0, 0, 15),    /* benchmarking, RFC 2544 */
    V4(224, 0, 0, 0, 4),      /* multicast */
    V4(240, 0, 0, 0, 4),      /* reserved, and broadcast */
    V4(168, 63, 129, 16, 32), /* Azure's services of the host */
};

static const struct ip_range denied_v6[] = {
    V6(0, 0, 0, 0, 0, 0, 96),           /* ::, ::1, and IPv4 behind nothing, RFC 4291 2.5.5.1 */
    {{{[10] = 0xff, [11] = 0xff}}, 96}, /* IPv4 mapped, RFC 4291 2.5.5.2 */
    V6(0, 0x64, 0xff, 0x9b, 0, 0, 96),  /* NAT64, RFC 6052 */
    V6(0, 0x64, 0xff, 0x9b, 0, 1, 48),  /* NAT64 of one's own, RFC 8215 */
    V6(0x20, 0x01, 0, 0, 0, 0, 32),     /* Teredo, RFC 4380 */
    V6(0x20, 0x02, 0, 0, 0, 0, 16),     /* 6to4, RFC 3056 */
    V6(0xfc, 0, 0, 0, 0, 0, 7),         /* unique local, RFC 4193 */
    V6(0xfe, 0x80, 0, 0, 0, 0, 10),     /* link-local */
    V6(0xff, 0, 0, 0, 0, 0, 8),         /* multicast */
};

static bool is_in(const struct ip_range *ranges, uint32_t count, const struct ip *ip)
{
    for (uint32_t i = 0; i < count; i++)
        if (ip_range_has(&ranges[i], ip))
            return true;
    return false;
}

/* 0.0.0.0 or ::. */
static bool is_any(const struct endpoint *endpoint)
{
    static const uint8_t any[16];

    return memcmp(endpoint->ip, any, sizeof(any)) == 0;
}

/*
 * A listener on all addresses is found at any of this host's, which only the system knows. Whoever dials "all
 * addresses" comes to this host.
 */
static enum guard_verdict judge_own(const struct guard *guard, const struct endpoint *address)
{
    enum guard_verdict verdict = GUARD_PASSES;

    for (uint32_t i = 0; guard->own != NULL && i < guard->own->count; i++) {
        const struct endpoint *own = guard->own->listeners[i];

        if (own->family == ENDPOINT_UNIX || own->port != address->port)
            continue;
        if (is_any(address) ||
            (own->family == address->family && memcmp(own->ip, address->ip, sizeof(own->ip)) == 0))
            return GUARD_DENIES;
        if (is_any(own))
            verdict = GUARD_ASKS;
    }
    return verdict;
}

enum guard_verdict guard_judge(const struct guard *guard, const struct endpoint *address)
{
    bool is_v4 = address->family == ENDPOINT_IPV4, is_denied;
    struct ip ip;

    PRE(address->family != ENDPOINT_UNIX);
    if (is_v4)
        ip = ip_from_v4(address->ip);
    else
        memcpy(ip.bytes, address->ip, sizeof(ip.bytes));
    is_denied = is_v4 ? is_in(denied_v4, sizeof(denied_v4) / sizeof(denied_v4[0]), &ip)
                      : is_in(denied_v6, sizeof(denied_v6) / sizeof(denied_v6[0]), &ip);
    if (is_denied && (is_v4 != ip_is_v4(&ip) || !is_in(guard->lifted, guard->lifted_count, &ip)))
        return GUARD_DENIES;
    return judge_own(guard, address);
}
