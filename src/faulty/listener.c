#include "faulty/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/number.h"
#include "faulty/conn_life.h"
#include "runtime/socket_address.h"
#include "runtime/transport.h"

#define BACKLOG    4096
/* Connections accepted in one go, before those that are open get their turn. */
#define ACCEPT_MAX 256
/* How long to wait when there are no descriptors left. */
#define PAUSE_US   50000

struct listener {
    struct faulty_server *server;
    struct list_node link;
    struct event event;
    struct event pause;
    int fd;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* of a unix socket; else empty */
};

/* ------------------------------------------------------------------------------------- addresses */

static bool parse_port(struct span digits, in_port_t *port)
{
    uint64_t n;

    if (number_u64(digits, &n) != NUMBER_OK || n > 65535)
        return false;
    *port = htons((uint16_t)n);
    return true;
}

static bool parse_unix(const char *path, union socket_address *a, socklen_t *len)
{
    size_t path_len = strlen(path);

    if (path_len == 0 || path_len >= sizeof(a->path.sun_path))
        return false;
    a->path.sun_family = AF_UNIX;
    memcpy(a->path.sun_path, path, path_len + 1);
    *len = sizeof(a->path);
    return true;
}

static bool parse_ip(const char *text, union socket_address *a, socklen_t *len)
{
    char host[INET6_ADDRSTRLEN];
    const char *colon = strrchr(text, ':');
    size_t host_len = colon != NULL ? (size_t)(colon - text) : 0;
    bool six = host_len > 2 && text[0] == '[' && text[host_len - 1] == ']';

    if (host_len == 0 || host_len - (six ? 2 : 0) >= sizeof(host))
        return false;
    memcpy(host, text + (six ? 1 : 0), host_len - (six ? 2 : 0));
    host[host_len - (six ? 2 : 0)] = '\0';
    if (six) {
        a->v6.sin6_family = AF_INET6;
        *len = sizeof(a->v6);
        return inet_pton(AF_INET6, host, &a->v6.sin6_addr) == 1 &&
               parse_port(span_of(colon + 1), &a->v6.sin6_port);
    }
    a->v4.sin_family = AF_INET;
    *len = sizeof(a->v4);
    return inet_pton(AF_INET, host, &a->v4.sin_addr) == 1 && parse_port(span_of(colon + 1), &a->v4.sin_port);
}

/* A port alone is one of 127.0.0.1, as in a configuration. */
static bool parse_alone(const char *text, union socket_address *a, socklen_t *len)
{
    a->v4.sin_family = AF_INET;
    a->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *len = sizeof(a->v4);
    return parse_port(span_of(text), &a->v4.sin_port);
}

static bool parse_address(const char *text, union socket_address *a, socklen_t *len)
{
    memset(a, 0, sizeof(*a));
    if (strchr(text, ':') == NULL)
        return parse_alone(text, a, len);
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5, a, len);
    return parse_ip(text, a, len);
}

static void announce(const struct listener *l)
{
    char block[64];
    struct text text = text_over(block, sizeof(block));
    union socket_address a = {.any.sa_family = AF_UNSPEC};
    socklen_t len = sizeof(a);

    if (l->path[0] != '\0') {
        printf("listening on unix:%s\n", l->path);
    } else {
        (void)getsockname(l->fd, &a.any, &len); /* of a bound socket it does not fail */
        socket_address_put(&text, &a.any);
        printf("listening on %.*s\n", SPAN_FMT(text_span(&text)));
    }
    (void)fflush(stdout); /* nobody to tell if stdout is closed */
}

/* --------------------------------------------------------------------------------------- accepting */

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
    struct listener *l = arg;
    struct timeval pause = {0, PAUSE_US};

    (void)what;
    for (int n = 0; n < ACCEPT_MAX; n++) {
        int peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (peer < 0 && (errno == ECONNABORTED || errno == EINTR))
            continue;
        if (peer < 0) {
            if (errno != EAGAIN && event_del(&l->event) == 0)
                (void)event_add(&l->pause, &pause); /* without it this listener is lost: out of memory */
            return;
        }
        faulty_conn_start(l->server, peer);
    }
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
    struct listener *l = arg;

    (void)fd;
    (void)what;
    (void)event_add(&l->event, NULL); /* as above */
}

/* ---------------------------------------------------------------------------------------- opening */

/* Is this the socket of a server that is no more? */
static bool is_stale(const union socket_address *a, socklen_t len)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool stale = fd >= 0 && connect(fd, &a->any, len) != 0 && errno == ECONNREFUSED;

    if (fd >= 0)
        (void)close(fd);
    return stale;
}

static bool bind_and_listen(struct listener *l, const union socket_address *a, socklen_t len)
{
    int on = 1;

    if (a->any.sa_family == AF_UNIX && is_stale(a, len))
        (void)unlink(a->path.sun_path); /* bind says what is wrong */
    if (a->any.sa_family == AF_INET6)
        (void)setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    (void)setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    transport_tune(l->fd);
    if (bind(l->fd, &a->any, len) != 0)
        return false;
    if (a->any.sa_family == AF_UNIX)
        memcpy(l->path, a->path.sun_path, sizeof(l->path));
    return listen(l->fd, BACKLOG) == 0;
}

static void listener_free(struct listener *l)
{
    if (l->fd >= 0)
        (void)close(l->fd);
    if (l->path[0] != '\0')
        (void)unlink(l->path);
    mem_free(l);
}

static enum status open_listener(struct faulty_server *server, const union socket_address *a, socklen_t len,
                                 struct listener **opened)
{
    struct listener *l = mem_zalloc(sizeof(*l));

    if (l == NULL)
        return ST_NOMEM;
    l->server = server;
    l->fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0 || !bind_and_listen(l, a, len) ||
        event_assign(&l->event, server->base, l->fd, EV_READ | EV_PERSIST, on_accept, l) != 0 ||
        event_assign(&l->pause, server->base, -1, 0, on_pause_over, l) != 0 ||
        event_add(&l->event, NULL) != 0) {
        int saved = errno;

        listener_free(l);
        errno = saved;
        return ST_FAILED;
    }
    *opened = l;
    return ST_OK;
}

enum status faulty_listen(struct faulty_server *server, const char *address)
{
    union socket_address a;
    socklen_t len;
    struct listener *l;
    enum status status;

    if (!parse_address(address, &a, &len)) {
        (void)fprintf(stderr, "curfew faulty: %s is neither PORT, IPV4:PORT, [IPV6]:PORT nor unix:PATH\n",
                      address);
        return ST_BAD;
    }
    status = open_listener(server, &a, len, &l);
    if (status != ST_OK) {
        (void)fprintf(stderr, "curfew faulty: cannot listen on %s: %s\n", address, strerror(errno));
        return status;
    }
    list_push_back(&server->listeners, &l->link);
    announce(l);
    return ST_OK;
}

void faulty_listeners_close(struct faulty_server *server)
{
    struct list_node *node;

    while ((node = list_take_front(&server->listeners)) != NULL) {
        struct listener *l = CONTAINER_OF(node, struct listener, link);

        (void)event_del(&l->event); /* fail only for an event without a base */
        (void)event_del(&l->pause);
        listener_free(l);
    }
}
