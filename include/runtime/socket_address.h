#ifndef CURFEW_RUNTIME_SOCKET_ADDRESS_H
#define CURFEW_RUNTIME_SOCKET_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/endpoint.h"
#include "base/text.h"

/* An endpoint as system calls have it. */
union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un path;
};

/* Returns its length. */
socklen_t socket_address_fill(union socket_address *out, const struct endpoint *endpoint);

/*
 * Family, ip and port, or the path, which points into `address` and is terminated only if that is. False: it is of
 * another family, or of none.
 */
bool socket_address_read(const struct sockaddr *address, struct endpoint *out);

/* As endpoint_put; nothing of an address that socket_address_read does not read. */
void socket_address_put(struct text *out, const struct sockaddr *address);

#endif
