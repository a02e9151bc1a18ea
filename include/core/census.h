#ifndef CURFEW_CORE_CENSUS_H
#define CURFEW_CORE_CENSUS_H

#include <stdint.h>

#include "base/status.h"
#include "core/phase.h"

/*
 * How many calls of each upstream are in which phase, and which is the oldest. Pure: whoever walks the calls hands
 * them in.
 */
struct census_cell {
    uint32_t calls;
    int64_t oldest_begun_ns, oldest_deadline_ns; /* of one call; nothing while `calls` is 0 */
};

struct census {
    struct census_cell *cells; /* by upstream and phase */
    uint32_t upstream_count;
};

/* Nobody is counted yet. */
enum status census_init(struct census *census, uint32_t upstream_count) MUST_CHECK;
void census_fini(struct census *census);

/* Upstreams that it has no room for are left out. */
void census_count(struct census *census, uint32_t upstream, enum phase phase, int64_t begun_ns,
                  int64_t deadline_ns);

/* Adds all that `part` has, which is as large. */
void census_merge(struct census *census, const struct census *part);

static inline const struct census_cell *census_at(const struct census *census, uint32_t upstream,
                                                  enum phase phase)
{
    return &census->cells[upstream * PHASE_COUNT + phase];
}

#endif
