#ifndef CURFEW_FAULTY_BEHAVIOURS_H
#define CURFEW_FAULTY_BEHAVIOURS_H

#include <stdio.h>

#include "faulty/behaviour.h"
#include "faulty/request.h"

/* Each table ends with a row without a path. */
extern const struct faulty_behaviour faulty_answers[];   /* slow, large or unusual, but correct */
extern const struct faulty_behaviour faulty_uploads[];   /* what is done with a request's content */
extern const struct faulty_behaviour faulty_faults[];    /* failures */
extern const struct faulty_behaviour faulty_orders[];    /* failures in an order, or at times */
extern const struct faulty_behaviour faulty_events[];    /* server-sent events */
extern const struct faulty_behaviour faulty_sockets[];   /* WebSockets */
extern const struct faulty_behaviour faulty_h2_faults[]; /* what only HTTP/2 and gRPC have */
extern const struct faulty_behaviour faulty_admin[];     /* /stats */

/* The behaviour for a request: never NULL, for an unknown path or a number out of bounds one that says so. */
const struct faulty_behaviour *faulty_behaviours_find(const struct faulty_request *request,
                                                      struct faulty_args *args);

/* The list of paths, for --help and for 404. */
void faulty_behaviours_describe(FILE *out);

#endif
