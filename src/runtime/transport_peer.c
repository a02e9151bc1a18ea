/*
 * Has a caller who ended its side of a TCP connection left for good? On the wire, close() and shutdown(SHUT_WR) look
 * the same until we send. But a caller of a sidecar is on this host, so the kernel knows: the peer's end of the
 * connection has an inode as long as a process holds it (sock_diag(7)).
 */
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/invariant.h"
#include "runtime/socket_address.h"
#include "runtime/transport.h"

struct question {
    struct nlmsghdr header;
    struct inet_diag_req_v2 body;
};

/* The peer's socket has our ends swapped: its source is our peer. */
static bool ask_about(struct inet_diag_req_v2 *body, const union socket_address *peer,
                      const union socket_address *own)
{
    body->sdiag_family = (uint8_t)peer->any.sa_family;
    body->sdiag_protocol = IPPROTO_TCP;
    body->idiag_states = UINT32_MAX;
    body->id.idiag_cookie[0] = body->id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    if (peer->any.sa_family == AF_INET) {
        body->id.idiag_sport = peer->v4.sin_port;
        body->id.idiag_dport = own->v4.sin_port;
        memcpy(body->id.idiag_src, &peer->v4.sin_addr, sizeof(peer->v4.sin_addr));
        memcpy(body->id.idiag_dst, &own->v4.sin_addr, sizeof(own->v4.sin_addr));
        return true;
    }
    if (peer->any.sa_family != AF_INET6)
        return false;
    body->id.idiag_sport = peer->v6.sin6_port;
    body->id.idiag_dport = own->v6.sin6_port;
    memcpy(body->id.idiag_src, &peer->v6.sin6_addr, sizeof(peer->v6.sin6_addr));
    memcpy(body->id.idiag_dst, &own->v6.sin6_addr, sizeof(own->v6.sin6_addr));
    return true;
}

/* The kernel answers while it takes the question, so nothing here waits. */
static bool exchange(int fd, const struct question *question, char *answer, size_t cap, size_t *len)
{
    ssize_t n;

    if (send(fd, question, sizeof(*question), 0) != (ssize_t)sizeof(*question))
        return false;
    n = recv(fd, answer, cap, MSG_DONTWAIT);
    *len = n > 0 ? (size_t)n : 0;
    return n >= (ssize_t)sizeof(struct nlmsghdr);
}

static bool is_on_this_host(const union socket_address *peer)
{
    struct endpoint endpoint;

    return socket_address_read(&peer->any, &endpoint) && endpoint_is_local(&endpoint);
}

static bool tcp_peer_is_gone(const union socket_address *peer, const union socket_address *own)
{
    struct question question = {
        .header = {.nlmsg_len = sizeof(question),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST},
    };
    _Alignas(struct nlmsghdr) char answer[1024];
    const struct nlmsghdr *header = (const struct nlmsghdr *)(const void *)answer;
    bool gone = false;
    size_t len;
    int fd;

    if (!ask_about(&question.body, peer, own))
        return false;
    fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0)
        return false;
    if (exchange(fd, &question, answer, sizeof(answer), &len)) {
        const struct inet_diag_msg *socket_info = NLMSG_DATA(header);
        const struct nlmsgerr *error = NLMSG_DATA(header);

        if (header->nlmsg_type == SOCK_DIAG_BY_FAMILY && len >= NLMSG_LENGTH(sizeof(*socket_info)))
            gone = socket_info->idiag_inode == 0;
        else if (header->nlmsg_type == NLMSG_ERROR && len >= NLMSG_LENGTH(sizeof(*error)))
            gone = error->error == -ENOENT && is_on_this_host(peer);
    }
    close(fd);
    return gone;
}

bool transport_has_hung_up(const struct transport *transport)
{
    struct pollfd now = {.fd = transport->fd};

    PRE(transport_is_open(transport));
    return poll(&now, 1, 0) == 1 && (now.revents & (POLLHUP | POLLERR)) != 0;
}

bool transport_was_reset(const struct transport *transport)
{
    struct pollfd now = {.fd = transport->fd};

    PRE(transport_is_open(transport));
    return poll(&now, 1, 0) == 1 && (now.revents & POLLERR) != 0;
}

bool transport_peer_is_gone(const struct transport *transport)
{
    union socket_address peer, own;
    socklen_t peer_len = sizeof(peer), own_len = sizeof(own);

    if (transport_has_hung_up(transport))
        return true;
    memset(&peer, 0, sizeof(peer));
    if (getpeername(transport->fd, &peer.any, &peer_len) < 0)
        return true;
    if (getsockname(transport->fd, &own.any, &own_len) < 0)
        return false;
    return tcp_peer_is_gone(&peer, &own);
}
