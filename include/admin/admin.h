#ifndef CURFEW_ADMIN_ADMIN_H
#define CURFEW_ADMIN_ADMIN_H

#include <event2/event.h>
#include <event2/http.h>
#include <stddef.h>

#include "base/text.h"
#include "proxy/proxy.h"

/*
 * The admin listener: what operators and their tools ask curfew. It lives on the main thread's loop, away from the
 * calls, and reaches the workers by mail alone, so a slow or hostile client of it costs them nothing.
 */
struct admin;

/* What it is made of. All pointers are borrowed and outlive the admin. */
struct admin_ground {
    struct event_base *base;
    struct proxy *proxy;
    const char *version;
    int handed_fd; /* a listening socket that others opened for it; -1: it opens one */
    /*
     * POST /reload. Takes the request over, and answers it by admin/respond.h, now or later, before the admin is freed.
     */
    void (*reload)(void *arg, struct evhttp_request *request);
    void *arg;
};

/*
 * Listens on the `admin.listen` of the configuration in force, and stays there; a unix socket of its own gets mode
 * 0660. NULL: nothing is left open, and `why` (terminated, at most why_cap bytes) says what failed. Thread of `base`.
 */
struct admin *admin_new(const struct admin_ground *ground, char *why, size_t why_cap);

/*
 * Closes everything; requests under way are cut. Mail from the workers may be on its way to it as long as they run:
 * so end the workers' threads first (their last mail is taken in here), then this, then free the proxy's memory.
 */
void admin_free(struct admin *admin);

/* Where it was told to listen. */
const struct address *admin_address(const struct admin *admin);

/* Where it really listens: "127.0.0.1:9600", "[::1]:9600", "unix:/run/curfew/admin.sock". */
void admin_put_address(const struct admin *admin, struct text *out);

#endif
