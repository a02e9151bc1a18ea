#ifndef CURFEW_STATS_PHASE_COUNTS_H
#define CURFEW_STATS_PHASE_COUNTS_H

#include <stdint.h>

#include "base/status.h"
#include "core/phase.h"

/*
 * How many calls of each upstream are in which phase, and which is the oldest. Pure: whoever walks the calls hands
 * them in.
 */
struct phase_counts_cell {
    uint32_t calls;
    int64_t oldest_begun_ns, oldest_deadline_ns; /* of one call; nothing while `calls` is 0 */
};

struct phase_counts {
    struct phase_counts_cell *cells; /* by upstream and phase */
    uint32_t upstream_count;
};

/* All are 0. */
enum status phase_counts_init(struct phase_counts *counts, uint32_t upstream_count) MUST_CHECK;
void phase_counts_fini(struct phase_counts *counts);

/* Upstreams that it has no room for are left out. */
void phase_counts_count(struct phase_counts *counts, uint32_t upstream, enum phase phase, int64_t begun_ns,
                        int64_t deadline_ns);

/* Adds all that `part` has, which is as large. */
void phase_counts_merge(struct phase_counts *counts, const struct phase_counts *part);

static inline const struct phase_counts_cell *phase_counts_at(const struct phase_counts *counts,
                                                              uint32_t upstream, enum phase phase)
{
    return &counts->cells[upstream * PHASE_COUNT + phase];
}

#endif
