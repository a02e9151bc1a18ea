#ifndef CURFEW_FAULTY_CONN_LIFE_H
#define CURFEW_FAULTY_CONN_LIFE_H

#include "faulty/server.h"

/* The life of a connection: reading requests, calling the behaviours that answer them, and writing. */

/* Takes over the socket; on no memory closes it. */
void faulty_conn_start(struct faulty_server *server, int fd);

/* At the end of the server: closes every connection. */
void faulty_conn_close_all(struct faulty_server *server);

#endif
