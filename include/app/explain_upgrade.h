#ifndef CURFEW_APP_EXPLAIN_UPGRADE_H
#define CURFEW_APP_EXPLAIN_UPGRADE_H

#include "config/snapshot.h"

/* To standard output: which protocols a connection may switch to. Nothing if there are none. */
void explain_upgrade_print(const struct route_config *route);

/* Likewise: which proxy its connections are made through, and how that one is asked. */
void explain_proxy_print(const char *label, const struct proxy_config *proxy, const char *how);

#endif
