#ifndef CURFEW_CONFIG_LINT_H
#define CURFEW_CONFIG_LINT_H

#include <stdint.h>

#include "base/status.h"
#include "config/errors.h"
#include "config/snapshot.h"

/*
 * What a configuration that is sound in itself probably does not mean: limits that can never strike, calls that a
 * shutdown cuts, more connections than there are descriptors. Pure: what the machine and whoever starts curfew grant
 * comes in as an argument.
 */
struct lint_bounds {
    uint64_t descriptors;        /* the process may have that many */
    uint64_t memory_bytes;       /* likewise */
    uint64_t worst_memory_bytes; /* what this configuration may need */
    int64_t stop_ns;             /* how long the service manager waits for the end before it kills */
};

/* Adds warnings to `out`, in the order of the file. ST_NOMEM or ST_OK. */
enum status lint_give(const struct snapshot *snapshot, const struct lint_bounds *bounds,
                      struct config_errors *out) MUST_CHECK;

/*
 * A certificate in a file that the value at `place` names is good until `end_s` (Unix time). Warns if that is past, or
 * less than 30 days away.
 */
void lint_certificate(const struct place *place, const char *path, int64_t end_s, int64_t now_s,
                      struct config_errors *out);

#endif
