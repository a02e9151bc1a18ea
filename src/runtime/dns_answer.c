#include "runtime/dns_answer.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "core/address_order.h"

/* Any will do: nothing is sent there. */
#define PORT 53

struct dns_answer *dns_answer_acquire(struct dns_answer *answer)
{
    PRE(answer->references > 0);
    answer->references++;
    return answer;
}

void dns_answer_release(struct dns_answer **answer)
{
    struct dns_answer *released = *answer;

    PRE(released == NULL || released->references > 0);
    *answer = NULL;
    if (released != NULL && --released->references == 0)
        mem_free(released);
}

struct ip dns_address_ip(const union dns_address *address)
{
    struct ip ip;

    if (address->any.sa_family == AF_INET)
        return ip_from_v4(&address->v4.sin_addr);
    memcpy(ip.bytes, &address->v6.sin6_addr, sizeof(ip.bytes));
    return ip;
}

static union dns_address address_of(const struct ip *ip)
{
    union dns_address address = {.v6 = {0}};

    if (ip_is_v4(ip)) {
        address.v4.sin_family = AF_INET;
        memcpy(&address.v4.sin_addr, ip->bytes + 12, sizeof(address.v4.sin_addr));
    } else {
        address.v6.sin6_family = AF_INET6;
        memcpy(&address.v6.sin6_addr, ip->bytes, sizeof(ip->bytes));
    }
    return address;
}

bool dns_answer_has(const struct dns_answer *answer, const union dns_address *address)
{
    struct ip ip = dns_address_ip(address);

    for (uint32_t i = 0; i < answer->count; i++) {
        struct ip other = dns_address_ip(&answer->addresses[i]);

        if (memcmp(ip.bytes, other.bytes, sizeof(ip.bytes)) == 0)
            return true;
    }
    return false;
}

bool dns_answer_is_same(const struct dns_answer *a, const struct dns_answer *b)
{
    /* Each is there once. */
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (!dns_answer_has(b, &a->addresses[i]))
            return false;
    return true;
}

/*
 * From which address of ours the way to `destination` begins: a socket for datagrams is told, and sends nothing.
 * Without a descriptor for it, no way is known, and the order is that of the answer.
 */
static void find_source(int fd, struct destination *destination)
{
    union dns_address peer = address_of(&destination->ip), ours;
    bool is_v4 = peer.any.sa_family == AF_INET;
    socklen_t len = sizeof(ours);

    if (is_v4)
        peer.v4.sin_port = htons(PORT);
    else
        peer.v6.sin6_port = htons(PORT);
    if (connect(fd, &peer.any, is_v4 ? sizeof(peer.v4) : sizeof(peer.v6)) != 0 ||
        getsockname(fd, &ours.any, &len) != 0)
        return;
    destination->has_source = true;
    destination->source = dns_address_ip(&ours);
}

static void find_sources(struct destination *destinations, uint32_t count, bool of_v4)
{
    int fd = socket(of_v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return;
    for (uint32_t i = 0; i < count; i++)
        if (ip_is_v4(&destinations[i].ip) == of_v4)
            find_source(fd, &destinations[i]);
    close(fd);
}

static bool is_among(const struct destination *destinations, uint32_t count, const struct ip *ip)
{
    for (uint32_t i = 0; i < count; i++)
        if (memcmp(destinations[i].ip.bytes, ip->bytes, sizeof(ip->bytes)) == 0)
            return true;
    return false;
}

static uint32_t take_ips(struct destination *out, const struct ip *ips, uint32_t count)
{
    uint32_t taken = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (is_among(out, taken, &ips[i]))
            continue;
        out[taken] = (struct destination){.ip = ips[i], .place = taken};
        taken++;
    }
    return taken;
}

struct dns_answer *dns_answer_new(const struct ip *ips, uint32_t count)
{
    struct destination *destinations = mem_calloc(count, sizeof(*destinations));
    struct dns_answer *answer = mem_zalloc(sizeof(*answer) + count * sizeof(answer->addresses[0]));

    PRE(count != 0); /* a name without addresses is no answer */
    if (destinations != NULL && answer != NULL) {
        answer->references = 1;
        answer->count = take_ips(destinations, ips, count);
        if (answer->count > 1) {
            find_sources(destinations, answer->count, true);
            find_sources(destinations, answer->count, false);
            address_order(destinations, answer->count);
        }
        for (uint32_t i = 0; i < answer->count; i++)
            answer->addresses[i] = address_of(&destinations[i].ip);
        mem_free(destinations);
        return answer;
    }
    mem_free(destinations);
    mem_free(answer);
    return NULL;
}

union dns_address dns_address_of(const struct endpoint *ip)
{
    union dns_address address;

    if (ip->family == ENDPOINT_IPV6) {
        address.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6};
        memcpy(&address.v6.sin6_addr, ip->ip, sizeof(address.v6.sin6_addr));
    } else {
        address.v4 = (struct sockaddr_in){.sin_family = AF_INET};
        memcpy(&address.v4.sin_addr, ip->ip, sizeof(address.v4.sin_addr));
    }
    return address;
}
