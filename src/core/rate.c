#include "core/rate.h"

#include "base/invariant.h"

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int64_t rate_period_ns(uint32_t limit, int64_t per_ns)
{
    PRE(limit > 0 && per_ns > 0);
    return (per_ns + limit - 1) / limit;
}

void rate_set(struct rate *rate, int64_t period_ns, uint32_t burst, int64_t now_ns)
{
    PRE(period_ns >= 0 && burst >= 1 && burst <= RATE_BURST_MAX);
    rate->period_ns = period_ns;
    rate->slack_ns = (int64_t)(burst - 1) * period_ns;
    /* Of a rate that was slower, what is due may lie hours ahead: further than this it can't by the new one. */
    if (rate->next_ns > now_ns + rate->slack_ns + period_ns)
        rate->next_ns = now_ns + rate->slack_ns + period_ns;
    POST(rate_slot_ns(rate, 0, now_ns) <= now_ns + period_ns);
}

int64_t rate_slot_ns(const struct rate *rate, uint32_t ahead, int64_t now_ns)
{
    int64_t due_ns;

    if (rate->period_ns == 0)
        return now_ns;
    due_ns = later(rate->next_ns, now_ns) + (int64_t)ahead * rate->period_ns;
    return later(due_ns - rate->slack_ns, now_ns);
}

void rate_take(struct rate *rate, int64_t now_ns)
{
    if (rate->period_ns != 0)
        rate->next_ns = later(rate->next_ns, now_ns) + rate->period_ns;
}
