/* Ranges of addresses, as configurations write them. */
#include "core/ip_range.h"

#include "base/endpoint.h"
#include "base/invariant.h"
#include "base/number.h"

#define ALL_BITS      128u
#define V4_PREFIX_LEN 96u

static bool shares_bits(const struct ip *a, const struct ip *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    PRE(bits <= ALL_BITS);
    if (memcmp(a->bytes, b->bytes, whole) != 0)
        return false;
    return rest == 0 || (a->bytes[whole] ^ b->bytes[whole]) >> (8 - rest) == 0;
}

bool ip_range_has(const struct ip_range *range, const struct ip *ip)
{
    return ip_is_v4(&range->base) == ip_is_v4(ip) && shares_bits(&range->base, ip, range->bits);
}

/* Is nothing set behind the range's bits? */
static bool is_clean(const struct ip_range *range)
{
    struct ip masked = range->base;

    for (unsigned bit = range->bits; bit < ALL_BITS; bit++)
        masked.bytes[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
    return shares_bits(&masked, &range->base, ALL_BITS);
}

enum ip_range_fault ip_range_read(struct span text, struct ip_range *out)
{
    const char *slash = text.len != 0 ? memchr(text.ptr, '/', text.len) : NULL;
    struct span address = {text.ptr, slash != NULL ? (size_t)(slash - text.ptr) : text.len};
    unsigned before;
    uint64_t bits;

    if (!ip_read(address, &out->base))
        return IP_RANGE_NO_ADDRESS;
    before = ip_is_v4(&out->base) ? V4_PREFIX_LEN : 0;
    out->bits = ALL_BITS;
    if (slash == NULL)
        return IP_RANGE_OK;
    if (number_u64((struct span){slash + 1, text.len - address.len - 1}, &bits) != NUMBER_OK ||
        bits > ALL_BITS - before)
        return IP_RANGE_BAD_LENGTH;
    out->bits = (uint8_t)(before + bits);
    return is_clean(out) ? IP_RANGE_OK : IP_RANGE_HOST_BITS;
}

void ip_range_put(struct text *out, const struct ip_range *range)
{
    bool is_v4 = ip_is_v4(&range->base);
    unsigned before = is_v4 ? V4_PREFIX_LEN : 0;
    struct endpoint ip = {.family = is_v4 ? ENDPOINT_IPV4 : ENDPOINT_IPV6};

    PRE(range->bits >= before);
    memcpy(ip.ip, range->base.bytes + before / 8, ALL_BITS / 8 - before / 8);
    endpoint_put_ip(out, &ip);
    if (range->bits == ALL_BITS)
        return;
    TEXT_LIT(out, "/");
    text_u64(out, range->bits - before);
}
