#include "config/forward.h"

bool forward_has_port(const struct forward_config *forward, uint16_t port)
{
    for (uint32_t i = 0; i < forward->port_count; i++)
        if (forward->ports[i] == port)
            return true;
    return false;
}
