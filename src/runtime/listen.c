#include "runtime/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/invariant.h"
#include "runtime/transport.h"
#include "runtime/loop.h"

#define BACKLOG      4096
/* Connections taken in one go; more wait for the next turn, when another loop may be idle. */
#define ACCEPT_BURST 16
#define PAUSE_NS     (100 * NS_PER_MS)

union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un path;
};

static socklen_t fill(union socket_address *out, const struct address *address)
{
    memset(out, 0, sizeof(*out));
    switch (address->family) {
    case ADDRESS_IPV4:
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(address->port);
        memcpy(&out->v4.sin_addr, address->ip, sizeof(out->v4.sin_addr));
        return sizeof(out->v4);
    case ADDRESS_IPV6:
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(address->port);
        memcpy(&out->v6.sin6_addr, address->ip, sizeof(out->v6.sin6_addr));
        return sizeof(out->v6);
    case ADDRESS_UNIX: break;
    }
    PRE(strlen(address->path) < sizeof(out->path.sun_path)); /* the configuration has none that is longer */
    out->path.sun_family = AF_UNIX;
    strncpy(out->path.sun_path, address->path, sizeof(out->path.sun_path) - 1);
    return sizeof(out->path);
}

/*
 * A unix socket's file outlives a process that was killed: it is stale if nobody answers on it. Other files are left
 * alone.
 */
static bool remove_stale_file(const union socket_address *where, socklen_t len)
{
    struct stat info;
    bool stale;
    int probe;

    if (lstat(where->path.sun_path, &info) < 0 || !S_ISSOCK(info.st_mode))
        return false;
    probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0)
        return false;
    stale = connect(probe, &where->any, len) < 0 && errno == ECONNREFUSED;
    close(probe);
    return stale && unlink(where->path.sun_path) == 0;
}

static bool bind_to(int fd, const union socket_address *where, socklen_t len)
{
    if (bind(fd, &where->any, len) == 0)
        return true;
    if (errno != EADDRINUSE || where->any.sa_family != AF_UNIX)
        return false;
    if (!remove_stale_file(where, len)) {
        errno = EADDRINUSE;
        return false;
    }
    return bind(fd, &where->any, len) == 0;
}

/* One that is so already is not asked for: a confined process may make files of its group, but not call chown. */
static bool give_group(const struct address *address)
{
    struct stat info;

    if (lstat(address->path, &info) == 0 && info.st_gid == address->group)
        return true;
    return chown(address->path, (uid_t)-1, address->group) == 0;
}

bool listen_permit(const struct address *address)
{
    if (address->family != ADDRESS_UNIX)
        return true;
    if (address->has_group && !give_group(address))
        return false;
    return !address->has_mode || chmod(address->path, address->mode) == 0;
}

const char *listen_advice(const struct address *address, int error)
{
    if (!address->has_group || (error != EPERM && error != EINVAL))
        return "";
    return ": a process gives its files to groups that it is in; make this one curfew's own (under systemd, "
           "Group= in its unit)";
}

void listen_close(const struct address *address, int fd)
{
    close(fd);
    if (address->family == ADDRESS_UNIX)
        (void)unlink(address->path); /* gone already: as well */
}

int listen_open(const struct address *address)
{
    union socket_address where;
    socklen_t len = fill(&where, address);
    int fd = socket(where.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    int saved;

    if (fd < 0)
        return -1;
    if (where.any.sa_family != AF_UNIX) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)); /* bind tells if it was needed */
        transport_tune(fd);
    }
    if (where.any.sa_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind_to(fd, &where, len)) {
        /* Nobody can connect before it listens, so nobody gets by what the umask alone allows. */
        if (listen_permit(address) && listen(fd, BACKLOG) == 0)
            return fd;
        saved = errno;
        listen_close(address, fd);
    } else {
        saved = errno;
        close(fd);
    }
    errno = saved;
    return -1;
}

int listen_connect(const struct address *address, int patience_s)
{
    const struct timeval patience = {.tv_sec = patience_s};
    union socket_address where;
    socklen_t len = fill(&where, address);
    int fd = socket(where.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int saved;

    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)); /* of connect, too */
    if (connect(fd, &where.any, len) == 0)
        return fd;
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

