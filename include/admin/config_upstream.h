#ifndef CURFEW_ADMIN_CONFIG_UPSTREAM_H
#define CURFEW_ADMIN_CONFIG_UPSTREAM_H

#include "base/json.h"
#include "config/snapshot.h"

/* One member of "upstreams", under its name, with its routes. */
void config_put_upstream(struct jsonw *json, const struct upstream_config *upstream);

/* Members that a forward proxy has as well. */
void config_put_shared(struct jsonw *json, const struct upstream_config *upstream);

#endif
