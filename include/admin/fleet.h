#ifndef CURFEW_ADMIN_FLEET_H
#define CURFEW_ADMIN_FLEET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "base/status.h"
#include "proxy/proxy.h"
#include "stats/exposition.h"

/* The member "fleet" of a pool in GET /pools; nothing if the pool is none of a fleet. */
void fleet_put(struct jsonw *json, const struct proxy *proxy, uint32_t pool);

/* There is a fleet, and no connection to its store. */
bool fleet_is_store_away(const struct proxy *proxy);

/* The families of the fleet and its store; none if there is none. ST_NOMEM: half of them may be missing. */
enum status fleet_expose(const struct proxy *proxy, struct exposition *out) MUST_CHECK;

#endif
