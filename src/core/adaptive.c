#include "core/adaptive.h"

#include "base/invariant.h"
#include "base/number.h"

/* Of the limit, after a refusal. */
#define KEPT_TENTHS 7

void adaptive_init(struct adaptive *adaptive, uint32_t size, uint32_t min)
{
    PRE(size >= 1 && min <= size);
    *adaptive = (struct adaptive){.size = size, .min = min, .limit = size};
}

void adaptive_change(struct adaptive *adaptive, uint32_t size, uint32_t min)
{
    bool is_new = min == 0 || adaptive->min == 0 || !adaptive_is_lowered(adaptive);

    PRE(size >= 1 && min <= size);
    adaptive->size = size;
    adaptive->min = min;
    if (is_new || adaptive->limit > size)
        adaptive->limit = size;
    if (adaptive->limit < min)
        adaptive->limit = min;
    if (adaptive->good >= adaptive->limit)
        adaptive->good = 0;
    POST(min <= adaptive->limit && adaptive->limit <= size);
}

bool adaptive_note_refused(struct adaptive *adaptive, int64_t now_ns)
{
    uint32_t lower = (uint32_t)((uint64_t)adaptive->limit * KEPT_TENTHS / 10);

    if (adaptive->min == 0)
        return false;
    adaptive->good = 0;
    if (now_ns < adaptive->next_ns)
        return false;
    adaptive->refused = adaptive->limit;
    adaptive->next_ns = now_ns + NS_PER_S;
    if (lower < adaptive->min)
        lower = adaptive->min;
    if (lower == adaptive->limit)
        return false;
    adaptive->limit = lower;
    POST(adaptive->limit >= adaptive->min && adaptive->limit < adaptive->size);
    return true;
}

bool adaptive_note_good(struct adaptive *adaptive, uint32_t held, int64_t now_ns)
{
    bool comes_back = adaptive->limit + 1 >= adaptive->refused && now_ns < adaptive->next_ns;

    if (!adaptive_is_lowered(adaptive) || held < adaptive->limit || comes_back)
        return false;
    adaptive->good++;
    if (adaptive->good < adaptive->limit)
        return false;
    adaptive->good = 0;
    adaptive->limit++;
    POST(adaptive->limit <= adaptive->size);
    return true;
}
