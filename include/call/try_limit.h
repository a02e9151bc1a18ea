#ifndef CURFEW_CALL_TRY_LIMIT_H
#define CURFEW_CALL_TRY_LIMIT_H

#include <stdbool.h>

struct try;

/*
 * Sets the limit of time that goes with what a try waits for while it exchanges bytes: first_byte until a response
 * begins, idle from the last byte on where the API is the one to move. `paused`: the caller is, who takes no more at
 * the moment. Worker's thread.
 */
void try_set_limit(struct try *try, bool paused);

#endif
