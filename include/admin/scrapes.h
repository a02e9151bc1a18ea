#ifndef CURFEW_ADMIN_SCRAPES_H
#define CURFEW_ADMIN_SCRAPES_H

#include <stdint.h>

#include "admin/request.h"
#include "admin/process.h"
#include "base/list.h"
#include "base/status.h"
#include "proxy/proxy.h"
#include "runtime/loop.h"

/*
 * GET /metrics and GET /durations: each request starts a scrape of its own and is answered when the last worker has
 * added its counters, or after a second at the latest. All on the loop's thread.
 */
struct scrapes {
    struct loop *loop;
    struct proxy *proxy;
    const char *version;
    struct list_node under_way;
    struct process_reader process;
};

/* Set the pointers first; they are borrowed. */
void scrapes_init(struct scrapes *scrapes);

/* Answers what is under way, as not to be had. */
void scrapes_fini(struct scrapes *scrapes);

/* Take the request over. */
void scrapes_respond(struct scrapes *scrapes, struct admin_request *request);
void scrapes_respond_durations(struct scrapes *scrapes, struct admin_request *request);

#endif
