#include "runtime/socket_address.h"

#include <string.h>

#include "base/invariant.h"

socklen_t socket_address_fill(union socket_address *out, const struct endpoint *endpoint)
{
    memset(out, 0, sizeof(*out));
    switch (endpoint->family) {
    case ENDPOINT_IPV4:
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(endpoint->port);
        memcpy(&out->v4.sin_addr, endpoint->ip, sizeof(out->v4.sin_addr));
        return sizeof(out->v4);
    case ENDPOINT_IPV6:
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(endpoint->port);
        memcpy(&out->v6.sin6_addr, endpoint->ip, sizeof(out->v6.sin6_addr));
        return sizeof(out->v6);
    case ENDPOINT_UNIX: break;
    }
    PRE(strlen(endpoint->path) < sizeof(out->path.sun_path)); /* the configuration has none that is longer */
    out->path.sun_family = AF_UNIX;
    strncpy(out->path.sun_path, endpoint->path, sizeof(out->path.sun_path) - 1);
    return sizeof(out->path);
}

bool socket_address_read(const struct sockaddr *address, struct endpoint *out)
{
    const struct sockaddr_in *v4 = (const void *)address;
    const struct sockaddr_in6 *v6 = (const void *)address;

    *out = (struct endpoint){.path = NULL};
    switch (address->sa_family) {
    case AF_INET:
        out->family = ENDPOINT_IPV4;
        out->port = ntohs(v4->sin_port);
        memcpy(out->ip, &v4->sin_addr, sizeof(v4->sin_addr));
        return true;
    case AF_INET6:
        out->family = ENDPOINT_IPV6;
        out->port = ntohs(v6->sin6_port);
        memcpy(out->ip, &v6->sin6_addr, sizeof(v6->sin6_addr));
        return true;
    case AF_UNIX:
        out->family = ENDPOINT_UNIX;
        out->path = ((const struct sockaddr_un *)(const void *)address)->sun_path;
        return true;
    default: return false;
    }
}

void socket_address_put(struct text *out, const struct sockaddr *address)
{
    struct endpoint endpoint;

    if (socket_address_read(address, &endpoint))
        endpoint_put(out, &endpoint);
}
