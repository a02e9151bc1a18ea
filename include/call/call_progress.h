#ifndef CURFEW_CALL_CALL_PROGRESS_H
#define CURFEW_CALL_CALL_PROGRESS_H

#include <stdint.h>

#include "core/progress.h"

/* How a call's response gets on: of calls alone that have a limit which asks. */
struct call_progress {
    struct progress progress;
    struct progress_terms terms;
    uint64_t seen; /* bytes of content */
};

#endif