bool listen_adopt(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    transport_tune(fd);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

bool listen_find_address(int fd, struct address *out, char path[LISTEN_PATH_MAX])
{
    union socket_address where = {.any.sa_family = AF_UNSPEC};
    socklen_t len = sizeof(where), flag_len = sizeof(int);
    int listens = 0;

    *out = (struct address){.path = path};
    path[0] = '\0';
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &flag_len) < 0 || listens == 0 ||
        getsockname(fd, &where.any, &len) < 0)
        return false;
    switch (where.any.sa_family) {
    case AF_INET:
        out->family = ADDRESS_IPV4;
        out->port = ntohs(where.v4.sin_port);
        memcpy(out->ip, &where.v4.sin_addr, sizeof(where.v4.sin_addr));
        return true;
    case AF_INET6:
        out->family = ADDRESS_IPV6;
        out->port = ntohs(where.v6.sin6_port);
        memcpy(out->ip, &where.v6.sin6_addr, sizeof(where.v6.sin6_addr));
        return true;
    case AF_UNIX:
        out->family = ADDRESS_UNIX;
        memcpy(path, where.path.sun_path, LISTEN_PATH_MAX - 1);
        path[LISTEN_PATH_MAX - 1] = '\0';
        return true;
    default: return false;
    }
}

void listen_put_address(struct text *out, const struct address *address, int fd)
{
    union socket_address where;
    socklen_t len = sizeof(where);
    char ip[INET6_ADDRSTRLEN];

    if (address->family == ADDRESS_UNIX) {
        text_printf(out, "unix:%s", address->path);
        return;
    }
    if (getsockname(fd, &where.any, &len) < 0)
        fill(&where, address);
    if (where.any.sa_family == AF_INET6)
        text_printf(out, "[%s]:%u", inet_ntop(AF_INET6, &where.v6.sin6_addr, ip, sizeof(ip)),
                    ntohs(where.v6.sin6_port));
    else
        text_printf(out, "%s:%u", inet_ntop(AF_INET, &where.v4.sin_addr, ip, sizeof(ip)),
                    ntohs(where.v4.sin_port));
}

static bool is_out_of_descriptors(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void pause_accepting(struct acceptor *acceptor)
{
    PRE(loop_is_own(acceptor->loop));
    event_del(&acceptor->event);
    timer_set(&acceptor->loop->timers, &acceptor->resume, loop_now(acceptor->loop) + PAUSE_NS);
}

static void resume_accepting(struct timer *timer, int64_t now_ns)
{
    struct acceptor *acceptor = CONTAINER_OF(timer, struct acceptor, resume);

    if (event_add(&acceptor->event, NULL) < 0)
        timer_set(&acceptor->loop->timers, timer, now_ns + PAUSE_NS);
}

/* False: none is left, or it can't be had. */
static bool take_one(struct acceptor *acceptor)
{
    union socket_address peer = {.any.sa_family = AF_UNSPEC};
    socklen_t len = sizeof(peer);
    int fd = accept4(acceptor->fd, &peer.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return false;
    acceptor->accepted(acceptor, fd, &peer.any);
    return true;
}

static void connection_came(evutil_socket_t listen_fd, short what, void *arg)
{
    struct acceptor *acceptor = arg;

    (void)listen_fd;
    (void)what;
    for (int i = 0; i < ACCEPT_BURST; i++) {
        if (take_one(acceptor))
            continue;
        if (is_out_of_descriptors(errno))
            pause_accepting(acceptor);
        return;
    }
}

enum status acceptor_init(struct acceptor *acceptor, struct loop *loop, int fd, accepted_fn accepted)
{
    acceptor->loop = loop;
    acceptor->fd = fd;
    acceptor->accepted = accepted;
    if (event_assign(&acceptor->event, loop->base, fd, EV_READ | EV_PERSIST, connection_came, acceptor) < 0)
        return ST_NOMEM;
    return timer_init(&loop->timers, &acceptor->resume, resume_accepting);
}

void acceptor_start(struct acceptor *acceptor)
{
    if (event_add(&acceptor->event, NULL) < 0)
        pause_accepting(acceptor);
}

void acceptor_empty(struct acceptor *acceptor)
{
    for (int i = 0; i < BACKLOG && take_one(acceptor); i++)
        ;
}

void acceptor_stop(struct acceptor *acceptor)
{
    event_del(&acceptor->event);
    timer_fini(&acceptor->loop->timers, &acceptor->resume);
}
