#ifndef CURFEW_PROXY_AUDIT_H
#define CURFEW_PROXY_AUDIT_H

#include "base/status.h"

struct worker;

/*
 * What a worker looks after once a second, because no event tells of it: whether the pools' books agree with the
 * calls, whether calls hold what their state says and end at their deadlines, whether callers of whom nothing has been
 * heard are still there, and whether calls of an old generation are left.
 */
enum status audit_init(struct worker *pw) MUST_CHECK;
void audit_start(struct worker *pw);
void audit_fini(struct worker *pw);

#endif
