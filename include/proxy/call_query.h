#ifndef CURFEW_PROXY_CALL_QUERY_H
#define CURFEW_PROXY_CALL_QUERY_H

#include <stdbool.h>
#include <stdint.h>

#include "stats/phase_counts.h"
#include "stats/call_top.h"

struct proxy;

/*
 * A query: each worker looks at its calls in flight and says which match a filter. It looks at a few in each turn
 * of its loop, so that however many there are, no call waits for the list longer than a fraction of a millisecond. A
 * call that begins meanwhile may be missing, one that ends is in the list if it was looked at before; none is in it
 * twice.
 */

/* What is done with the calls that match. */
enum call_query_act { CALL_QUERY_LIST, CALL_QUERY_CUT };

struct call_query_result {
    struct call_top top;        /* sorted */
    struct phase_counts counts; /* of all calls that match */
    int64_t longest_ns;         /* the longest time that a worker spent on it in one turn */
    bool is_stale;              /* a reload has come since the start: the numbers may have other owners now */
};

/* The result is valid during the call. */
typedef void (*call_query_fn)(void *arg, const struct call_query_result *result);

/*
 * Starts one; none may be under way. CALL_QUERY_CUT ends each call that matches, by CAUSE_OPERATOR, and lists it as
 * it was just before. `done` runs once, when the last worker has answered, and may start the next one. False: no
 * memory. Main thread.
 */
bool call_query_start(struct proxy *proxy, const struct call_top_filter *filter, enum call_query_act act,
                      call_query_fn done, void *arg) __attribute__((warn_unused_result));

#endif
