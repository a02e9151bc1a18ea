#ifndef CURFEW_ADMIN_UPSTREAMS_H
#define CURFEW_ADMIN_UPSTREAMS_H

#include "admin/request.h"
#include "proxy/proxy.h"

/*
 * GET /upstreams: {"upstreams": [{"name": …, "url": …, "breakers": […]}]}, a breaker being {"route": …, "state": …,
 * "opens_in_ms": …, "reason": …} of one instant; `reason` is null until it has opened once. Main thread.
 */
void upstreams_respond(struct admin_request *request, struct proxy *proxy);

#endif
