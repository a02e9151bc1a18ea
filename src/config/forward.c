#include "config/forward.h"

#include "config/proxy_env.h"

bool forward_has_port(const struct forward_config *forward, uint16_t port)
{
    for (uint32_t i = 0; i < forward->port_count; i++)
        if (forward->ports[i] == port)
            return true;
    return false;
}

const struct proxy_config *forward_proxy_for(const struct forward_config *forward, bool is_connect,
                                             const struct proxy_target *target)
{
    const struct forward_way *way = &forward->way;
    const struct url url = {
        .host = {target->host, target->host_len}, .host_is_ip = target->is_ip, .port = target->port};

    return proxy_env_excepts(way->exceptions, &url) ? NULL : is_connect ? way->for_connect : way->for_plain;
}
