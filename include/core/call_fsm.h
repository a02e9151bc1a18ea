#ifndef CURFEW_CORE_CALL_FSM_H
#define CURFEW_CORE_CALL_FSM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "base/number.h"
#include "core/cause.h"
#include "core/phase.h"

/*
 * The life of a call as a table: what it holds in each state and where it may go from there (core/call_states.def).
 * A move says what has to be given back, so nothing can be forgotten on any way out; call/call does the giving.
 * Pure: the time comes in. What a call has to do with an API is the life of its tries (core/try_fsm).
 *
 *                      .---> TUNNEL ------------------.
 *                      |                              v
 *   READING -> TRYING -+-> RESPONDING -> DELIVERING -> DONE
 *               |   ^          '-------------^---------^
 *               v   |                        |
 *              BACKOFF ----------------------'
 *
 * BACKOFF: a try has failed, and another one follows when the wait is over: nothing is held but the timer. If none
 * can follow after all, the response of the try before, which is here whole, is delivered, if there was one.
 * TUNNEL: the upstream has switched to another protocol, and bytes go in both directions until either side, or its
 * lifetime, ends them (core/tunnel).
 * RESPONDING: the final response's head is on its way to the caller. DELIVERING: the whole response is here, the
 * caller has not taken it yet. From each state on the way also to an early end: STUCK, FAILED, GONE; and, before a
 * permit was ever held, REFUSED, which tells the caller to ask again.
 */
enum call_hold {
    HOLD_TIMER = 1,
    HOLD_TRY = 2, /* one that is alive, or more */
};

enum call_state {
#define CALL_STATE(id, phase, holds, next) CALL_##id,
#include "core/call_states.def"
#undef CALL_STATE
    CALL_STATE_COUNT
};

struct call_fsm {
    int64_t begun_ns; /* the first byte of the request */
    /*
     * When it is over: not moved once the route is known, but nearer by the caller, and once if the response is a
     * stream.
     */
    int64_t deadline_ns;
    int64_t limit_ns;  /* a nearer bound of the moment, or NS_NEVER; never moves the deadline */
    int64_t begin_ns;  /* when the response's content must have begun; NS_NEVER: no such limit, or it has */
    int64_t policy_ns; /* of an observed call, what its deadline would be; NS_NEVER: it is not observed */
    int64_t spared_ns; /* when an observed call would have been cut, if it would */
    int64_t phase_since_ns;
    int64_t phases_ns[PHASE_COUNT]; /* time spent in each phase that has been left */
    enum call_state state : 8;
    enum phase phase : 8;
    enum cause limit_cause : 8;
    enum sent sent : 8;          /* the most over all tries: what the upstream can have seen stays seen */
    enum cause spared_cause : 8; /* why it would have been cut; CAUSE_NONE: so far it would not have been */
    enum phase spared_phase : 8; /* where it was then */
    bool admitted : 1;           /* it holds a permit, or has held one: an API may know of it */
};

void call_fsm_begin(struct call_fsm *fsm, int64_t now_ns, int64_t deadline_ns);

const char *call_state_name(enum call_state state);
/* What a call holds in a state: bits of enum call_hold. */
unsigned call_state_holds(enum call_state state);
bool call_state_is_final(enum call_state state);
bool call_fsm_may_move(const struct call_fsm *fsm, enum call_state to);

/* A try of the call has got its permit: from now on it can't be refused. */
static inline void call_fsm_admit(struct call_fsm *fsm)
{
    fsm->admitted = true;
}

static inline void call_fsm_note_sent(struct call_fsm *fsm, enum sent sent)
{
    if (sent > fsm->sent)
        fsm->sent = sent;
}

/*
 * Moves to `to` and enters its phase. Returns false, and has done nothing, if the table does not allow it: a broken
 * invariant of ours. *give_back is what was held before and is not held any more.
 */
bool call_fsm_move(struct call_fsm *fsm, enum call_state to, int64_t now_ns, unsigned *give_back)
    __attribute__((warn_unused_result));

/* Enters a phase within the state (dns, connect, tls); the one before gets its time. */
void call_fsm_enter_phase(struct call_fsm *fsm, enum phase phase, int64_t now_ns);

