#ifndef CURFEW_APP_CHECK_JSON_H
#define CURFEW_APP_CHECK_JSON_H

#include <stdbool.h>

#include "app/config_file.h"
#include "config/snapshot.h"

/* What `curfew check --json` prints: all that is said of the file, for editors and pipelines. */
void check_json_print(const struct config_file *file, const struct snapshot *snapshot_or_null, bool is_ok);

#endif
