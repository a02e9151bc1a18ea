#ifndef CURFEW_ADMIN_CONFIG_POOLS_H
#define CURFEW_ADMIN_CONFIG_POOLS_H

#include "base/json.h"
#include "config/snapshot.h"

/* The member "pools". */
void config_put_pools(struct jsonw *json, const struct snapshot *snapshot);

#endif
