#include "core/slots.h"

#include "base/invariant.h"
#include "base/number.h"

/* For one reset to be filled up again. */
#define RESET_NS     (NS_PER_S / SLOTS_RESETS_A_S)
/* Without a word of ENHANCE_YOUR_CALM, all is as if there had never been one. */
#define CALM_WELL_NS (10 * NS_PER_S)

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

void slots_init(struct slots *slots, int64_t now_ns)
{
    *slots = (struct slots){.filled_ns = now_ns - SLOTS_RESETS * RESET_NS};
}

uint32_t slots_left(const struct slots *slots, const struct slots_terms *terms, uint32_t peer)
{
    uint32_t most = smaller(terms->streams, peer);
    uint32_t taken = slots->open + slots->unconfirmed;

    if (slots->retired || slots->doubtful || slots->begun >= terms->max_calls)
        return 0;
    if (slots->refused_at != 0)
        most = smaller(most, slots->refused_at);
    if (slots->resets != 0)
        most = smaller(most, slots->resets + 1 < SLOTS_RESETS_MAX ? SLOTS_RESETS_MAX - 1 - slots->resets : 0);
    return most > taken ? smaller(most - taken, terms->max_calls - slots->begun) : 0;
}

void slots_take(struct slots *slots)
{
    slots->open++;
    slots->begun++;
}

void slots_give(struct slots *slots)
{
    PRE(slots->open > 0);
    slots->open--;
}

/* The budget is kept as the instant since which it has been filling up: each reset moves that on. */
void slots_count_reset(struct slots *slots, int64_t now_ns)
{
    int64_t fullest_ns = now_ns - SLOTS_RESETS * RESET_NS;

    if (slots->filled_ns < fullest_ns)
        slots->filled_ns = fullest_ns;
    slots->filled_ns += RESET_NS;
    slots->resets++;
    if (slots->filled_ns > now_ns)
        slots->retired = true;
}

bool slots_reset_call(struct slots *slots, int64_t now_ns, bool silent)
{
    bool pings = silent && slots->ping_ns == 0 && !slots->has_pinged;

    slots_give(slots);
    slots->unconfirmed++;
    slots_count_reset(slots, now_ns);
    if (pings) {
        slots->ping_ns = now_ns;
        slots->has_pinged = true;
    }
    slots->doubtful |= silent && slots->ping_ns != 0;
    return pings;
}

void slots_note_refused(struct slots *slots)
{
    PRE(slots->open > 0);
    if (slots->open == 1)
        slots->retired = true;
    else
        slots->refused_at = slots->open - 1;
}

void slots_note_read(struct slots *slots, bool knows_resets, bool is_response)
{
    if (knows_resets)
        slots->unconfirmed = 0;
    slots->doubtful = false;
    slots->ping_ns = 0;
    if (is_response)
        slots->has_pinged = false;
}

bool slots_ask(struct slots *slots, int64_t now_ns, int64_t read_ns, int64_t probe_after_ns)
{
    if (slots->ping_ns != 0 || now_ns - read_ns < probe_after_ns)
        return false;
    slots->ping_ns = now_ns;
    return true;
}

void calm_note(struct calm *calm, int64_t now_ns)
{
    if (calm->for_ns == 0 || now_ns - calm->until_ns > CALM_WELL_NS)
        calm->for_ns = CALM_FIRST_NS;
    else if (now_ns >= calm->until_ns) /* what comes meanwhile is of connections that were there before */
        calm->for_ns = calm->for_ns > CALM_MOST_NS / 2 ? CALM_MOST_NS : 2 * calm->for_ns;
    else
        return;
    calm->until_ns = now_ns + calm->for_ns;
}
