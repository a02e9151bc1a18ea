#include "proxy/proxy.h"

#include "call/access_log.h"

const struct snapshot *proxy_snapshot(const struct proxy *proxy)
{
    return proxy->snapshot;
}

struct pool_figures proxy_pool_figures(struct proxy *proxy, uint32_t pool)
{
    return pool_figures(proxy->pools[pool]);
}

void proxy_announce_end(struct proxy *proxy)
{
    atomic_store(&proxy->ready, false);
}

bool proxy_is_ready(const struct proxy *proxy)
{
    return atomic_load(&proxy->ready);
}

bool proxy_reopen_log(struct proxy *proxy, char *why, size_t why_cap)
{
    int fd;

    if (proxy->log == NULL)
        return true;
    fd = access_log_open(&proxy_snapshot(proxy)->log, why, why_cap);
    if (fd >= 0)
        access_log_turn(proxy->log, fd);
    return fd >= 0;
}
