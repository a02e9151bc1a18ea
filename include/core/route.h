#ifndef CURFEW_CORE_ROUTE_H
#define CURFEW_CORE_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/*
 * Which part of an upstream a request belongs to: the longest path prefix that ends on a segment border
 * ("/v1" matches /v1, /v1/x and /v1?q, not /v12) and takes the method. Bytes are compared as they are:
 * nothing is decoded or normalised. Lookup is logarithmic in the routes for each segment of the path, longest
 * first.
 */
struct route_entry {
    struct span path;           /* starts with '/', no '/' at its end but for "/" itself */
    const struct span *methods; /* empty: all */
    uint32_t method_count;
    uint32_t id; /* what route_find returns */
};

/* Sorts entries by path; call once when they are made. Entries with one path keep their order. */
void route_sort(struct route_entry *entries, uint32_t count);

/* The id of the entry that takes the request; `otherwise` if none does. `path` may hold a query. */
uint32_t route_find(const struct route_entry *entries, uint32_t count, struct span path, struct span method,
                    uint32_t otherwise);

#endif
