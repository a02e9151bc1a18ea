#ifndef CURFEW_ADMIN_CONFIG_H
#define CURFEW_ADMIN_CONFIG_H

#include "admin/request.h"
#include "admin/listener.h"
#include "proxy/proxy.h"

/*
 * GET /config: {"edition": 2, "in_force_since": …, "config": {…}}: the configuration in force, with its defaults
 * filled in and the names of its options, from the snapshot that calls now begin under. What a new start alone could
 * change (`workers`, where the admin listens) is what it is, not what the file says meanwhile.
 *
 * Values of header fields are secrets and left out: the names of those that are set are there. Of files, the paths are.
 * A listener that is NULL is not there. On the main thread.
 */
void config_respond(struct admin_request *request, const struct proxy *proxy,
                    const struct admin_listener *admin, const struct admin_listener *metrics);

#endif
