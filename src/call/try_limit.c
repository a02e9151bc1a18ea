#include "call/try_limit.h"

#include "call/try.h"
#include "config/snapshot.h"
#include "core/budget.h"

void try_set_limit(struct try *try, bool paused)
{
    const struct route_config *route = try->plan.route;
    int64_t idle_end_ns = budget_end(try->exchange->moved_ns, route->idle_ns);

    try_fsm_set_limit(&try->fsm, NS_NEVER, CAUSE_NONE);
    switch (try->fsm.state) {
    case TRY_SENDING:
        if (try->exchange->blocked)
            try_fsm_set_limit(&try->fsm, idle_end_ns, CAUSE_IDLE_LIMIT);
        return;
    case TRY_WAITING:
        if (try->exchange->begun)
            try_fsm_set_limit(&try->fsm, idle_end_ns, CAUSE_IDLE_LIMIT);
        else
            try_fsm_set_limit(&try->fsm, budget_end(try->uploaded_ns, route->first_byte_ns),
                              CAUSE_FIRST_BYTE_LIMIT);
        return;
    case TRY_STREAMING:
        if (!paused)
            try_fsm_set_limit(&try->fsm, idle_end_ns, CAUSE_IDLE_LIMIT);
        return;
    default: return;
    }
}
