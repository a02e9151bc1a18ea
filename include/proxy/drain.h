#ifndef CURFEW_PROXY_DRAIN_H
#define CURFEW_PROXY_DRAIN_H

#include "base/status.h"

struct proxy;

/*
 * The end of service without the end of calls: no connection is taken any more, calls in flight go on, those that wait
 * for a permit are refused at once, and each response is the last one of its connection. A connection without a call
 * has a moment more, in which a request that is on its way is still answered. Each call ends by its deadline at the
 * latest.
 */
typedef void (*drain_fn)(void *arg);

/*
 * `begun` runs when no call waits for a permit any more, at any worker; `done` when the last caller has gone. Each runs
 * once, in whatever order. ST_NOMEM: nothing has begun. Main thread; once.
 */
enum status proxy_drain(struct proxy *proxy, drain_fn begun, drain_fn done, void *arg) MUST_CHECK;

/* When all workers have ended. */
void drain_free(struct proxy *proxy);

#endif