/* The bound of the moment; NS_NEVER for none. */
static inline void call_fsm_set_limit(struct call_fsm *fsm, int64_t limit_ns, enum cause cause)
{
    fsm->limit_ns = limit_ns;
    fsm->limit_cause = cause;
}

/*
 * By when the response's content must have begun, whatever the call is busy with until then; NS_NEVER: there is no such
 * limit, or it has begun.
 */
static inline void call_fsm_set_begin(struct call_fsm *fsm, int64_t begin_ns)
{
    fsm->begin_ns = begin_ns;
}

/* When the call has to be looked at again: the earliest of deadline and limits. */
static inline int64_t call_fsm_next_ns(const struct call_fsm *fsm)
{
    int64_t limit_ns = fsm->begin_ns < fsm->limit_ns ? fsm->begin_ns : fsm->limit_ns;

    return limit_ns < fsm->deadline_ns ? limit_ns : fsm->deadline_ns;
}

/* CAUSE_NONE if none has passed. If the deadline has, it is the reason, else the limit that was the earlier one. */
enum cause call_fsm_expired(const struct call_fsm *fsm, int64_t now_ns);

/*
 * An observed call is not cut by its policy: when its deadline or a limit passes, that is noted (the first alone:
 * spared_cause, _phase, _ns), and it goes on until the ceiling, which is its deadline_ns. For the deadline that
 * takes no timer: where the call was at that instant shows when it next enters a phase, or ends.
 *
 * Makes `deadline_ns`, which has just been set, the policy's, and `ceiling_ns`, if that is later, the deadline.
 * Again for another route: what has passed until now has been noted.
 */
void call_fsm_observe(struct call_fsm *fsm, int64_t ceiling_ns, int64_t now_ns);

/*
 * The deadline is another one from now on, because of what the response turned out to be: once, and before the one that
 * was has passed. An observed call's ceiling is at least that.
 */
void call_fsm_replace_deadline(struct call_fsm *fsm, int64_t deadline_ns, int64_t now_ns);

/* The call is an observed one, and would have been refused or given up now, as `cause` says. The first time counts. */
void call_fsm_spare(struct call_fsm *fsm, enum cause cause, int64_t now_ns);

/* The deadline that the policy, and the caller, set. */
static inline int64_t *call_fsm_policy_deadline(struct call_fsm *fsm)
{
    return fsm->policy_ns != NS_NEVER ? &fsm->policy_ns : &fsm->deadline_ns;
}

/* The budget that the policy gives, whether it is kept to or observed. */
static inline int64_t call_fsm_budget_ns(const struct call_fsm *fsm)
{
    return (fsm->policy_ns != NS_NEVER ? fsm->policy_ns : fsm->deadline_ns) - fsm->begun_ns;
}

/*
 * At the timer: what the call is to end by, CAUSE_NONE to go on. The limit of an observed call is noted and taken
 * off, but for the request head's: that one protects the listener.
 */
enum cause call_fsm_timer(struct call_fsm *fsm, int64_t now_ns);

/*
 * What ends the call when curfew has no more time for it: CAUSE_DRAINING, a refusal, before it holds a permit; after
 * that the upstream may have acted on it, and it is cut: CAUSE_DRAIN_OVER.
 */
enum cause call_fsm_shutdown(const struct call_fsm *fsm);

/* Time spent in a phase until now, the current one included. */
int64_t call_fsm_phase_ns(const struct call_fsm *fsm, enum phase phase, int64_t now_ns);

/*
 * Members for the log and the problem body: budget_ms, elapsed_ms, phases_ms with the phases that took time, and
 * `spared` if an observed call would have been cut.
 */
void call_fsm_put_times(struct jsonw *json, const struct call_fsm *fsm, int64_t now_ns);

/*
 * The field line "Server-Timing: queue;dur=0.5, connect;dur=12\r\n" (https://www.w3.org/TR/server-timing/):
 * milliseconds in each phase between curfew and the upstream that took time, and in the one that the call is in.
 * Nothing if there is none.
 */
#define CALL_TIMING_MAX 256
void call_fsm_put_timing(struct text *out, const struct call_fsm *fsm, int64_t now_ns);

#endif
