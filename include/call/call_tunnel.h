#ifndef CURFEW_CALL_CALL_TUNNEL_H
#define CURFEW_CALL_CALL_TUNNEL_H

#include <stdbool.h>

#include "call/call.h"
#include "core/client_hello.h"
#include "core/tunnel.h"

/*
 * A call that asks for a tunnel: by Upgrade for one to its API. Until the answer says that there is one, it is a call
 * as any other, but that nothing of what its caller sends behind the head goes on. Then it is in state TUNNEL until
 * call_end, by whatever it is called: call_close_tunnel says there what that means. Within call/call*.c.
 */
struct call_tunnel {
    struct tunnel tunnel;
    const struct tunnel_terms *terms; /* of the call's configuration, as is: */
    const struct span *protocol;      /* that is asked for, or NULL */
    enum tunnel_end end;              /* NONE: it has not ended, or never was one */
    int64_t reclaim_ns;               /* of CONNECT, as in struct tunnel_config; NS_NEVER: never */
    int64_t hello_end_ns;             /* when its ClientHello has to be there */
    bool is_open;
    bool is_reclaimed; /* it was idle, and others wait for its permit */
    bool awaits_hello; /* nothing goes up before that is there, and good */
    struct client_hello_name sni;
};

/* It asks for one. False: no memory. */
bool call_ask_for_tunnel(struct call *call, const struct tunnel_terms *terms, const struct span *protocol)
    __attribute__((warn_unused_result));

/*
 * By Upgrade, if its route lets it; head->upgrade says what goes on. CAUSE_NONE, INTERNAL, or PROTOCOL: the caller asks
 * for nothing else, and it is not let through.
 */
enum cause call_ask_for_upgrade(struct call *call, struct http1_head *head)
    __attribute__((warn_unused_result));

/* The protocol that it asks its API for; NULL: none. */
static inline const struct span *call_upgrade(const struct call *call)
{
    return call->tunnel != NULL ? call->tunnel->protocol : NULL;
}

/* The head that says yes has been handed over to the caller: TUNNEL begins, unless the call is over by that. */
void call_open_tunnel(struct call *call);

/* Moves bytes in both directions as far as they go. What ends it, with CAUSE_NONE if both sides have; NULL: nothing. */
const struct stream_fault *call_pump_tunnel(struct call *call);

/*
 * The call is told to end by `cause`, while it is in TUNNEL. Ends its try in order, if that is how it ends, and returns
 * what the call ends by.
 */
enum cause call_close_tunnel(struct call *call, enum cause cause);

/* Was it a tunnel, whatever became of it? */
static inline bool call_was_tunnel(const struct call *call)
{
    return call->tunnel != NULL && call->tunnel->is_open;
}

#endif
