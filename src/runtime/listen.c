#include "runtime/listen.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/invariant.h"
#include "runtime/loop.h"
#include "runtime/socket_address.h"
#include "runtime/transport.h"

#define BACKLOG      4096
/* Connections taken in one go; more wait for the next turn, when another loop may be idle. */
#define ACCEPT_BURST 16
#define PAUSE_NS     (100 * NS_PER_MS)

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
static bool give_group(const struct endpoint *address)
{
    struct stat info;

    if (lstat(address->path, &info) == 0 && info.st_gid == address->group)
        return true;
    return chown(address->path, (uid_t)-1, address->group) == 0;
}

bool listen_permit(const struct endpoint *address)
{
    if (address->family != ENDPOINT_UNIX)
        return true;
    if (address->has_group && !give_group(address))
        return false;
    return !address->has_mode || chmod(address->path, address->mode) == 0;
}

const char *listen_advice(const struct endpoint *address, int error)
{
    if (!address->has_group || (error != EPERM && error != EINVAL))
        return "";
    return ": a process gives its files to groups that it is in; make this one curfew's own (under systemd, "
           "Group= in its unit)";
}

void listen_close(const struct endpoint *address, int fd)
{
    close(fd);
    if (address->family == ENDPOINT_UNIX)
        (void)unlink(address->path); /* gone already: as well */
}

int listen_open(const struct endpoint *address)
{
    union socket_address where;
    socklen_t len = socket_address_fill(&where, address);
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

int listen_connect(const struct endpoint *address, int patience_s)
{
    const struct timeval patience = {.tv_sec = patience_s};
    union socket_address where;
    socklen_t len = socket_address_fill(&where, address);
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

bool listen_find_address(int fd, struct endpoint *out, char path[LISTEN_PATH_MAX])
{
    union socket_address where = {.any.sa_family = AF_UNSPEC};
    socklen_t len = sizeof(where), flag_len = sizeof(int);
    int listens = 0;

    *out = (struct endpoint){.path = path};
    path[0] = '\0';
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &flag_len) < 0 || listens == 0 ||
        getsockname(fd, &where.any, &len) < 0)
        return false;
    if (!socket_address_read(&where.any, out))
        return false;
    if (out->family == ENDPOINT_UNIX) {
        memcpy(path, out->path, LISTEN_PATH_MAX - 1);
        path[LISTEN_PATH_MAX - 1] = '\0';
        out->path = path;
    }
    return true;
}

void listen_put_address(struct text *out, const struct endpoint *address, int fd)
{
    union socket_address where;
    socklen_t len = sizeof(where);

    if (address->family == ENDPOINT_UNIX || getsockname(fd, &where.any, &len) < 0)
        endpoint_put(out, address);
    else
        socket_address_put(out, &where.any);
}

static bool is_out_of_descriptors(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* accept4 looks for a descriptor before it looks for a connection, so its failure does not say that there is one. */
static bool is_awaited(const struct acceptor *acceptor)
{
    struct pollfd now = {.fd = acceptor->fd, .events = POLLIN};

    return poll(&now, 1, 0) == 1;
}

/* For a connection that waits. */
static bool find_descriptor(struct acceptor *acceptor, int error)
{
    if (acceptor->shortage != NULL)
        return acceptor->shortage(acceptor);
    return loop_find_descriptor(acceptor->loop, error);
}

static void pause_accepting(struct acceptor *acceptor, int64_t for_ns)
{
    PRE(loop_is_own(acceptor->loop));
    event_del(&acceptor->event);
    timer_set(&acceptor->loop->timers, &acceptor->resume, loop_now(acceptor->loop) + for_ns);
}

static void resume_accepting(struct timer *timer, int64_t now_ns)
{
    struct acceptor *acceptor = CONTAINER_OF(timer, struct acceptor, resume);

    even_share_resume(&acceptor->share, now_ns);
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

static bool is_ours(struct acceptor *acceptor)
{
    uint32_t own, all, loops;

    if (acceptor->count == NULL)
        return true;
    loops = acceptor->count(acceptor, &own, &all);
    return even_share_takes(&acceptor->share, own, all, loops, loop_now(acceptor->loop));
}

/*
 * How many connections may be taken in one go. Where they come one at a time, to look for a second is in vain; one that
 * is there raises the event again, in the next turn, and then they come in a crowd. Where turns are full, the next one
 * is that in which its event has its turn.
 */
static int burst(struct acceptor *acceptor)
{
    uint32_t since = acceptor->loop->turn - acceptor->turn;

    acceptor->turn = acceptor->loop->turn;
    return since <= 1 + acceptor->loop->full ? ACCEPT_BURST : 1;
}

static void connection_came(evutil_socket_t listen_fd, short what, void *arg)
{
    struct acceptor *acceptor = arg;
    int most = burst(acceptor);
    int error;

    (void)listen_fd;
    (void)what;
    for (int i = 0; i < most; i++) {
        if (!is_ours(acceptor)) {
            pause_accepting(acceptor, EVEN_SHARE_PAUSE_NS);
            return;
        }
        if (take_one(acceptor))
            continue;
        error = errno;
        if (!is_out_of_descriptors(error) || !is_awaited(acceptor))
            return;
        if (find_descriptor(acceptor, error)) {
            most = ACCEPT_BURST; /* what was found is for this one: nobody else is to take it first */
            continue;
        }
        pause_accepting(acceptor, PAUSE_NS);
        return;
    }
}

enum status acceptor_init(struct acceptor *acceptor, struct loop *loop, int fd, accepted_fn accepted)
{
    acceptor->loop = loop;
    acceptor->fd = fd;
    acceptor->accepted = accepted;
    acceptor->shortage = NULL;
    acceptor->count = NULL;
    acceptor->turn = 0;
    acceptor->share = (struct even_share){.pauses = 0};
    if (event_assign(&acceptor->event, loop->base, fd, EV_READ | EV_PERSIST, connection_came, acceptor) < 0)
        return ST_NOMEM;
    return timer_init(&loop->timers, &acceptor->resume, resume_accepting);
}

void acceptor_start(struct acceptor *acceptor)
{
    if (event_add(&acceptor->event, NULL) < 0)
        pause_accepting(acceptor, PAUSE_NS);
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
