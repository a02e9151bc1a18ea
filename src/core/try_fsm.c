#include "core/try_fsm.h"

#include "base/invariant.h"

#define Q        HOLD_QUEUE
#define P        HOLD_PERMIT
#define C        HOLD_CONNECT
#define X        HOLD_EXCHANGE
#define N(state) (1u << TRY_##state)

static const struct {
    const char *name;
    enum phase phase;
    unsigned holds;
    unsigned next;
} states[TRY_STATE_COUNT] = {
#define TRY_STATE(id, phase, holds, next) {#id, phase, holds, next},
#include "core/try_states.def"
#undef TRY_STATE
};

void try_fsm_begin(struct try_fsm *fsm)
{
    *fsm = (struct try_fsm){.limit_ns = NS_NEVER, .state = TRY_IDLE, .sent = SENT_NONE, .phase = PHASE_COUNT};
}

const char *try_state_name(enum try_state state)
{
    return states[state].name;
}

unsigned try_state_holds(enum try_state state)
{
    return states[state].holds;
}

enum phase try_state_phase(enum try_state state)
{
    return states[state].phase;
}

bool try_fsm_may_move(enum try_state from, enum try_state to)
{
    return (states[from].next & (1u << to)) != 0;
}

/* A pending connection becomes the exchange's, a place in the queue becomes a permit: these change, none goes. */
static unsigned given_back(unsigned before, unsigned after)
{
    if ((after & HOLD_EXCHANGE) != 0)
        before &= ~(unsigned)HOLD_CONNECT;
    if ((after & HOLD_PERMIT) != 0)
        before &= ~(unsigned)HOLD_QUEUE;
    return before & ~after;
}

bool try_fsm_move(struct try_fsm *fsm, enum try_state to, unsigned *give_back)
{
    enum try_state from = fsm->state;

    PRE(to < TRY_STATE_COUNT);
    if (!try_fsm_may_move(from, to))
        return false;
    *give_back = given_back(states[from].holds, states[to].holds);
    POST((*give_back & ~states[from].holds) == 0 && (*give_back & states[to].holds) == 0);
    fsm->state = to;
    try_fsm_set_limit(fsm, NS_NEVER, CAUSE_NONE);
    return true;
}
