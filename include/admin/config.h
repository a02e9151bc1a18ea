#ifndef CURFEW_ADMIN_CONFIG_H
#define CURFEW_ADMIN_CONFIG_H

#include <event2/http.h>

#include "base/text.h"
#include "proxy/proxy.h"

/*
 * GET /config: {"edition": 2, "in_force_since": …, "config": {…}}: the configuration in force, with its defaults
 * filled in and the names of its options, from the snapshot that calls now begin under. What a new start alone could
 * change (`workers`, `admin.listen`) is what it is, not what the file says meanwhile.
 *
 * Values of header fields are secrets and left out: the names of those that are set are there. Of files, the paths are.
 * `admin` is where the admin listener is. On the main thread.
 */
void config_respond(struct evhttp_request *request, const struct proxy *proxy, struct span admin);

#endif
