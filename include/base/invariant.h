#ifndef CURFEW_BASE_INVARIANT_H
#define CURFEW_BASE_INVARIANT_H

#include <stdlib.h>

/*
 * For an invariant of ours whose breach would corrupt memory: ends the process, in release builds too. One whose
 * breach harms a single call is counted and fails that call (call_break in proxy/call.h).
 */
#define MUST_HOLD(condition) ((condition) ? (void)0 : abort())

#endif
