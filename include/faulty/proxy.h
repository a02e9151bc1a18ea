#ifndef CURFEW_FAULTY_PROXY_H
#define CURFEW_FAULTY_PROXY_H

#include <event2/buffer.h>
#include <stdbool.h>

enum faulty_proxy_result {
    FAULTY_PROXY_MORE,
    FAULTY_PROXY_LETS,    /* what follows is a connection as any other */
    FAULTY_PROXY_REFUSES, /* the connection ends */
};

struct faulty_server;

/*
 * Takes a CONNECT, if it has come whole, and puts its answer into `out`, as the server's options have it. Another
 * request stays where it is, if that is let through.
 */
enum faulty_proxy_result faulty_proxy_take(struct evbuffer *in, struct evbuffer *out,
                                           const struct faulty_server *server);

#endif
