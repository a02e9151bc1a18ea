#ifndef CURFEW_ADMIN_CONFIG_UPSTREAM_H
#define CURFEW_ADMIN_CONFIG_UPSTREAM_H

#include "base/json.h"
#include "config/snapshot.h"

/* One member of "upstreams", under its name, with its routes. */
void config_put_upstream(struct jsonw *json, const struct upstream_config *upstream);

/* Members that a forward proxy has as well. */
void config_put_shared(struct jsonw *json, const struct upstream_config *upstream);

/* Without its credentials; of none, null. by: what it is asked for, if that can be chosen; NULL: it can't. */
void config_put_proxy(struct jsonw *json, const char *key, const struct proxy_config *proxy, const char *by);

#endif
