#ifndef CURFEW_APP_EXPLAIN_TARGET_H
#define CURFEW_APP_EXPLAIN_TARGET_H

#include "base/span.h"
#include "config/snapshot.h"

/* An URL as somebody gives it on the command line, and whose calls it names. */
struct explain_target {
    const struct upstream_config *upstream;
    const struct endpoint *listener; /* that found it; NULL: its name, the API's URL, or being the only one */
    struct span path;                /* what the caller asks curfew for: "/v1/x?y" */
};

/*
 * `url` is the URL that a caller uses (http://127.0.0.1:8080/v1/x), or the API's own, or a path alone; `upstream_name`
 * (or NULL) decides if that leaves a choice. NULL, or what is wrong: terminated, in a static block.
 */
const char *explain_find(const struct snapshot *snapshot, const char *url, const char *upstream_name,
                         struct explain_target *out) __attribute__((warn_unused_result));

#endif
