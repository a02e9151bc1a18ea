#include "runtime/tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "base/invariant.h"
#include "base/number.h"
#include "runtime/transport.h"

#define PROBE_AFTER_S 60
#define PROBE_EVERY_S 15
/* So that the kernel, whose clock is coarse, is never earlier than the call's own timer, which tells why. */
#define MARGIN_NS     NS_PER_S

static void set_option(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof(value));
}

static void probe_when_silent(int fd, int64_t longest_ns)
{
    int64_t longest_ms =
        longest_ns < INT64_MAX - MARGIN_NS ? (longest_ns + MARGIN_NS) / NS_PER_MS : INT64_MAX;

    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, PROBE_AFTER_S);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, PROBE_EVERY_S);
    if (longest_ms <= INT32_MAX)
        set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)longest_ms);
}

void tcp_tune_upstream(int fd, int64_t longest_ns)
{
    transport_tune(fd);
    probe_when_silent(fd, longest_ns);
}

/* Within a call of this length, no connection is silent for so long that it is probed. */
static bool is_soon_over(int64_t longest_ns)
{
    return longest_ns < PROBE_AFTER_S * NS_PER_S;
}

void tcp_tune_at_rest(int fd, int64_t longest_ns)
{
    if (is_soon_over(longest_ns))
        probe_when_silent(fd, longest_ns);
}

int tcp_connect(const struct sockaddr *peer, int64_t longest_ns)
{
    bool is_v6 = peer->sa_family == AF_INET6;
    socklen_t len = is_v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    int fd = socket(peer->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error;

    PRE(is_v6 || peer->sa_family == AF_INET);
    if (fd < 0)
        return -1;
    if (is_soon_over(longest_ns))
        set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    else
        tcp_tune_upstream(fd, longest_ns);
    if (connect(fd, peer, len) == 0 || errno == EINPROGRESS)
        return fd;
    error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* Setting TCP_KEEPIDLE restarts the timer of the probes, with what has passed since the last packet taken off. */
void tcp_begin_probing(int fd)
{
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 1);
}

void tcp_end_probing(int fd)
{
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, PROBE_AFTER_S);
}

static bool get_info(int fd, struct tcp_info *info)
{
    socklen_t len = sizeof(*info);

    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &len) == 0;
}

bool tcp_has_acknowledged(int fd, int64_t within_ns)
{
    struct tcp_info info;

    return !get_info(fd, &info) || info.tcpi_last_ack_recv * NS_PER_MS <= within_ns;
}

bool tcp_is_unacknowledged(int fd)
{
    struct tcp_info info;

    return get_info(fd, &info) && info.tcpi_unacked != 0;
}

bool tcp_is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS || error == ENOSPC;
}

/*
 * EADDRNOTAVAIL of an IPv6 address means that all local ports towards it are taken, or that this host has no IPv6
 * address to come from: then a datagram socket can't be connected to it either, whatever the ports.
 */
static bool has_no_source_address(const struct sockaddr *peer)
{
    bool has_none;
    int fd;

    if (peer->sa_family != AF_INET6)
        return false;
    fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    has_none = connect(fd, peer, sizeof(struct sockaddr_in6)) < 0 && errno == EADDRNOTAVAIL;
    close(fd);
    return has_none;
}

enum cause tcp_cause_of(int error, const struct sockaddr *peer)
{
    PRE(error != 0); /* what has not failed has no cause */
    switch (error) {
    case ECONNREFUSED: return CAUSE_REFUSED;
    case ETIMEDOUT: return CAUSE_CONNECT_LIMIT;
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE: return CAUSE_TERMINATED;
    case EADDRNOTAVAIL: return has_no_source_address(peer) ? CAUSE_UNROUTABLE : CAUSE_INTERNAL;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case ENOSPC: /* too many descriptors are watched (epoll_ctl) */
    case EAGAIN: return CAUSE_INTERNAL;
    default: return CAUSE_UNROUTABLE; /* ENETUNREACH, EHOSTUNREACH, EACCES and EPERM (a firewall), … */
    }
}
