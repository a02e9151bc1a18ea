#ifndef CURFEW_FAULTY_CONN_LIFE_H
#define CURFEW_FAULTY_CONN_LIFE_H

#include "faulty/server.h"

struct faulty_conn;
struct faulty_pipe;

/* The life of a connection: reading requests, calling the behaviours that answer them, and writing. */

/* Takes over the socket; on no memory closes it. */
void faulty_conn_start(struct faulty_server *server, int fd);

/* Likewise for the one request that comes by a pipe. NULL: no memory. Its first step is yet to come. */
struct faulty_conn *faulty_conn_start_piped(struct faulty_server *server, struct faulty_pipe *pipe);

/* Something has changed at the pipe's other end. */
void faulty_conn_wake(struct faulty_conn *c);

/* At the end of the server: closes every connection. */
void faulty_conn_close_all(struct faulty_server *server);

#endif
