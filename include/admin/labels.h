#ifndef CURFEW_ADMIN_LABELS_H
#define CURFEW_ADMIN_LABELS_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/proxy.h"

/* The names of upstreams and routes, by number; NULL: the number is nobody's. */
struct labels {
    uint32_t upstream_count, route_count;
    const char **upstreams;
    bool *forwards; /* by upstream: is it a forward proxy? */
    struct route_label {
        const char *name;
        uint32_t upstream;
    } * routes;
};

/*
 * All that calls in flight may belong to: of the generation in force, and of those before it that still have calls.
 * Numbers from the counts on are left out. The names are the generations': valid until the loop is entered again. Main
 * thread. False: no memory; labels_fini is due all the same.
 */
bool labels_init(struct labels *labels, const struct proxy *proxy, uint32_t upstream_count,
                 uint32_t route_count);
void labels_fini(struct labels *labels);

bool labels_is_forward(const struct labels *labels, uint32_t upstream) __attribute__((pure));

/* What the upstream or route with this number is called; NULL: the number is nobody's. */
const char *labels_upstream(const struct labels *labels, uint32_t upstream) __attribute__((pure));
const char *labels_route(const struct labels *labels, uint32_t route) __attribute__((pure));

#endif
