#include "core/spread.h"

#include "base/mem.h"

struct spread *spread_new(const void *terms, int64_t since_ns)
{
    struct spread *spread = mem_zalloc(sizeof(*spread));

    if (spread == NULL)
        return NULL;
    spread->terms = terms;
    spread->since_ns = since_ns;
    return spread;
}

int64_t spread_bound_ns(uint32_t bucket)
{
    uint32_t row = bucket / SPREAD_STEPS;
    int64_t steps = bucket % SPREAD_STEPS + 1;

    if (row == 0)
        return steps * SPREAD_UNIT_NS;
    return ((SPREAD_STEPS + steps) << (row - 1)) * SPREAD_UNIT_NS;
}

void spread_count_end(struct spread *spread, enum spread_end end, int64_t took_ns, int64_t held_ns)
{
    if (end == SPREAD_CUT)
        spread->cut_ns += (uint64_t)took_ns;
    spread->ends[end].calls++;
    spread->ends[end].held_ns += (uint64_t)held_ns;
}

static void add_buckets(struct spread_bucket *sum, const struct spread_bucket *part, uint32_t buckets)
{
    for (uint32_t i = 0; i < buckets; i++) {
        sum[i].calls += part[i].calls;
        sum[i].held_ns += part[i].held_ns;
    }
}

void spread_add(struct spread *sum, const struct spread *part)
{
    if (part->since_ns < sum->since_ns)
        sum->since_ns = part->since_ns;
    if (part->longest_ns > sum->longest_ns)
        sum->longest_ns = part->longest_ns;
    sum->cut_ns += part->cut_ns;
    sum->spared += part->spared;
    add_buckets(sum->ends, part->ends, SPREAD_ENDS);
    add_buckets(sum->completed, part->completed, SPREAD_BUCKETS);
}
