#include "core/rate_lent.h"

#include "base/invariant.h"

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

void rate_lent_put(struct rate_lent *lent, uint32_t count, int64_t due_ns, int64_t period_ns, int64_t now_ns)
{
    PRE(period_ns > 0 && rate_lent_left(lent, now_ns) == 0);
    lent->unused += lent->left;
    lent->left = count;
    lent->got_ns = now_ns;
    lent->next_ns = now_ns + due_ns;
    lent->period_ns = period_ns;
}

/* Slots of the run that are too old by now. */
static uint32_t dead(const struct rate_lent *lent, int64_t now_ns)
{
    int64_t oldest_ns = now_ns - RATE_LENT_LATE_NS, count;

    if (lent->left == 0 || oldest_ns <= lent->got_ns || oldest_ns <= lent->next_ns)
        return 0;
    count = (oldest_ns - lent->next_ns + lent->period_ns - 1) / lent->period_ns;
    return count < lent->left ? (uint32_t)count : lent->left;
}

uint32_t rate_lent_left(const struct rate_lent *lent, int64_t now_ns)
{
    return lent->left - dead(lent, now_ns);
}

void rate_lent_age(struct rate_lent *lent, int64_t now_ns)
{
    uint32_t count = dead(lent, now_ns);

    lent->left -= count;
    lent->next_ns += count * lent->period_ns;
    lent->unused += count;
}

bool rate_lent_is_open(const struct rate_lent *lent, int64_t now_ns)
{
    return rate_lent_left(lent, now_ns) > 0 && rate_lent_slot_ns(lent, 0, now_ns) <= now_ns;
}

int64_t rate_lent_slot_ns(const struct rate_lent *lent, uint32_t ahead, int64_t now_ns)
{
    uint32_t gone = dead(lent, now_ns), left = lent->left - gone;

    if (ahead < left)
        return later(now_ns, lent->next_ns + (int64_t)(gone + ahead) * lent->period_ns);
    return later(now_ns, lent->beyond_ns) + (int64_t)(ahead - left) * lent->pace_ns;
}

void rate_lent_take(struct rate_lent *lent, int64_t now_ns)
{
    rate_lent_age(lent, now_ns);
    lent->last_ns = now_ns;
    if (lent->left == 0) {
        lent->owed++;
        return;
    }
    lent->left--;
    lent->next_ns += lent->period_ns;
}
