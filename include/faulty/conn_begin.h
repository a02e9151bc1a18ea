#ifndef CURFEW_FAULTY_CONN_BEGIN_H
#define CURFEW_FAULTY_CONN_BEGIN_H

#include <stdbool.h>

struct faulty_conn;

/* What comes before a connection's first request. Each sets the state that follows. */

/* False: no memory for it. */
bool faulty_conn_begin_tls(struct faulty_conn *c);

/* Steps. False: nothing moves until more has come. */
bool faulty_conn_ask_proxy(struct faulty_conn *c);
bool faulty_conn_handshake(struct faulty_conn *c);

/* The connection goes on as one of HTTP/2, and this is over. False: it is none, or may be one when more has come. */
bool faulty_conn_change_to_h2(struct faulty_conn *c, bool *may_be);

#endif
