#include "admin/clients.h"

#include <event2/bufferevent.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/reserve.h"
#include "base/mem.h"

/* libevent's 16 KiB take a turn and a wake-up of the client each: most pages of metrics go out at once. */
#define WRITE_BYTES        ((size_t)256 * 1024)

/* Who has been cut stays for a turn or two, and until an answer that it waits for is there. */
#define CLIENTS_WITH_GOING (2 * CLIENTS_MAX)
/* As many can be accepted before one that came in the last turn is listened to; so it is not among the older half. */
#define CLIENTS_A_TURN     (CLIENTS_MAX / 4)

static const struct timeval client_time = {.tv_sec = CLIENT_SECONDS};
static const struct timeval resume_time = {.tv_sec = 1};
static const struct timeval at_once = {0};

struct client {
    struct list_node node; /* on clients.all */
    struct clients *clients;
    struct bufferevent *stream;           /* evhttp's, but for one reference until `watch` has run */
    struct evhttp_connection *connection; /* NULL until `watch` has run */
    struct event watch;
    struct event time_over;
    bool is_asking; /* the answer to a request has not gone out whole */
    bool is_going;
};

static bool may_accept(const struct clients *clients)
{
    return clients->listener && clients->count < CLIENTS_WITH_GOING && clients->came < CLIENTS_A_TURN &&
           !reserve_is_low();
}

static void client_free(struct client *client)
{
    struct clients *clients = client->clients;

    event_del(&client->watch);
    event_del(&client->time_over);
    list_remove(&client->node);
    clients->going -= client->is_going;
    clients->count--;
    mem_free(client);
    event_add(&clients->refill, &at_once);
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
static void cut(struct client *client)
{
    if (!client->is_going)
        client->clients->going++;
    client->is_going = true;
    shutdown(bufferevent_getfd(client->stream), SHUT_RDWR);
}

static void time_over(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    cut(arg);
}

/* Of the older half, the oldest silent one, or else the oldest. NULL: there is none. */
static struct client *find_superfluous(const struct clients *clients)
{
    struct client *oldest = NULL;
    uint32_t seen = 0;

    LIST_FOREACH(node, &clients->all) {
        struct client *client = CONTAINER_OF(node, struct client, node);

        if (client->is_going || client->connection == NULL)
            continue;
        if (!client->is_asking)
            return client;
        if (oldest == NULL)
            oldest = client;
        if (++seen == CLIENTS_MAX / 2)
            break;
    }
    return oldest;
}

static void cut_one(struct clients *clients)
{
    struct client *superfluous = find_superfluous(clients);

    if (superfluous != NULL)
        cut(superfluous);
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
    client->clients->came = 0;
    if (may_accept(client->clients))
        evconnlistener_enable(client->clients->listener);
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
        event_assign(&client->time_over, base, -1, 0, time_over, client) < 0) {
        if (client->stream)
            bufferevent_free(client->stream);
        mem_free(client);
        return NULL;
    }
    bufferevent_incref(client->stream);
    event_active(&client->watch, EV_TIMEOUT, 0); /* when evhttp has done its part, before anything is read */
    if (clients->count - clients->going >= CLIENTS_MAX)
        cut_one(clients);
    list_push_back(&clients->all, &client->node);
    clients->count++;
    clients->came++;
    if (!may_accept(clients))
        evconnlistener_disable(clients->listener);
    return client->stream;
}

static void refill(evutil_socket_t fd, short what, void *arg)
{
    struct clients *clients = arg;

    (void)fd;
    (void)what;
    for (int i = 0; i < CLIENTS_SPARE; i++)
        if (clients->spare[i] < 0)
            clients->spare[i] = eventfd(0, EFD_CLOEXEC);
}

static void resume(evutil_socket_t fd, short what, void *arg)
{
    struct clients *clients = arg;

    refill(fd, what, clients);
    clients->came = 0;
    if (may_accept(clients))
        evconnlistener_enable(clients->listener);
}

/* ---- descriptors, when there are none ------------------------------------------------------------------------- */

/* False: there was none. */
static bool give_up_spare(struct clients *clients)
{
    for (int i = 0; i < CLIENTS_SPARE; i++) {
        if (clients->spare[i] < 0)
            continue;
        close(clients->spare[i]);
        clients->spare[i] = -1;
        return true;
    }
    return false;
}

struct search {
    const struct evconnlistener *listener;
    struct clients *found;
};

static int is_of_listener(const struct event_base *base, const struct event *event, void *arg)
{
    struct search *search = arg;
    struct clients *clients = event_get_callback_arg(event);

    (void)base;
    if (event_get_callback(event) != resume || clients->listener != search->listener)
        return 0;
    search->found = clients;
    return 1;
}

/*
 * Out of descriptors, most likely. With one that was spared the next attempt succeeds; else there is a pause until a
 * client that is cut for it has gone, instead of spinning and complaining. `arg` is evhttp's, so that the way from here
 * to the clients is by their timer, which is among the events of the loop.
 */
static void accept_failed(struct evconnlistener *listener, void *arg)
{
    struct search search = {.listener = listener};

    (void)arg;
    (void)event_base_foreach_event(evconnlistener_get_base(listener), is_of_listener, &search);
    if (search.found != NULL && give_up_spare(search.found))
        return;
    evconnlistener_disable(listener);
    if (search.found != NULL)
        cut_one(search.found);
}

/* ---- coming, going -------------------------------------------------------------------------------------------- */

enum status clients_init(struct clients *clients, struct event_base *base, struct evhttp *http, int fd)
{
    clients->base = base;
    clients->count = clients->going = clients->came = 0;
    list_init(&clients->all);
    for (int i = 0; i < CLIENTS_SPARE; i++)
        clients->spare[i] = -1;
    if (event_assign(&clients->refill, base, -1, 0, refill, clients) < 0 ||
        event_assign(&clients->resume, base, -1, EV_PERSIST, resume, clients) < 0 ||
        event_add(&clients->resume, &resume_time) < 0)
        return ST_NOMEM;
    clients->listener = evconnlistener_new(base, NULL, NULL, LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (!clients->listener)
        goto no_listener;
    evhttp_set_bevcb(http, client_came, clients);
    if (!evhttp_bind_listener(http, clients->listener))
        goto no_server;
    evconnlistener_set_error_cb(clients->listener, accept_failed);
    refill(-1, 0, clients);
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
    event_del(&clients->refill);
    while (give_up_spare(clients))
        ;
}

static void move_to_end(struct client *client)
{
    list_remove(&client->node);
    list_push_back(&client->clients->all, &client->node);
}

static void answered(struct evhttp_request *request, void *arg)
{
    struct client *client = arg;

    (void)request;
    client->is_asking = false;
    move_to_end(client);
}

void clients_renew(struct clients *clients, struct evhttp_request *request)
{
    const struct evhttp_connection *connection = evhttp_request_get_connection(request);

    LIST_FOREACH(node, &clients->all) {
        struct client *client = CONTAINER_OF(node, struct client, node);

        if (client->connection == connection) {
            event_add(&client->time_over, &client_time);
            move_to_end(client);
            client->is_asking = true;
            evhttp_request_set_on_complete_cb(request, answered, client);
            return;
        }
    }
}
