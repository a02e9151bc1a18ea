#include "stats/duration_histogram.h"

#include "base/invariant.h"
#include "base/mem.h"

struct duration_histogram *duration_histogram_new(const void *terms, int64_t since_ns)
{
    struct duration_histogram *histogram = mem_zalloc(sizeof(*histogram));

    if (histogram == NULL)
        return NULL;
    histogram->terms = terms;
    histogram->since_ns = since_ns;
    return histogram;
}

int64_t duration_histogram_bound_ns(uint32_t bucket)
{
    uint32_t row = bucket / DURATION_HISTOGRAM_STEPS;
    int64_t steps = bucket % DURATION_HISTOGRAM_STEPS + 1;

    PRE(bucket < DURATION_HISTOGRAM_BUCKETS);
    if (row == 0)
        return steps * DURATION_HISTOGRAM_UNIT_NS;
    return ((DURATION_HISTOGRAM_STEPS + steps) << (row - 1)) * DURATION_HISTOGRAM_UNIT_NS;
}

void duration_histogram_count_end(struct duration_histogram *histogram, enum duration_histogram_end end,
                                  int64_t took_ns, int64_t held_ns)
{
    PRE(end < DURATION_HISTOGRAM_ENDS && took_ns >= 0 && held_ns >= 0);
    if (end == DURATION_HISTOGRAM_CUT)
        histogram->cut_ns += (uint64_t)took_ns;
    histogram->ends[end].calls++;
    histogram->ends[end].held_ns += (uint64_t)held_ns;
}

static void add_buckets(struct duration_histogram_bucket *sum, const struct duration_histogram_bucket *part,
                        uint32_t buckets)
{
    for (uint32_t i = 0; i < buckets; i++) {
        sum[i].calls += part[i].calls;
        sum[i].held_ns += part[i].held_ns;
    }
}

void duration_histogram_add(struct duration_histogram *sum, const struct duration_histogram *part)
{
    if (part->since_ns < sum->since_ns)
        sum->since_ns = part->since_ns;
    if (part->longest_ns > sum->longest_ns)
        sum->longest_ns = part->longest_ns;
    sum->cut_ns += part->cut_ns;
    sum->spared += part->spared;
    add_buckets(sum->ends, part->ends, DURATION_HISTOGRAM_ENDS);
    add_buckets(sum->completed, part->completed, DURATION_HISTOGRAM_BUCKETS);
}
