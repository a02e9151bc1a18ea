#include "core/fresh_cuts.h"

#include "base/invariant.h"

void fresh_cuts_note(struct fresh_cuts *cuts, int64_t way_ns, int64_t now_ns)
{
    int64_t age_ns = now_ns - cuts->since_ns;

    PRE(way_ns >= 0);
    if (way_ns > FRESH_CUTS_SPAN_NS)
        way_ns = FRESH_CUTS_SPAN_NS;
    if (age_ns >= 2 * cuts->span_ns)
        *cuts = (struct fresh_cuts){.since_ns = now_ns};
    else if (age_ns >= cuts->span_ns)
        *cuts = (struct fresh_cuts){.before = cuts->now, .since_ns = now_ns, .span_ns = cuts->span_ns};
    if (way_ns > cuts->span_ns)
        cuts->span_ns = way_ns;
    cuts->now++;
}

uint32_t fresh_cuts_count(const struct fresh_cuts *cuts, int64_t now_ns)
{
    int64_t age_ns = now_ns - cuts->since_ns;

    if (age_ns >= 2 * cuts->span_ns)
        return 0;
    return age_ns >= cuts->span_ns ? cuts->now : cuts->now + cuts->before;
}

int64_t fresh_cuts_next_ns(const struct fresh_cuts *cuts, int64_t now_ns)
{
    if (fresh_cuts_count(cuts, now_ns) == 0)
        return INT64_MAX;
    if (cuts->before > 0 && now_ns < cuts->since_ns + cuts->span_ns)
        return cuts->since_ns + cuts->span_ns;
    return cuts->since_ns + 2 * cuts->span_ns;
}
