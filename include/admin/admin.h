#ifndef CURFEW_ADMIN_ADMIN_H
#define CURFEW_ADMIN_ADMIN_H

#include <stddef.h>

#include "admin/request.h"
#include "admin/listener.h"
#include "proxy/proxy.h"
#include "runtime/loop.h"

/*
 * The admin listener: what operators and their tools ask curfew. It lives on the main thread's loop, away from the
 * calls, and reaches the workers by mail alone, so a slow or hostile client of it costs them nothing.
 */
struct admin;

/* What it is made of. All pointers are borrowed and outlive the admin. */
struct admin_ground {
    struct loop *loop;
    struct proxy *proxy;
    const char *version;
    /* Listening sockets that others opened for it; -1: it opens one. */
    int handed_fd, handed_metrics_fd;
    /*
     * POST /reload. Takes the request over, and answers it by admin/respond.h, now or later, before the admin is freed.
     */
    void (*reload)(void *arg, struct admin_request *request);
    void *arg;
};

/*
 * Listens on the `admin.listen` and `admin.metrics_listen` of the configuration in force, as far as it has them, and
 * stays there. NULL: nothing is left open, and `why` (terminated, at most why_cap bytes) says what failed. The
 * loop's thread.
 */
struct admin *admin_new(const struct admin_ground *ground, char *why, size_t why_cap);

/*
 * Closes everything; requests under way are cut. Mail from the workers may be on its way to it as long as they run:
 * so end the workers' threads first (their last mail is taken in here), then this, then free the proxy's memory.
 */
void admin_free(struct admin *admin);

/* NULL: it has none. */
const struct admin_listener *admin_listener(const struct admin *admin);
const struct admin_listener *admin_metrics_listener(const struct admin *admin);

#endif
