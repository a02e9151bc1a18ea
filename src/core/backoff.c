#include "core/backoff.h"

#include "base/invariant.h"

int64_t backoff_bound(int64_t base_ns, int64_t max_ns, unsigned nth)
{
    int64_t bound_ns;

    PRE(base_ns >= 0 && max_ns >= 0 && nth != 0);
    if (nth >= 62 || __builtin_mul_overflow(base_ns, (INT64_C(1) << nth) - 1, &bound_ns))
        return max_ns;
    return bound_ns < max_ns ? bound_ns : max_ns;
}

int64_t backoff_within(int64_t bound, uint64_t random)
{
    PRE(bound >= 0);
    return (int64_t)(((__extension__(unsigned __int128) random) * ((uint64_t)bound + 1)) >> 64);
}

int64_t backoff_around(int64_t value, uint64_t random)
{
    int64_t tenth = value / 10 + (value % 10 >= 5);

    PRE(value >= 0 && value < INT64_MAX / 2);
    return value - tenth + backoff_within(2 * tenth, random);
}

int64_t backoff_draw(int64_t base_ns, int64_t max_ns, unsigned nth, uint64_t random)
{
    return backoff_within(backoff_bound(base_ns, max_ns, nth), random);
}
