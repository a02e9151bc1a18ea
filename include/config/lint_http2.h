#ifndef CURFEW_CONFIG_LINT_HTTP2_H
#define CURFEW_CONFIG_LINT_HTTP2_H

#include "config/errors.h"
#include "config/snapshot.h"

/* What http2 probably does not mean. */
void lint_http2(const struct snapshot *snapshot, struct config_errors *out);

#endif
