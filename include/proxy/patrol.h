#ifndef CURFEW_PROXY_PATROL_H
#define CURFEW_PROXY_PATROL_H

#include "base/status.h"

struct proxy_worker;

/*
 * What a worker looks after once a second, because no event tells of it: whether the pools' books agree with the
 * calls, whether calls hold what their state says and end at their deadlines, whether callers of whom nothing has been
 * heard are still there, and whether calls of an old edition are left.
 */
enum status patrol_init(struct proxy_worker *pw) MUST_CHECK;
void patrol_start(struct proxy_worker *pw);
void patrol_fini(struct proxy_worker *pw);

#endif
