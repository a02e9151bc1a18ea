#ifndef CURFEW_CORE_PHASE_H
#define CURFEW_CORE_PHASE_H

/* Where a call is. A call's phase is the latest one entered, whatever overlaps with it. */
enum phase {
#define PHASE(id, name) PHASE_##id,
#include "core/phases.def"
#undef PHASE
    PHASE_COUNT
};

const char *phase_name(enum phase phase);

#endif
