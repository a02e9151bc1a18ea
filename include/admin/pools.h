#ifndef CURFEW_ADMIN_POOLS_H
#define CURFEW_ADMIN_POOLS_H

#include <event2/http.h>

#include "base/status.h"
#include "config/snapshot.h"
#include "core/exposition.h"
#include "proxy/proxy.h"

/* GET /pools: {"pools": [{"name": …, "size": …, …}]}, the figures of each pool of one instant. */
void pools_respond(struct evhttp_request *request, const struct snapshot *snapshot, struct proxy *proxy);

/* The families of the pools: the POOL_ rows of core/metrics.def. ST_NOMEM: nothing was written. */
enum status pools_expose(const struct snapshot *snapshot, struct proxy *proxy,
                         struct exposition *out) MUST_CHECK;

#endif
