#ifndef CURFEW_ADMIN_POOLS_H
#define CURFEW_ADMIN_POOLS_H

#include "admin/request.h"
#include "base/status.h"
#include "stats/exposition.h"
#include "proxy/proxy.h"

/*
 * The names of all pools in use, those of calls that began before a reload too, by number; NULL: nobody's. The list
 * is to be freed, the names are the generations': valid until the loop is entered again. NULL: no memory. Main thread.
 */
const char **pools_name_all(const struct proxy *proxy);

/* GET /pools: {"pools": [{"name": …, "size": …, …}]}, the figures of each pool of one instant. */
void pools_respond(struct admin_request *request, struct proxy *proxy);

/* The families of the pools: the POOL_ rows of stats/metrics.def. ST_NOMEM: nothing was written. */
enum status pools_expose(struct proxy *proxy, struct exposition *out) MUST_CHECK;

#endif
