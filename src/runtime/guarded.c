/* The guard of addresses, where it meets the system. */
#include "runtime/guarded.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "runtime/socket_address.h"

static bool is_loopback(const union dns_address *address)
{
    struct endpoint endpoint = {0};

    return socket_address_read(&address->any, &endpoint) && endpoint_is_local(&endpoint);
}

/*
 * Whoever sends to an address of its own host sends from there, or, as to 127.0.0.2, from loopback. Connecting a
 * datagram socket chooses the source and sends nothing. What can't be asked is taken for one.
 */
static bool is_of_this_host(const union dns_address *address, uint16_t port)
{
    int fd = socket(address->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    union dns_address to = *address, from = {.v6 = {0}};
    socklen_t len = sizeof(from);
    bool is_known;
    struct ip a, b;

    if (fd < 0)
        return true;
    if (to.any.sa_family == AF_INET6)
        to.v6.sin6_port = htons(port);
    else
        to.v4.sin_port = htons(port);
    is_known = connect(fd, &to.any, sizeof(to)) == 0 && getsockname(fd, &from.any, &len) == 0;
    close(fd);
    if (!is_known)
        return false; /* it can't be dialled either */
    a = dns_address_ip(&to);
    b = dns_address_ip(&from);
    return is_loopback(&from) || memcmp(a.bytes, b.bytes, sizeof(a.bytes)) == 0;
}

bool guarded_may_dial(const struct guard *guard, const union dns_address *address, uint16_t port)
{
    struct endpoint endpoint = {0};
    bool is_ip = socket_address_read(&address->any, &endpoint);

    PRE(is_ip);
    endpoint.port = port;
    switch (guard_judge(guard, &endpoint)) {
    case GUARD_PASSES: return is_ip;
    case GUARD_DENIES: return false;
    case GUARD_ASKS: return !is_of_this_host(address, port);
    }
    IMPOSSIBLE("a verdict that no guard gives");
    return false;
}

enum status guarded_answer(const struct guard *guard, struct dns_answer *answer, uint16_t port,
                           struct dns_answer **out)
{
    size_t size = sizeof(*answer) + answer->count * sizeof(answer->addresses[0]);
    struct dns_answer *passed = mem_alloc(size);

    *out = NULL;
    if (passed == NULL)
        return ST_NOMEM;
    *passed = (struct dns_answer){.references = 1};
    for (uint32_t i = 0; i < answer->count; i++)
        if (guarded_may_dial(guard, &answer->addresses[i], port))
            passed->addresses[passed->count++] = answer->addresses[i];
    POST(passed->count <= answer->count);
    if (passed->count == answer->count) { /* the common case shares what there is */
        mem_free(passed);
        *out = dns_answer_acquire(answer);
        return ST_OK;
    }
    if (passed->count == 0) {
        mem_free(passed);
        return ST_BAD;
    }
    *out = passed;
    return ST_OK;
}
