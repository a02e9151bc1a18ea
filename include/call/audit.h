#ifndef CURFEW_CALL_AUDIT_H
#define CURFEW_CALL_AUDIT_H

#include <stdint.h>

struct call_context;

/*
 * What a worker looks after once a second, because no event tells of it: whether the pools' books agree with the
 * calls, whether calls hold what their state says and end at their deadlines, and whether callers of whom nothing has
 * been heard are still there; and what any thread has found impossible since. Its own thread.
 */
void audit_round(struct call_context *context, int64_t now_ns);

#endif
