#ifndef CURFEW_CORE_ADDRESS_ORDER_H
#define CURFEW_CORE_ADDRESS_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/ip.h"

/* The order in which addresses of a name are tried: RFC 6724 section 6, rules 1, 2, 5, 6, 8, 9 and 10. */

struct destination {
    struct ip ip;
    bool has_source; /* there is a way to it, which begins at */
    struct ip source;
    uint32_t place; /* where it stood in the answer */
};

/* Best first; those that are equally good stay in their order. */
void address_order(struct destination *destinations, uint32_t count);

#endif
