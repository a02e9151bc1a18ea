#ifndef CURFEW_CONFIG_LINT_FLEET_H
#define CURFEW_CONFIG_LINT_FLEET_H

#include "config/report.h"
#include "config/snapshot.h"

/* Warns of a fleet that does not do what it looks like; a part of lint_give. */
void lint_fleet(const struct snapshot *snapshot, struct config_errors *out);

#endif
