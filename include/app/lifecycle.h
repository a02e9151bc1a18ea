#ifndef CURFEW_APP_LIFECYCLE_H
#define CURFEW_APP_LIFECYCLE_H

#include "base/status.h"

struct service;

/*
 * What signals do to a running service. SIGHUP loads the configuration anew. SIGUSR1 opens the access log's file anew.
 * SIGTERM and SIGINT drain and end it; a second one ends it at once.
 */
enum status lifecycle_init(struct service *service) MUST_CHECK;
void lifecycle_fini(struct service *service);

#endif
