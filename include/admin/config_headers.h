#ifndef CURFEW_ADMIN_CONFIG_HEADERS_H
#define CURFEW_ADMIN_CONFIG_HEADERS_H

#include "base/json.h"
#include "config/snapshot.h"

/* The member "headers" of an upstream: of the fields that are set, their names alone, since values are secrets. */
void config_put_headers(struct jsonw *json, const struct upstream_config *upstream);

#endif
