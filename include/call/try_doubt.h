#ifndef CURFEW_CALL_TRY_DOUBT_H
#define CURFEW_CALL_TRY_DOUBT_H

#include "core/cause.h"

struct try;

/*
 * A try is about to lose its connection, as `cause` says. If that had served others before, and has given not a byte
 * for a whole request, those that have been idle beside it are suspect (keepalive_doubt). Worker's thread.
 */
void try_doubt_connections(struct try *try, enum cause cause);

#endif
