#ifndef CURFEW_ADMIN_CONFIG_VALUES_H
#define CURFEW_ADMIN_CONFIG_VALUES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/endpoint.h"
#include "base/json.h"
#include "core/status_set.h"
#include "core/tls_spec.h"

/* Members of GET /config, each as the configuration file would have it. */

void config_put_duration(struct jsonw *json, const char *key, int64_t ns);
void config_put_size(struct jsonw *json, const char *key, uint64_t bytes);
void config_put_percent(struct jsonw *json, const char *key, uint32_t percent);
void config_put_list(struct jsonw *json, const char *key, const struct span *all, uint32_t count);
void config_put_statuses(struct jsonw *json, const char *key, const struct status_set *statuses);

/* The address alone, or, of a unix socket, what else is written of it as well. */
void config_put_listener(struct jsonw *json, const char *key, struct span address, bool has_mode,
                         const struct endpoint *of);
/* As a client; NULL: it speaks none. */
void config_put_tls(struct jsonw *json, const struct tls_spec *spec);

#endif
