#ifndef CURFEW_APP_EXPLAIN_BREAKER_H
#define CURFEW_APP_EXPLAIN_BREAKER_H

#include "config/snapshot.h"

/* Which breaker calls of the route have to pass, and when it opens; nothing if there is none. */
void explain_breaker_print(const struct route_config *route);

#endif
