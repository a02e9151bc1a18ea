#ifndef CURFEW_CALL_CALL_CONNECT_H
#define CURFEW_CALL_CALL_CONNECT_H

#include <stdbool.h>

#include "call/call.h"

/*
 * CONNECT to a forward proxy (RFC 9110 9.3.6): a tunnel of a call whose request is nothing but its target. A connection
 * that is made is the answer; nothing is sent on it. Where its destination says so, what the caller sends first has to
 * be a ClientHello that asks for a name of the same destination: until that is known, the other side gets no byte.
 * Within call/call*.c.
 */
static inline bool call_is_connect(const struct call *call)
{
    return call->request.method == HTTP1_CONNECT;
}

/* Its route is known. False: no memory. */
bool call_ask_for_connect(struct call *call) __attribute__((warn_unused_result));

/* The connection is there: the caller is told, and the tunnel opens. May end the call. */
void call_open_connect(struct call *call);

#endif
