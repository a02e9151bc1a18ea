#include "call/try_inspect.h"

#include "call/try.h"
#include "call/upstream.h"

const char *try_tls_why(const struct try *try, char why[TLS_WHY_MAX])
{
    return try->upstream != NULL &&
                   tls_transport_why(&upstream_connection(try->upstream)->transport, why, TLS_WHY_MAX)
               ? why
               : NULL;
}

bool try_is_sound(const struct try *try)
{
    unsigned holds = try_state_holds(try->fsm.state);
    bool connected = (holds & (HOLD_CONNECT | HOLD_EXCHANGE)) != 0;

    if (connected != (try->upstream != NULL) || (connected && try->upstream->user != try))
        return false;
    /* Of one in the queue, other threads may change the state, under the pool's lock: the audit sees to it. */
    return (holds & HOLD_QUEUE) != 0 ||
           try->ticket.permit.state == ((holds & HOLD_PERMIT) != 0 ? PERMIT_HELD : PERMIT_FREE);
}
