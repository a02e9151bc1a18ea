#ifndef CURFEW_APP_EXPLAIN_FORWARD_H
#define CURFEW_APP_EXPLAIN_FORWARD_H

#include "app/explanation.h"

/* What `curfew explain` says of a request to a forward proxy: its destination, and the addresses that it may dial. */

/*
 * `url` is what the request's target would be: "http://host/path", or "host:443" of CONNECT. The proxy is the one with
 * this name; without a name (NULL) the only one. NULL, or what is wrong: a static text.
 */
const char *explain_find_forward(const struct snapshot *snapshot, const char *url, const char *name,
                                 struct explain_target *out) __attribute__((warn_unused_result));

/* Looks its host up, as the system does, and asks the guard. May refuse it. The target has been read. */
void explain_forward_look(struct explanation *e);

/* The proxy that its way leads through; NULL: there is none, or its target can't be read. */
const struct proxy_config *explain_forward_proxy(const struct explanation *e);

/* To standard output. */
void explain_forward_print(const struct explanation *e);

#endif
