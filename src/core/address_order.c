#include "core/address_order.h"

#include <stdlib.h>
#include <string.h>

#include "base/invariant.h"

/* RFC 6724 2.1, with what 10.6 has of old: site-local addresses and 6bone. The longest prefix that fits is first. */
static const struct policy {
    struct ip prefix;
    uint32_t bits;
    int precedence, label;
} policies[] = {
    {{{[15] = 1}}, 128, 50, 0},                /* ::1 */
    {{{[10] = 0xff, [11] = 0xff}}, 96, 35, 4}, /* IPv4 */
    {{{0}}, 96, 1, 3},                         /* ::/96 */
    {{{0x20, 0x01, 0x00, 0x00}}, 32, 5, 5},    /* Teredo */
    {{{0x20, 0x02}}, 16, 30, 2},               /* 6to4 */
    {{{0x3f, 0xfe}}, 16, 1, 12},               /* 6bone */
    {{{0xfe, 0xc0}}, 10, 1, 11},               /* site-local */
    {{{0xfc}}, 7, 3, 13},                      /* unique local */
    {{{0}}, 0, 40, 1},
};

/* How many leading bits are the same. */
static uint32_t common_bits(const struct ip *a, const struct ip *b)
{
    uint32_t bits = 0;

    while (bits < 128 && a->bytes[bits / 8] == b->bytes[bits / 8])
        bits += 8;
    while (bits < 128 && ((a->bytes[bits / 8] ^ b->bytes[bits / 8]) & (0x80 >> bits % 8)) == 0)
        bits++;
    return bits;
}

static const struct policy *policy_of(const struct ip *ip)
{
    const struct policy *policy = policies;

    while (common_bits(ip, &policy->prefix) < policy->bits)
        policy++;
    POST(policy < policies + sizeof(policies) / sizeof(policies[0])); /* the last one fits all */
    return policy;
}

enum { SCOPE_LINK = 2, SCOPE_SITE = 5, SCOPE_GLOBAL = 14 };

/* RFC 6724 3.1, 3.2. */
static int scope_of(const struct ip *ip)
{
    const uint8_t *b = ip->bytes;

    if (ip_is_v4(ip))
        return b[12] == 127 || (b[12] == 169 && b[13] == 254) ? SCOPE_LINK : SCOPE_GLOBAL;
    if (b[0] == 0xff)
        return b[1] & 0x0f;
    if (policy_of(ip)->bits == 128 || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80))
        return SCOPE_LINK;
    return b[0] == 0xfe && (b[1] & 0xc0) == 0xc0 ? SCOPE_SITE : SCOPE_GLOBAL;
}

static bool has_same_label(const struct destination *d)
{
    return policy_of(&d->ip)->label == policy_of(&d->source)->label;
}

static bool has_same_scope(const struct destination *d)
{
    return scope_of(&d->ip) == scope_of(&d->source);
}

/* Rule 9; for IPv6 alone, where a prefix says something of the distance. */
static uint32_t nearness(const struct destination *d)
{
    uint32_t bits = ip_is_v4(&d->ip) ? 0 : common_bits(&d->ip, &d->source);

    return bits < 64 ? bits : 64;
}

static int compare(const void *a_at, const void *b_at)
{
    const struct destination *a = a_at, *b = b_at;
    int by;

    if (a->has_source != b->has_source)
        return a->has_source ? -1 : 1;
    if (a->has_source) {
        if ((by = has_same_scope(b) - has_same_scope(a)) != 0 ||
            (by = has_same_label(b) - has_same_label(a)) != 0)
            return by;
    }
    if ((by = policy_of(&b->ip)->precedence - policy_of(&a->ip)->precedence) != 0 ||
        (by = scope_of(&a->ip) - scope_of(&b->ip)) != 0)
        return by;
    if (a->has_source && ip_is_v4(&a->ip) == ip_is_v4(&b->ip) && nearness(a) != nearness(b))
        return nearness(a) > nearness(b) ? -1 : 1;
    PRE(a == b || a->place != b->place); /* or those that are equally good would have no order */
    return a->place < b->place ? -1 : 1;
}

void address_order(struct destination *destinations, uint32_t count)
{
    qsort(destinations, count, sizeof(destinations[0]), compare);
}
