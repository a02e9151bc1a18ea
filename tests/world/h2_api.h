#ifndef CURFEW_TESTS_WORLD_H2_API_H
#define CURFEW_TESTS_WORLD_H2_API_H

#include <stdbool.h>

#include "world.h"

/*
 * An API's end of a connection over HTTP/2, with as many streams as curfew begins. Its ears are as fast as the network:
 * h2_api_hear takes in what curfew has written, after each step, and holds it to what it was allowed to write. What it
 * does about that is slow, and drawn by lot, in h2_api_serve.
 */
struct h2_api;

struct h2_api *h2_api_new(struct world *world, struct world_api *api, struct net_end *end);
void h2_api_free(struct h2_api *it);

/* Adds the streams whose answer is still to come to *at_work. */
void h2_api_hear(struct h2_api *it, uint32_t *at_work);

enum h2_api_end { H2_API_GOES_ON, H2_API_STALLS, H2_API_ENDS, H2_API_RESETS };
enum h2_api_end h2_api_serve(struct h2_api *it);

#endif
