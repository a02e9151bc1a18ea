#ifndef CURFEW_CORE_IP_RANGE_H
#define CURFEW_CORE_IP_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "core/ip.h"

/* Addresses that share their first bits: "10.1.0.0/16", "fd00::/8", or one address alone. */
struct ip_range {
    struct ip base;
    uint8_t bits; /* of 128: those of an IPv4 range are counted behind the prefix ::ffff:0:0/96 */
};

/* A range of IPv6, ::/0 too, has no address of IPv4. */
bool ip_range_has(const struct ip_range *range, const struct ip *ip) __attribute__((pure));

enum ip_range_fault {
    IP_RANGE_OK,
    IP_RANGE_NO_ADDRESS, /* what stands before the slash is none */
    IP_RANGE_BAD_LENGTH, /* what stands behind it is no number, or too large a one */
    IP_RANGE_HOST_BITS,  /* the address has bits behind the length: another range may be meant */
};

enum ip_range_fault ip_range_read(struct span text, struct ip_range *out) __attribute__((warn_unused_result));

/* As it is read: "10.1.0.0/16", or an address alone. */
void ip_range_put(struct text *out, const struct ip_range *range);

#endif
