#include "core/pause.h"

#include "base/invariant.h"

bool pause_begin(struct pause *pause, int64_t until_ns, int64_t now_ns)
{
    if (until_ns <= now_ns || (pause->round != 0 && until_ns <= pause->until_ns))
        return false;
    if (!pause_is_on(pause, now_ns))
        pause->count++;
    /* 0 is no round, though it takes 2^32 pauses to come by it. */
    pause->rounds += pause->rounds != UINT32_MAX ? 1 : 2;
    pause->round = pause->rounds;
    pause->until_ns = until_ns;
    pause->bound = 1;
    pause->open = 0;
    POST(pause_is_on(pause, now_ns));
    return true;
}

uint32_t pause_start(struct pause *pause)
{
    PRE(pause_has_room(pause));
    if (pause->round != 0)
        pause->open++;
    return pause->round;
}

void pause_end(struct pause *pause, uint32_t round)
{
    if (round == 0 || round != pause->round)
        return;
    PRE(pause->open > 0);
    pause->open--;
}

void pause_answered(struct pause *pause, uint32_t round, uint32_t size)
{
    if (round == 0 || round != pause->round)
        return;
    if (2 * (uint64_t)pause->bound >= size)
        pause_forget(pause);
    else
        pause->bound *= 2;
}

void pause_forget(struct pause *pause)
{
    pause->round = 0;
    pause->open = 0;
    pause->waits = false;
}
