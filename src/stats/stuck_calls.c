#include "stats/stuck_calls.h"

#include "base/invariant.h"

static struct stuck_call *at(struct stuck_calls *calls, uint32_t place)
{
    return &calls->list[(calls->first + place) % STUCK_CALLS];
}

struct stuck_call *stuck_calls_next(struct stuck_calls *calls)
{
    if (calls->count == STUCK_CALLS)
        calls->first = (calls->first + 1) % STUCK_CALLS;
    else
        calls->count++;
    POST(calls->count <= STUCK_CALLS);
    return at(calls, calls->count - 1);
}

const struct stuck_call *stuck_calls_at(const struct stuck_calls *calls, uint32_t place)
{
    PRE(place < calls->count);
    return &calls->list[(calls->first + place) % STUCK_CALLS];
}

static void insert(struct stuck_calls *sum, const struct stuck_call *call)
{
    uint32_t place;

    if (sum->count == STUCK_CALLS && call->ended_ns < at(sum, 0)->ended_ns)
        return;
    (void)stuck_calls_next(sum);
    for (place = sum->count - 1; place > 0 && at(sum, place - 1)->ended_ns > call->ended_ns; place--)
        *at(sum, place) = *at(sum, place - 1);
    *at(sum, place) = *call;
}

void stuck_calls_take(struct stuck_calls *sum, struct stuck_calls *part)
{
    for (uint32_t place = 0; place < part->count; place++)
        insert(sum, stuck_calls_at(part, place));
    part->count = 0;
}

struct late_call *late_calls_next(struct late_calls *calls)
{
    if (calls->count == STUCK_CALLS)
        calls->first = (calls->first + 1) % STUCK_CALLS;
    else
        calls->count++;
    POST(calls->count <= STUCK_CALLS);
    return &calls->list[(calls->first + calls->count - 1) % STUCK_CALLS];
}

const struct late_call *late_calls_at(const struct late_calls *calls, uint32_t place)
{
    PRE(place < calls->count);
    return &calls->list[(calls->first + place) % STUCK_CALLS];
}

void late_calls_take(struct late_calls *sum, struct late_calls *part)
{
    for (uint32_t place = 0; place < part->count; place++)
        *late_calls_next(sum) = *late_calls_at(part, place);
    part->count = 0;
}
