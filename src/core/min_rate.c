#include "core/min_rate.h"

#include "base/invariant.h"
#include "base/number.h"
#include "core/budget.h"

void min_rate_begin(struct min_rate *rate)
{
    *rate = (struct min_rate){.begun_ns = NS_NEVER};
}

void min_rate_add(struct min_rate *rate, const struct min_rate_terms *terms, uint64_t bytes, int64_t now_ns)
{
    struct min_rate_slot *slot = &rate->slots[rate->newest];

    PRE(bytes != 0 && terms->bytes != 0 && terms->per_ns > 0);
    PRE(rate->begun_ns == NS_NEVER || now_ns >= slot->last_ns);
    if (rate->begun_ns == NS_NEVER) {
        rate->begun_ns = rate->slot_began_ns = now_ns;
    } else if (now_ns - rate->slot_began_ns >= terms->per_ns / (MIN_RATE_SLOTS - 1)) {
        rate->newest = (rate->newest + 1) % MIN_RATE_SLOTS;
        slot = &rate->slots[rate->newest];
        *slot = (struct min_rate_slot){0};
        rate->slot_began_ns = now_ns;
    }
    slot->last_ns = now_ns;
    slot->bytes += bytes;
}

/*
 * From the newest arrival back, until there are enough: the stretch that begins behind the one that was still needed is
 * the first one with too little. What has been forgotten is older than a stretch.
 */
int64_t min_rate_end_ns(const struct min_rate *rate, const struct min_rate_terms *terms)
{
    uint64_t sum = 0;

    if (rate->begun_ns == NS_NEVER)
        return NS_NEVER;
    for (uint32_t back = 0; back < MIN_RATE_SLOTS; back++) {
        const struct min_rate_slot *slot =
            &rate->slots[(rate->newest + MIN_RATE_SLOTS - back) % MIN_RATE_SLOTS];

        sum += slot->bytes;
        if (sum >= terms->bytes)
            return budget_end(slot->last_ns, terms->per_ns);
        if (slot->bytes == 0)
            break;
    }
    return budget_end(rate->begun_ns, terms->per_ns);
}
