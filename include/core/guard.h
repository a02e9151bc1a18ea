#ifndef CURFEW_CORE_GUARD_H
#define CURFEW_CORE_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/endpoint.h"
#include "core/ip_range.h"

/*
 * Keeps callers who choose where they are connected to from what only this host can reach: loopback, private networks,
 * the metadata services of clouds, whatever wraps an IPv4 address, and curfew itself. It is asked about the address
 * that is dialled, after the last lookup, and about each one: a name that was harmless a moment ago says nothing.
 *
 * What is denied is a fixed list (below); what of it is lifted belongs to one destination of the configuration, by
 * ranges. Curfew's own listeners are denied whatever was lifted. Pure; any thread.
 */
struct guard {
    const struct ip_range *lifted; /* addresses that may be dialled all the same */
    uint32_t lifted_count;
    const struct guard_own *own; /* NULL: there are none */
};

/* Curfew's listeners; those of unix sockets mean nothing. */
struct guard_own {
    const struct endpoint *const *listeners;
    uint32_t count;
};

enum guard_verdict {
    GUARD_PASSES,
    GUARD_DENIES,
    GUARD_ASKS, /* it is curfew's own listener if the address is one of this host */
};

/* `address` is an IPv4 or IPv6 endpoint; the latter is judged as IPv6 even if it maps an IPv4 address. */
enum guard_verdict guard_judge(const struct guard *guard, const struct endpoint *address)
    __attribute__((pure));

#endif
