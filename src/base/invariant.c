#include "base/invariant.h"

#include <stdatomic.h>

static _Atomic uint32_t noted;
static _Atomic(const char *) last;

void invariant_note(const char *what)
{
    atomic_store(&last, what);
    atomic_fetch_add(&noted, 1);
}

uint32_t invariant_take(const char **what)
{
    uint32_t count = atomic_exchange(&noted, 0);

    *what = count != 0 ? atomic_load(&last) : NULL;
    return count;
}
