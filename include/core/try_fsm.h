#ifndef CURFEW_CORE_TRY_FSM_H
#define CURFEW_CORE_TRY_FSM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/number.h"
#include "core/cause.h"
#include "core/phase.h"

/*
 * The life of a try, one exchange with an API on behalf of a call, as a table: what it holds in each state and where it
 * may go from there (core/try_states.def). A move says what has to be given back, so nothing can be forgotten on any
 * way out; call/try does the giving. Pure.
 *
 *   IDLE -> QUEUED -> CONNECTING -> SENDING -> WAITING -> STREAMING -> OVER
 *      '-permit free---^  '-idle connection-^  '--early response--^
 *
 * From each state on the way also to OVER. From SENDING and WAITING back to CONNECTING when a kept-alive connection
 * turns out to have been closed, and may be replaced.
 */
enum try_hold {
    HOLD_QUEUE = 1, /* a place in the pool's queue */
    HOLD_PERMIT = 2,
    HOLD_CONNECT = 4, /* a connection that is being made */
    HOLD_EXCHANGE = 8 /* a connection on which the exchange runs */
};

enum try_state {
#define TRY_STATE(id, phase, holds, next) TRY_##id,
#include "core/try_states.def"
#undef TRY_STATE
    TRY_STATE_COUNT
};

struct try_fsm {
    int64_t limit_ns; /* a bound of the moment, or NS_NEVER: what is to have happened by then */
    enum cause limit_cause : 8;
    enum try_state state : 8;
    enum sent sent : 8;   /* what the upstream can have seen of the request in this try */
    enum phase phase : 8; /* where it is; PHASE_COUNT: nowhere yet */
};

void try_fsm_begin(struct try_fsm *fsm);

const char *try_state_name(enum try_state state);
/* What a try holds in a state: bits of enum try_hold. */
unsigned try_state_holds(enum try_state state);
/* The phase in which the call is while its try is there. PHASE_COUNT: as before, or the connection's steps say. */
enum phase try_state_phase(enum try_state state);
bool try_fsm_may_move(enum try_state from, enum try_state to);

/*
 * Moves to `to`, where no limit is set yet. Returns false, and has done nothing, if the table does not allow it: a
 * broken invariant of ours. *give_back is what was held before and is not held any more.
 */
bool try_fsm_move(struct try_fsm *fsm, enum try_state to, unsigned *give_back)
    __attribute__((warn_unused_result));

/* The bound of the moment; NS_NEVER for none. */
static inline void try_fsm_set_limit(struct try_fsm *fsm, int64_t limit_ns, enum cause cause)
{
    fsm->limit_ns = limit_ns;
    fsm->limit_cause = cause;
}

static inline void try_fsm_note_sent(struct try_fsm *fsm, enum sent sent)
{
    if (sent > fsm->sent)
        fsm->sent = sent;
}

/* Has it begun, and is not over? */
static inline bool try_fsm_is_alive(const struct try_fsm *fsm)
{
    return fsm->state != TRY_IDLE && fsm->state != TRY_OVER;
}

/* States in which bytes move. */
static inline bool try_fsm_is_exchanging(const struct try_fsm *fsm)
{
    return fsm->state >= TRY_SENDING && fsm->state <= TRY_TUNNELING;
}

#endif
