#include "core/settle.h"

#include "base/invariant.h"

void settle_changed(struct settle *settle, int64_t now_ns)
{
    PRE(now_ns >= settle->last_ns);
    if (!settle->has_changed)
        settle->first_ns = now_ns;
    settle->has_changed = true;
    settle->last_ns = now_ns;
}

bool settle_take(struct settle *settle, int64_t now_ns)
{
    if (!settle->has_changed ||
        (now_ns - settle->last_ns < SETTLE_STILL_NS && now_ns - settle->first_ns < SETTLE_MOST_NS))
        return false;
    settle->has_changed = false;
    return true;
}
