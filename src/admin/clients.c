#include "admin/clients.h"

#include <event2/bufferevent.h>
#include <sys/socket.h>

#include "admin/reserve.h"
#include "base/mem.h"

/* libevent's 16 KiB take a turn and a wake-up of the client each: most pages of metrics go out at once. */
#define WRITE_BYTES ((size_t)256 * 1024)

static const struct timeval client_time = {.tv_sec = CLIENT_SECONDS};
static const struct timeval resume_time = {.tv_sec = 1};

struct client {
    struct list_node node; /* on clients.all */
    struct clients *clients;
    struct bufferevent *stream;           /* evhttp's, but for one reference until `watch` has run */
    struct evhttp_connection *connection; /* NULL until `watch` has run */
    struct event watch;
    struct event time_over;
};

static bool may_accept(const struct clients *clients)
{
    return clients->listener && clients->count < CLIENTS_MAX && !reserve_is_low();
}

static void client_free(struct client *client)
{
    struct clients *clients = client->clients;

    event_del(&client->watch);
    event_del(&client->time_over);
    list_remove(&client->node);
    mem_free(client);
    clients->count--;
    if (may_accept(clients))
        evconnlistener_enable(clients->listener);
}

static void connection_ended(struct evhttp_connection *connection, void *arg)
{
    (void)connection;
    client_free(arg);
}

/*
 * Cut from below: evhttp sees its peer end, and cleans up by itself. To free the connection here would pull a request
 * that is being answered out from under those who answer it.
 */
static void cut(evutil_socket_t fd, short what, void *arg)
{
    struct client *client = arg;

    (void)fd;
    (void)what;
    shutdown(bufferevent_getfd(client->stream), SHUT_RDWR);
}

/*
 * evhttp says when a connection ends only to those who know it, and makes it known with its first request, which may
 * never come. But it is the argument that evhttp has given its callbacks on the stream.
 */
static void watch(evutil_socket_t fd, short what, void *arg)
{
    struct client *client = arg;
    struct bufferevent *stream = client->stream;
    bufferevent_event_cb on_event = NULL;
    void *connection = NULL;

    (void)fd;
    (void)what;
    bufferevent_getcb(stream, NULL, NULL, &on_event, &connection);
    if (on_event && event_add(&client->time_over, &client_time) == 0) {
        client->connection = connection;
        evhttp_connection_set_closecb(connection, connection_ended, client);
    } else {
        if (on_event)
            shutdown(bufferevent_getfd(stream), SHUT_RDWR);
        client_free(client);
    }
    bufferevent_decref(stream);
}

/* evhttp asks for the stream of a connection that it has just accepted. NULL: it makes one itself, or gives up too. */
static struct bufferevent *client_came(struct event_base *base, void *arg)
{
    struct clients *clients = arg;
    struct client *client = mem_zalloc(sizeof(*client));

    if (!client) {
        evconnlistener_disable(clients->listener); /* for a while: nobody watches one that evhttp makes */
        return NULL;
    }
    client->clients = clients;
    client->stream = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    if (!client->stream || bufferevent_set_max_single_write(client->stream, WRITE_BYTES) < 0 ||
        event_assign(&client->watch, base, -1, 0, watch, client) < 0 ||
        event_assign(&client->time_over, base, -1, 0, cut, client) < 0) {
        if (client->stream)
            bufferevent_free(client->stream);
        mem_free(client);
        return NULL;
    }
    bufferevent_incref(client->stream);
    event_active(&client->watch, EV_TIMEOUT, 0); /* when evhttp has done its part, before anything is read */
    list_push_back(&clients->all, &client->node);
    clients->count++;
    if (!may_accept(clients))
        evconnlistener_disable(clients->listener);
    return client->stream;
}

/*
 * Out of descriptors, most likely: a pause, instead of spinning and complaining about it. `arg` is evhttp's, so that
 * the way from here to our timer is not open: it turns all the time.
 */
static void accept_failed(struct evconnlistener *listener, void *arg)
{
    (void)arg;
    evconnlistener_disable(listener);
}

static void resume(evutil_socket_t fd, short what, void *arg)
{
    struct clients *clients = arg;

    (void)fd;
    (void)what;
    if (may_accept(clients))
        evconnlistener_enable(clients->listener);
}

enum status clients_init(struct clients *clients, struct event_base *base, struct evhttp *http, int fd)
{
    clients->base = base;
    clients->count = 0;
    list_init(&clients->all);
    if (event_assign(&clients->resume, base, -1, EV_PERSIST, resume, clients) < 0 ||
        event_add(&clients->resume, &resume_time) < 0)
        return ST_NOMEM;
    clients->listener = evconnlistener_new(base, NULL, NULL, LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (!clients->listener)
        goto no_listener;
    evhttp_set_bevcb(http, client_came, clients);
    if (!evhttp_bind_listener(http, clients->listener))
        goto no_server;
    evconnlistener_set_error_cb(clients->listener, accept_failed);
    return ST_OK;

no_server:
    evconnlistener_free(clients->listener);
no_listener:
    event_del(&clients->resume);
    return ST_NOMEM;
}

void clients_fini(struct clients *clients)
{
    /* A connection that came in the very turn in which all ended was never watched. */
    while (!list_is_empty(&clients->all)) {
        struct client *client = CONTAINER_OF(clients->all.next, struct client, node);

        bufferevent_decref(client->stream);
        client_free(client);
    }
    event_del(&clients->resume);
}

void clients_renew(struct clients *clients, struct evhttp_request *request)
{
    const struct evhttp_connection *connection = evhttp_request_get_connection(request);

    LIST_FOREACH(node, &clients->all) {
        struct client *client = CONTAINER_OF(node, struct client, node);

        if (client->connection == connection) {
            event_add(&client->time_over, &client_time);
            return;
        }
    }
}
