#ifndef CURFEW_HTTP_KEEP_ALIVE_H
#define CURFEW_HTTP_KEEP_ALIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "http/http1.h"

/*
 * What a server says of how long its connection lives: `Keep-Alive: timeout=5, max=100` (RFC 2068 19.7.1.1; Apache,
 * Node, gunicorn and many others send it). A request that comes later meets a connection that is being closed, and one
 * that is not idempotent can't be sent again. So a connection is not used in the last second of `timeout`, which the
 * server may have begun to count before curfew did; with 1 or 0 it is not used again at all. Values only ever shorten
 * what the configuration allows. What can't be read is passed over; of several values the least counts.
 *
 * `max` has two readings: Apache counts down how many more requests it will take, others repeat how many the connection
 * gets in all. A value that is not below the one before is taken for the second, and 0 ends the connection in both.
 *
 * Pure.
 */
#define KEEP_ALIVE_UNSAID UINT32_MAX

/* What one connection was told. */
struct keep_alive {
    int64_t idle_ns; /* how long it may be idle; NS_NEVER: nothing was said */
    uint32_t max;    /* as the latest response with one said it; KEEP_ALIVE_UNSAID */
};

void keep_alive_init(struct keep_alive *said);

/*
 * Takes note of what a response says, the `served`-th on its connection, from 1. False: the connection is not to be
 * used again. To be called if the head has a Keep-Alive field.
 */
bool keep_alive_note(struct keep_alive *said, const struct http1_head *response, uint32_t served);

#endif
