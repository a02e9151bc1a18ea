#include "core/census.h"

#include "base/mem.h"

enum status census_init(struct census *census, uint32_t upstream_count)
{
    census->upstream_count = upstream_count;
    census->cells = mem_calloc((size_t)upstream_count * PHASE_COUNT, sizeof(struct census_cell));
    return census->cells != NULL ? ST_OK : ST_NOMEM;
}

void census_fini(struct census *census)
{
    mem_free(census->cells);
    census->cells = NULL;
}

static void add(struct census_cell *cell, const struct census_cell *part)
{
    if (part->calls != 0 && (cell->calls == 0 || part->oldest_begun_ns < cell->oldest_begun_ns)) {
        cell->oldest_begun_ns = part->oldest_begun_ns;
        cell->oldest_deadline_ns = part->oldest_deadline_ns;
    }
    cell->calls += part->calls;
}

void census_count(struct census *census, uint32_t upstream, enum phase phase, int64_t begun_ns,
                  int64_t deadline_ns)
{
    const struct census_cell call = {1, begun_ns, deadline_ns};

    if (upstream < census->upstream_count)
        add(&census->cells[upstream * PHASE_COUNT + phase], &call);
}

void census_merge(struct census *census, const struct census *part)
{
    for (uint32_t i = 0; i < census->upstream_count * PHASE_COUNT; i++)
        add(&census->cells[i], &part->cells[i]);
}
