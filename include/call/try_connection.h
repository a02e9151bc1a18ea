#ifndef CURFEW_CALL_TRY_CONNECTION_H
#define CURFEW_CALL_TRY_CONNECTION_H

#include "call/upstream.h"

struct call_context;
struct try_plan;

/*
 * Which connection a try gets that has its permit: the one that is reserved for its caller; one that is there, idle or
 * shared, unless its address is left out or has to be tried again; else one that is made. Worker's thread.
 */

/* One that is there, and is the user's from then on; it may be a seat that has to wait. NULL: there is none. */
struct upstream *try_connection_take(struct call_context *context, const struct try_plan *plan,
                                     const struct upstream_events *events, void *user);
/* One that is made for it, or a seat on any, which waits, mostly. NULL: no memory. */
struct upstream *try_connection_make(struct call_context *context, const struct try_plan *plan,
                                     const struct upstream_events *events, void *user);

#endif
