/*
 * A curfew that breaks its own invariants when it is told to: what happens then is tested on the real binary. Linked
 * over the seams of that binary with --wrap. CURFEW_BREAK says what goes wrong:
 *
 *   move STATE N      the Nth call, or try of a call, that wants to go on to STATE may not
 *   timer             no call's timer is moved once the call has begun
 *   release N         the Nth call that gives something back to its pool gives back nothing
 *   loop N            the Nth turn of a worker's event loop fails
 *   answer N          the pool's Nth answer is none that a pool can give
 *   impossible N      something impossible is found, and noted, when the pool is asked for the Nth time
 */
#include <event2/event.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/invariant.h"
#include "core/call_fsm.h"
#include "core/try_fsm.h"
#include "call/call.h"
#include "runtime/pool.h"

bool __real_call_fsm_move(struct call_fsm *fsm, enum call_state to, int64_t now_ns, unsigned *give_back);
bool __wrap_call_fsm_move(struct call_fsm *fsm, enum call_state to, int64_t now_ns, unsigned *give_back);
bool __real_try_fsm_move(struct try_fsm *fsm, enum try_state to, unsigned *give_back);
bool __wrap_try_fsm_move(struct try_fsm *fsm, enum try_state to, unsigned *give_back);
void __real_call_set_timer(struct call *call);
void __wrap_call_set_timer(struct call *call);
void __real_pool_give_back(struct pool *pool, struct pool_ticket *ticket);
void __wrap_pool_give_back(struct pool *pool, struct pool_ticket *ticket);
enum permit_answer __real_pool_acquire(struct pool *pool, struct pool_ticket *ticket);
enum permit_answer __wrap_pool_acquire(struct pool *pool, struct pool_ticket *ticket);
int __real_event_base_loop(struct event_base *base, int flags);
int __wrap_event_base_loop(struct event_base *base, int flags);

/* Is it `what` that shall break, and is this the time? */
static bool breaks(const char *what, atomic_int *times)
{
    const char *told = getenv("CURFEW_BREAK");
    size_t len = strlen(what);

    if (told == NULL || strncmp(told, what, len) != 0)
        return false;
    return told[len] == '\0' || atomic_fetch_add(times, 1) + 1 == atoi(told + len);
}

bool __wrap_call_fsm_move(struct call_fsm *fsm, enum call_state to, int64_t now_ns, unsigned *give_back)
{
    static atomic_int times[CALL_STATE_COUNT];
    char what[32];

    snprintf(what, sizeof(what), "move %s ", call_state_name(to));
    return !breaks(what, &times[to]) && __real_call_fsm_move(fsm, to, now_ns, give_back);
}

bool __wrap_try_fsm_move(struct try_fsm *fsm, enum try_state to, unsigned *give_back)
{
    static atomic_int times[TRY_STATE_COUNT];
    char what[32];

    snprintf(what, sizeof(what), "move %s ", try_state_name(to));
    return !breaks(what, &times[to]) && __real_try_fsm_move(fsm, to, give_back);
}

void __wrap_call_set_timer(struct call *call)
{
    static atomic_int times;

    if (!breaks("timer", &times))
        __real_call_set_timer(call);
}

void __wrap_pool_give_back(struct pool *pool, struct pool_ticket *ticket)
{
    static atomic_int times;

    if (!breaks("release ", &times))
        __real_pool_give_back(pool, ticket);
}

enum permit_answer __wrap_pool_acquire(struct pool *pool, struct pool_ticket *ticket)
{
    static atomic_int times, notes;

    if (breaks("impossible ", &notes))
        invariant_note("told to be");
    return breaks("answer ", &times) ? (enum permit_answer)99 : __real_pool_acquire(pool, ticket);
}

int __wrap_event_base_loop(struct event_base *base, int flags)
{
    static atomic_int times;

    return breaks("loop ", &times) ? -1 : __real_event_base_loop(base, flags);
}
