#ifndef CURFEW_ADMIN_UPSTREAMS_H
#define CURFEW_ADMIN_UPSTREAMS_H

#include "admin/request.h"
#include "proxy/proxy.h"

/*
 * GET /upstreams: {"upstreams": [{"name": …, "url": …, "breakers": […], "addresses": {"up": 2, "out": […], "probing":
 * […]}}]}, a breaker being {"route": …, "state": …, "opens_in_ms": …, "reason": …} of one instant; `reason` is null
 * until it has opened once; `addresses` is null without addresses.eject. Main thread.
 */
void upstreams_respond(struct admin_request *request, struct proxy *proxy);

#endif
