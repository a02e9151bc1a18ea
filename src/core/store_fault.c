#include "core/store_fault.h"

const char *store_fault_name(enum store_fault fault)
{
    static const char *const names[] = {
        [STORE_FINE] = "ok",           [STORE_AWAY] = "away",     [STORE_LATE] = "timeout",
        [STORE_REFUSED] = "refused",   [STORE_LOCKED] = "locked", [STORE_GARBLED] = "garbled",
        [STORE_SHORTAGE] = "shortage",
    };

    return names[fault];
}
