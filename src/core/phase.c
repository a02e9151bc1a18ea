#include "core/phase.h"

#include <stddef.h>

static const char *const names[PHASE_COUNT] = {
#define PHASE(id, name) [PHASE_##id] = (name),
#include "core/phases.def"
#undef PHASE
};

const char *phase_name(enum phase phase)
{
    return names[phase];
}
