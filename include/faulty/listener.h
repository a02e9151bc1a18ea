#ifndef CURFEW_FAULTY_LISTENER_H
#define CURFEW_FAULTY_LISTENER_H

#include "base/span.h"
#include "base/status.h"
#include "faulty/server.h"

/*
 * Listens on "127.0.0.1:9000", "[::1]:9000" or "unix:/path" (port 0: any that is free) and says on stdout where:
 * "listening on 127.0.0.1:9000". A unix socket that nobody listens on any more is replaced. What fails is said on
 * stderr. ST_OK, ST_BAD (no such kind of address), ST_FAILED, ST_NOMEM.
 */
enum status faulty_listen(struct faulty_server *server, const char *address) MUST_CHECK;

/* Closes all listeners and removes the files of unix sockets. */
void faulty_listeners_close(struct faulty_server *server);

#endif
