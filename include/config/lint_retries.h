#ifndef CURFEW_CONFIG_LINT_RETRIES_H
#define CURFEW_CONFIG_LINT_RETRIES_H

#include "config/report.h"
#include "config/snapshot.h"

/* Warns of retries that come to nothing; a part of lint_give. */
void lint_retries(const struct snapshot *snapshot, struct config_errors *out);

#endif
