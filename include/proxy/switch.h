#ifndef CURFEW_PROXY_SWITCH_H
#define CURFEW_PROXY_SWITCH_H

#include "base/status.h"

struct generation_parts;
struct worker;

/*
 * A worker's going over to another generation, in two steps: all that may fail is done by switch_prepare, so that
 * nothing has changed if one of the workers can't; switch_commit then can't fail. Worker's thread, or before it runs.
 */
struct generation_switch;

enum status switch_prepare(struct worker *pw, const struct generation_parts *parts) MUST_CHECK;
/* Puts what was made ready in force: new listeners, counters and connections for what is new, and the limits. */
void switch_commit(struct worker *pw);
/* Gives up what was made ready, if anything was. */
void switch_abort(struct worker *pw);

#endif
