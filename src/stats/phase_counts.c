#include "stats/phase_counts.h"

#include "base/invariant.h"
#include "base/mem.h"

enum status phase_counts_init(struct phase_counts *counts, uint32_t upstream_count)
{
    counts->upstream_count = upstream_count;
    counts->cells = mem_calloc((size_t)upstream_count * PHASE_COUNT, sizeof(struct phase_counts_cell));
    return counts->cells != NULL ? ST_OK : ST_NOMEM;
}

void phase_counts_fini(struct phase_counts *counts)
{
    mem_free(counts->cells);
    counts->cells = NULL;
}

static void add(struct phase_counts_cell *cell, const struct phase_counts_cell *part)
{
    if (part->calls != 0 && (cell->calls == 0 || part->oldest_begun_ns < cell->oldest_begun_ns)) {
        cell->oldest_begun_ns = part->oldest_begun_ns;
        cell->oldest_deadline_ns = part->oldest_deadline_ns;
    }
    cell->calls += part->calls;
}

void phase_counts_count(struct phase_counts *counts, uint32_t upstream, enum phase phase, int64_t begun_ns,
                        int64_t deadline_ns)
{
    const struct phase_counts_cell call = {1, begun_ns, deadline_ns};

    if (upstream < counts->upstream_count)
        add(&counts->cells[upstream * PHASE_COUNT + phase], &call);
}

void phase_counts_merge(struct phase_counts *counts, const struct phase_counts *part)
{
    PRE(counts->upstream_count == part->upstream_count);
    for (uint32_t i = 0; i < counts->upstream_count * PHASE_COUNT; i++)
        add(&counts->cells[i], &part->cells[i]);
}
