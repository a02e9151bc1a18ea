#ifndef CURFEW_APP_RELOAD_H
#define CURFEW_APP_RELOAD_H

#include "admin/request.h"

struct service;

/*
 * Reads the configuration anew and puts it in force. What came of it is logged, counted, and told to those who asked by
 * POST /reload. One at a time: asked for while one is under way, another one follows, for the file may have changed.
 */
void reload_init(struct service *service);
void reload_ask(struct service *service);
/* admin_ground.reload; `arg` is the service. */
void reload_asked_by_admin(void *arg, struct admin_request *request);
/* Tells those who wait that nothing will come of it. */
void reload_fini(struct service *service);

#endif
