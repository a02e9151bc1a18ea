#ifndef CURFEW_CALL_CIRCUIT_WATCH_H
#define CURFEW_CALL_CIRCUIT_WATCH_H

#include <stdbool.h>

struct call_context;
struct circuit;

/* What a worker does with all of its calls that have to do with a circuit. Worker's thread. */

/* It has opened: calls that wait for a permit to try its API are refused, unless it is closed again. */
void circuit_watch_opened(struct call_context *context, struct circuit *circuit);

/* Do the places of its probes agree with the calls of this worker that are probes? */
bool circuit_watch_audit(struct call_context *context, struct circuit *circuit);

#endif
