#ifndef CURFEW_ADMIN_CLIENTS_H
#define CURFEW_ADMIN_CLIENTS_H

#include <stdint.h>

#include "admin/content.h"
#include "admin/request.h"
#include "base/list.h"
#include "base/status.h"
#include "core/timer.h"
#include "runtime/listen.h"
#include "runtime/loop.h"
#include "wire/caller.h"

/*
 * Who is connected to an admin listener, by the HTTP/1.1 that callers get (wire/h1_caller): how many at most, and for
 * how long. A client that has not got its next request through, and the answer to its last one, CLIENT_SECONDS after
 * that began is cut.
 *
 * A probe must not have to wait for others to be over: past CLIENTS_MAX each one that comes has the oldest silent one
 * cut, which waits for nothing but its own next request. Only the older half is looked at, so that whoever has just
 * come has the time to say what it wants; if all of that half wait for their answers, or don't read them, the oldest of
 * them goes. Nor are descriptors a reason to wait: a few are kept for clients, should the calls have taken all others.
 */
#define CLIENTS_MAX          100
#define CLIENT_SECONDS       10
/* Descriptors that are kept. */
#define CLIENTS_SPARE        4

/* Of a request: its head, which has so many fields, and its content, which nobody looks at. */
#define CLIENT_HEAD_BYTES    8192
#define CLIENT_FIELDS        256
#define CLIENT_CONTENT_BYTES 65536

/* A request has come, whole: to be answered by admin/respond.h. */
typedef void (*admin_request_fn)(struct admin_request *request, void *arg);

struct clients {
    struct loop *loop;
    admin_request_fn came;
    void *arg;
    struct acceptor acceptor;
    struct caller_common common;
    struct list_node all;     /* who has been quiet for longest first */
    uint32_t count;           /* of all */
    struct timer refill;      /* while a spare one is missing */
    int spare[CLIENTS_SPARE]; /* -1: in use */
    struct http1_head head;
    struct http1_field fields[CLIENT_FIELDS];
    char text[CLIENT_HEAD_BYTES];
};

/*
 * Serves the connections that come in by `fd`, a socket that is listened on and stays the caller's. ST_NOMEM: nothing
 * was begun. The loop's thread.
 */
enum status clients_init(struct clients *clients, struct loop *loop, int fd, admin_request_fn came,
                         void *arg) MUST_CHECK;
/* Cuts them all. Requests that are not answered stay whose they are. */
void clients_fini(struct clients *clients);

/* What a client gets for its request, which is over by this. */
struct answer {
    uint16_t status;
    struct span lines;      /* ready field lines */
    struct content content; /* taken over; */
    struct span fixed;      /* or, if that has no bytes, these, which stay where they are */
    bool head_only;         /* the length of the content is told, and it is not sent */
    bool is_bare;           /* there is no content to tell of, as in a 304 */
};
void client_answer(struct client *client, struct answer *answer);

#endif
