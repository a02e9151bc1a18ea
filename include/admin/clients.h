#ifndef CURFEW_ADMIN_CLIENTS_H
#define CURFEW_ADMIN_CLIENTS_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdint.h>

#include "base/list.h"
#include "base/status.h"

/*
 * Who is connected to the admin listener: how many at most (more wait in the kernel's queue), and for how long. evhttp
 * alone has no bound on the number, and its timeouts start again with each byte; here a client that has not got its
 * next request through, and the answer to its last one, CLIENT_SECONDS after that began is cut.
 */
#define CLIENTS_MAX    100
#define CLIENT_SECONDS 10

struct clients {
    struct event_base *base;
    struct evconnlistener *listener;
    struct list_node all;
    uint32_t count;
    struct event resume;
};

/*
 * Has `http` serve the connections that come in by `fd`, a socket that is listened on and stays the caller's.
 * evhttp_free ends them all; clients_fini comes after it. ST_NOMEM: nothing was begun.
 */
enum status clients_init(struct clients *clients, struct event_base *base, struct evhttp *http,
                         int fd) MUST_CHECK;
void clients_fini(struct clients *clients);

/* This client has sent a request: its time begins again. */
void clients_renew(struct clients *clients, struct evhttp_request *request);

#endif
