#ifndef CURFEW_ADMIN_CONFIG_RETRIES_H
#define CURFEW_ADMIN_CONFIG_RETRIES_H

#include "base/json.h"
#include "config/snapshot.h"

/* The member "retries" of an upstream, or of one of its routes: as it would be written, null if there are none. */
void config_put_retries(struct jsonw *json, const struct upstream_config *upstream,
                        const struct retries_config *retries);

#endif
