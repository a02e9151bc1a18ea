#ifndef CURFEW_ADMIN_CALLS_H
#define CURFEW_ADMIN_CALLS_H

#include <stdbool.h>

#include "admin/request.h"
#include "base/list.h"
#include "proxy/proxy.h"
#include "runtime/loop.h"

/*
 * GET /calls, DELETE /calls/ID: each is a query (proxy/call_query.h), one after another, so that no number of clients
 * makes the workers look more often than they can; who has waited for a second gets a 503. All on the loop's thread.
 */
struct calls {
    struct loop *loop;
    struct proxy *proxy;
    struct list_node waiting; /* requests, in the order of their coming; */
    struct asked *asked;      /* that whose query is under way; NULL: it was given up, or there is none */
    bool is_under_way;
};

/* Set the pointers first; they are borrowed. */
void calls_init(struct calls *calls);

/* The workers have ended. Answers what is left, as not to be had. */
void calls_fini(struct calls *calls);

/* Take the request over. */
void calls_respond(struct calls *calls, struct admin_request *request);
void calls_respond_cut(struct calls *calls, struct admin_request *request, const char *id);

#endif
