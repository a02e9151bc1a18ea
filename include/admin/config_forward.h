#ifndef CURFEW_ADMIN_CONFIG_FORWARD_H
#define CURFEW_ADMIN_CONFIG_FORWARD_H

#include "base/json.h"
#include "config/snapshot.h"

/* One member of "forward", under its name, with its destinations. */
void config_put_forward(struct jsonw *json, const struct upstream_config *proxy);

#endif
