#include "proxy/fleet_names.h"

const char *fleet_result_name(uint32_t result)
{
    static const char *const names[FLEET_RESULTS] = {"ok", "epoch", "late", "old", "timeout", "error"};

    return names[result];
}

const char *fleet_mode_name(uint32_t mode)
{
    static const char *const names[FLEET_MODES] = {"calm", "tight", "learning", "fallback"};

    return names[mode];
}
