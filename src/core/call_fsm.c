#include "core/call_fsm.h"

#include "base/invariant.h"
#include "base/number.h"

#define T        HOLD_TIMER
#define A        HOLD_TRY
#define N(state) (1u << CALL_##state)

static const struct {
    const char *name;
    enum phase phase;
    unsigned holds;
    unsigned next;
} states[CALL_STATE_COUNT] = {
#define CALL_STATE(id, phase, holds, next) {#id, phase, holds, next},
#include "core/call_states.def"
#undef CALL_STATE
};

void call_fsm_begin(struct call_fsm *fsm, int64_t now_ns, int64_t deadline_ns)
{
    *fsm = (struct call_fsm){
        .begun_ns = now_ns,
        .deadline_ns = deadline_ns,
        .limit_ns = NS_NEVER,
        .begin_ns = NS_NEVER,
        .policy_ns = NS_NEVER,
        .phase_since_ns = now_ns,
        .state = CALL_READING,
        .phase = PHASE_UPLOAD,
        .sent = SENT_NONE,
    };
}

const char *call_state_name(enum call_state state)
{
    return states[state].name;
}

unsigned call_state_holds(enum call_state state)
{
    return states[state].holds;
}

bool call_state_is_final(enum call_state state)
{
    return states[state].next == 0;
}

bool call_fsm_may_move(const struct call_fsm *fsm, enum call_state to)
{
    return (states[fsm->state].next & (1u << to)) != 0 && (to != CALL_REFUSED || !fsm->admitted);
}

/* The first time counts. Apart, so that the way of every call is short. */
static __attribute__((cold, noinline)) void spare(struct call_fsm *fsm, enum cause cause, int64_t at_ns)
{
    PRE(fsm->policy_ns != NS_NEVER && cause != CAUSE_NONE);
    if (fsm->spared_cause != CAUSE_NONE)
        return;
    fsm->spared_cause = cause;
    fsm->spared_phase = fsm->phase;
    fsm->spared_ns = at_ns;
}

/* Before the phase changes: the one that the policy's deadline has found the call in. */
static inline void look_back(struct call_fsm *fsm, int64_t now_ns)
{
    if (now_ns >= fsm->policy_ns)
        spare(fsm, CAUSE_DEADLINE, fsm->policy_ns);
}

bool call_fsm_move(struct call_fsm *fsm, enum call_state to, int64_t now_ns, unsigned *give_back)
{
    enum call_state from = fsm->state;

    PRE(to < CALL_STATE_COUNT);
    if (!call_fsm_may_move(fsm, to))
        return false;
    *give_back = states[from].holds & ~states[to].holds;
    fsm->state = to;
    call_fsm_set_limit(fsm, NS_NEVER, CAUSE_NONE);
    if (states[to].phase != PHASE_COUNT)
        call_fsm_enter_phase(fsm, states[to].phase, now_ns);
    else
        look_back(fsm, now_ns);
    return true;
}

void call_fsm_enter_phase(struct call_fsm *fsm, enum phase phase, int64_t now_ns)
{
    PRE(phase < PHASE_COUNT);
    PRE(now_ns >= fsm->phase_since_ns); /* or a phase would take less than no time */
    look_back(fsm, now_ns);
    fsm->phases_ns[fsm->phase] += now_ns - fsm->phase_since_ns;
    fsm->phase_since_ns = now_ns;
    fsm->phase = phase;
}

enum cause call_fsm_expired(const struct call_fsm *fsm, int64_t now_ns)
{
    if (now_ns >= fsm->deadline_ns)
        return CAUSE_DEADLINE;
    if (now_ns >= fsm->begin_ns && fsm->begin_ns <= fsm->limit_ns)
        return CAUSE_BEGIN_LIMIT;
    return now_ns >= fsm->limit_ns ? fsm->limit_cause : CAUSE_NONE;
}

void call_fsm_observe(struct call_fsm *fsm, int64_t ceiling_ns, int64_t now_ns)
{
    look_back(fsm, now_ns);
    fsm->policy_ns = fsm->deadline_ns;
    if (ceiling_ns > fsm->deadline_ns)
        fsm->deadline_ns = ceiling_ns;
    POST(fsm->policy_ns <= fsm->deadline_ns);
}

