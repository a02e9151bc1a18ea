#ifndef CURFEW_CORE_CONNECT_CAUSE_H
#define CURFEW_CORE_CONNECT_CAUSE_H

#include <stdbool.h>

#include "core/cause.h"

/*
 * Of failures at several addresses, does this one tell as much as that one, or more? A shortage of our own: with more,
 * the call might have gone well. Else whoever came furthest: TLS, a proxy, then who answered at all.
 */
bool connect_cause_tells(enum cause cause, enum cause before);

#endif
