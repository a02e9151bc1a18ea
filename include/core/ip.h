#ifndef CURFEW_CORE_IP_H
#define CURFEW_CORE_IP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/* An IP address in network order; one of IPv4 as ::ffff:a.b.c.d (RFC 4291 2.5.5.2). */
struct ip {
    uint8_t bytes[16];
};

bool ip_is_v4(const struct ip *ip);
struct ip ip_from_v4(const void *four_bytes);

/* Reads "192.0.2.1" or "2001:db8::1"; a zone ("%eth0") is not taken. False: it is neither. */
bool ip_read(struct span text, struct ip *out) __attribute__((warn_unused_result));

#endif
