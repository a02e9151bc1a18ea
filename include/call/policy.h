#ifndef CURFEW_CALL_POLICY_H
#define CURFEW_CALL_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "config/snapshot.h"
#include "http/http1.h"
#include "http/trace.h"

/*
 * What the configuration says of one request: decided here for the proxy and for `curfew explain` alike, so that the
 * one can't differ from the other. No state, any thread.
 */

/* The route that takes the request. Of `head` only what the request line says is looked at. */
const struct route_config *policy_route(const struct upstream_config *upstream,
                                        const struct http1_head *head);

/*
 * An absolute-form target names a host. It has to be the upstream's (by its url, or by the Host that it is sent), or
 * this host's (localhost, or an IP address: a listener on 0.0.0.0 has many), whatever its port: a program that takes
 * curfew for a forward proxy must hear of it, not talk to the wrong API.
 */
bool policy_is_for_us(const struct upstream_config *upstream, const struct http1_head *head);

/*
 * Shortens *deadline_ns by the fields of caller_deadline, counted from `begun_ns`. False: one of them can't be read.
 */
bool policy_obey_caller(const struct upstream_config *upstream, const struct http1_head *head,
                        int64_t begun_ns, int64_t *deadline_ns) __attribute__((warn_unused_result));

/*
 * Of which trace is it, as the upstream gets to see it? *trace is as it was if it is of none. False: it has to get a
 * new one (trace_begin), in place of all that came.
 */
bool policy_trace(const struct upstream_config *upstream, const struct http1_head *head, struct trace *trace)
    __attribute__((warn_unused_result));

#endif
