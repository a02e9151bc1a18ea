#ifndef CURFEW_FAULTY_PIPE_H
#define CURFEW_FAULTY_PIPE_H

#include <event2/buffer.h>
#include <stdbool.h>

/*
 * In place of a socket: one request and its response of a connection over HTTP/2, as HTTP/1.1 has them. What is at the
 * other end is faulty/h2_stream.
 */
struct faulty_pipe {
    struct evbuffer *up, *down; /* to the API, and from it */
    bool peer_left;             /* the caller has reset its stream, or is gone */
    bool ended;                 /* the API has ended its side in order, */
    bool closed;                /* and closed its connection, */
    bool reset;                 /* perhaps by a reset */
    void (*moved)(
        struct faulty_pipe *pipe); /* one of these has changed. The API is not to be called from it */
};

#endif
