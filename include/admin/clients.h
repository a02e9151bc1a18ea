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
 * Who is connected to an admin listener: how many at most, and for how long. evhttp alone has no bound on the number,
 * and its timeouts start again with each byte; here a client that has not got its next request through, and the answer
 * to its last one, CLIENT_SECONDS after that began is cut.
 *
 * A probe must not have to wait for others to be over: past CLIENTS_MAX each one that comes has the oldest silent one
 * cut, which waits for nothing but its own next request. Only the older half is looked at, so that whoever has just
 * come has the time to say what it wants; if all of that half wait for their answers, or don't read them, the oldest of
 * them goes. Nor are descriptors a reason to wait: a few are kept for clients, should the calls have taken all others.
 */
#define CLIENTS_MAX    100
#define CLIENT_SECONDS 10
/* Descriptors that are kept. */
#define CLIENTS_SPARE  4

struct clients {
    struct event_base *base;
    struct evconnlistener *listener;
    struct list_node all; /* who has been quiet for longest first */
    uint32_t count;       /* of all, */
    uint32_t going;       /* of those that have been cut and are not gone yet, */
    uint32_t came;        /* and of those that came in this turn of the loop */
    struct event resume, refill;
    int spare[CLIENTS_SPARE]; /* -1: in use */
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
