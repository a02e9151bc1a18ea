/*
 * relay: what passing bytes on costs, and nothing else. Pairs each caller's connection with a connection of its own
 * to the upstream and copies both ways: no parsing, no pool, no deadline. One thread, one event loop (libevent),
 * each descriptor registered once, edge-triggered: the floor of the comparison in bench/run, not a proxy to use.
 *
 *   relay FD HOST PORT      FD is a listening socket that was inherited
 */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BLOCK ((size_t)65536)

struct side {
    struct event io;
    struct pair *pair;
    struct side *other;
    int fd;
    bool ended; /* it has sent all that it will */
    /* What was read here and the other side has not taken yet. */
    char *kept;
    size_t kept_at, kept_len;
};

struct pair {
    struct side caller, upstream;
};

static struct sockaddr_in upstream_address;
static struct event_base *base;

static void close_pair(struct pair *p)
{
    struct side *sides[] = {&p->caller, &p->upstream};

    for (int i = 0; i < 2; i++) {
        (void)event_del(&sides[i]->io);
        (void)close(sides[i]->fd);
        free(sides[i]->kept);
    }
    free(p);
}

static bool would_block(void)
{
    return errno == EAGAIN || errno == EINTR;
}

/* Hands on what is kept. 1: nothing is left, 0: the other side takes no more now, -1: broken. */
static int flush(struct side *from)
{
    while (from->kept_len != 0) {
        ssize_t n = send(from->other->fd, from->kept + from->kept_at, from->kept_len, MSG_NOSIGNAL);

        if (n < 0)
            return would_block() || errno == ENOTCONN ? 0 : -1;
        from->kept_at += (size_t)n;
        from->kept_len -= (size_t)n;
    }
    return 1;
}

static int keep(struct side *from, const char *bytes, size_t len)
{
    if (from->kept == NULL && (from->kept = malloc(BLOCK)) == NULL)
        return -1;
    memcpy(from->kept, bytes, len);
    from->kept_at = 0;
    from->kept_len = len;
    return flush(from);
}

/* Copies until one of the two would block. False: the pair is over. */
static bool copy(struct side *from)
{
    static char block[BLOCK];
    int flushed = flush(from);

    while (flushed == 1 && !from->ended) {
        ssize_t n = recv(from->fd, block, sizeof(block), 0);

        if (n < 0)
            return would_block();
        if (n == 0) {
            from->ended = true;
            return shutdown(from->other->fd, SHUT_WR) == 0 && !from->other->ended;
        }
        ssize_t sent = send(from->other->fd, block, (size_t)n, MSG_NOSIGNAL);
        if (sent < 0 && !would_block())
            return false;
        if (sent < n)
            flushed = keep(from, block + (sent > 0 ? sent : 0), (size_t)(n - (sent > 0 ? sent : 0)));
        else if ((size_t)n < sizeof(block))
            return true;
    }
    return flushed >= 0;
}

static void on_side(evutil_socket_t fd, short what, void *arg)
{
    struct side *side = arg;

    (void)fd;
    /* Edge-triggered, writability is told with every read: it says something new only while bytes are kept. */
    if (((what & EV_READ) != 0 && !copy(side)) ||
        ((what & EV_WRITE) != 0 && side->other->kept_len != 0 && !copy(side->other)))
        close_pair(side->pair);
}

static int add_side(struct side *side, struct pair *pair, struct side *other, int fd)
{
    int yes = 1;

    side->pair = pair;
    side->other = other;
    side->fd = fd;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    (void)event_assign(&side->io, base, fd, EV_READ | EV_WRITE | EV_ET | EV_PERSIST, on_side, side);
    return event_add(&side->io, NULL);
}

static void pair_up(int caller)
{
    struct pair *p = calloc(1, sizeof(*p));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (p == NULL || fd < 0 ||
        (connect(fd, (struct sockaddr *)&upstream_address, sizeof(upstream_address)) != 0 &&
         errno != EINPROGRESS)) {
        (void)close(caller);
        if (fd >= 0)
            (void)close(fd);
        free(p);
        return;
    }
    if (add_side(&p->upstream, p, &p->caller, fd) != 0 ||
        add_side(&p->caller, p, &p->upstream, caller) != 0) {
        perror("relay");
        exit(1);
    }
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
    int caller;

    (void)what;
    (void)arg;
    while ((caller = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        pair_up(caller);
}

int main(int argc, char **argv)
{
    struct event *listener;
    int fd;

    if (argc != 4 || inet_pton(AF_INET, argv[2], &upstream_address.sin_addr) != 1) {
        (void)fprintf(stderr, "usage: relay FD HOST PORT\n");
        return 2;
    }
    upstream_address.sin_family = AF_INET;
    upstream_address.sin_port = htons((in_port_t)atoi(argv[3]));
    (void)signal(SIGPIPE, SIG_IGN);
    fd = atoi(argv[1]);
    base = event_base_new();
    if (base == NULL || evutil_make_socket_nonblocking(fd) != 0)
        return 1;
    listener = event_new(base, fd, EV_READ | EV_PERSIST, on_accept, NULL);
    if (listener == NULL || event_add(listener, NULL) != 0)
        return 1;
    return event_base_dispatch(base) == 0 ? 0 : 1;
}
