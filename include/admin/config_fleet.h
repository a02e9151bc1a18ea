#ifndef CURFEW_ADMIN_CONFIG_FLEET_H
#define CURFEW_ADMIN_CONFIG_FLEET_H

#include "base/json.h"
#include "config/snapshot.h"

/* The member "fleet"; what is in the file of its password is left out. */
void config_put_fleet(struct jsonw *json, const struct fleet_config *fleet);

#endif
