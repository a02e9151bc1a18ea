#ifndef CURFEW_PROXY_FLEET_LINK_H
#define CURFEW_PROXY_FLEET_LINK_H

#include <stdbool.h>
#include <stddef.h>

#include "core/store_spec.h"
#include "runtime/store.h"

struct arena;

/* A connection to a fleet's store, with its own copy of where that is: it outlives the configuration. */
struct fleet_link {
    void *arg; /* whose it is */
    struct arena *arena;
    struct store_spec spec;
    struct store *store;
};

/* Of `events`, the argument is the link. NULL: *why says why. */
struct fleet_link *fleet_link_new(struct loop *loop, const struct store_spec *spec,
                                  const struct store_events *events, void *arg, char *why, size_t why_cap);
void fleet_link_free(struct fleet_link *link_or_null);

/* Would one by this spec be the same? */
bool fleet_link_is_to(const struct fleet_link *link, const struct store_spec *spec);

#endif