void call_fsm_replace_deadline(struct call_fsm *fsm, int64_t deadline_ns, int64_t now_ns)
{
    PRE(deadline_ns >= fsm->begun_ns);
    look_back(fsm, now_ns);
    if (fsm->policy_ns == NS_NEVER) {
        fsm->deadline_ns = deadline_ns;
        return;
    }
    fsm->policy_ns = deadline_ns;
    if (deadline_ns > fsm->deadline_ns)
        fsm->deadline_ns = deadline_ns;
    POST(fsm->policy_ns <= fsm->deadline_ns);
}

void call_fsm_spare(struct call_fsm *fsm, enum cause cause, int64_t now_ns)
{
    PRE(fsm->policy_ns != NS_NEVER);
    look_back(fsm, now_ns);
    spare(fsm, cause, now_ns);
}

enum cause call_fsm_timer(struct call_fsm *fsm, int64_t now_ns)
{
    enum cause cause = call_fsm_expired(fsm, now_ns);

    if (cause == CAUSE_NONE || cause == CAUSE_DEADLINE || cause == CAUSE_HEAD_LIMIT ||
        fsm->policy_ns == NS_NEVER)
        return cause;
    look_back(fsm, now_ns);
    if (cause == CAUSE_BEGIN_LIMIT) {
        spare(fsm, cause, fsm->begin_ns);
        call_fsm_set_begin(fsm, NS_NEVER);
    } else {
        spare(fsm, cause, fsm->limit_ns);
        call_fsm_set_limit(fsm, NS_NEVER, CAUSE_NONE);
    }
    return CAUSE_NONE;
}

enum cause call_fsm_shutdown(const struct call_fsm *fsm)
{
    return call_fsm_may_move(fsm, CALL_REFUSED) ? CAUSE_DRAINING : CAUSE_DRAIN_OVER;
}

int64_t call_fsm_phase_ns(const struct call_fsm *fsm, enum phase phase, int64_t now_ns)
{
    int64_t running_ns = phase == fsm->phase ? now_ns - fsm->phase_since_ns : 0;

    return fsm->phases_ns[phase] + running_ns;
}

/* Has it anything to say of itself? */
static bool is_telling(const struct call_fsm *fsm, enum phase phase, int64_t spent_ns)
{
    return spent_ns != 0 || phase == fsm->phase;
}

static void put_spared(struct jsonw *json, const struct call_fsm *fsm)
{
    jsonw_open_object(json, "spared");
    jsonw_string(json, "cause", span_of(cause_reason(fsm->spared_cause)));
    jsonw_string(json, "phase", span_of(phase_name(fsm->spared_phase)));
    jsonw_ms(json, "after_ms", fsm->spared_ns - fsm->begun_ns);
    jsonw_close_object(json);
}

void call_fsm_put_times(struct jsonw *json, const struct call_fsm *fsm, int64_t now_ns)
{
    jsonw_ms(json, "budget_ms", fsm->deadline_ns - fsm->begun_ns);
    jsonw_ms(json, "elapsed_ms", now_ns - fsm->begun_ns);
    jsonw_open_object(json, "phases_ms");
    for (enum phase phase = 0; phase < PHASE_COUNT; phase++) {
        int64_t spent_ns = call_fsm_phase_ns(fsm, phase, now_ns);

        if (is_telling(fsm, phase, spent_ns))
            jsonw_ms(json, phase_name(phase), spent_ns);
    }
    jsonw_close_object(json);
    if (fsm->spared_cause != CAUSE_NONE)
        put_spared(json, fsm);
}

void call_fsm_put_timing(struct text *out, const struct call_fsm *fsm, int64_t now_ns)
{
    static const enum phase told[] = {PHASE_QUEUE, PHASE_DNS, PHASE_CONNECT, PHASE_TLS, PHASE_WAIT};
    const char *before = "Server-Timing: ";

    for (unsigned i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        int64_t spent_ns = call_fsm_phase_ns(fsm, told[i], now_ns);

        if (!is_telling(fsm, told[i], spent_ns))
            continue;
        text_put(out, span_of(before));
        text_put(out, span_of(phase_name(told[i])));
        TEXT_LIT(out, ";dur=");
        text_ms(out, spent_ns);
        before = ", ";
    }
    if (before[0] == ',')
        TEXT_LIT(out, "\r\n");
}
