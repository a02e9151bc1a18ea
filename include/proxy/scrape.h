#ifndef CURFEW_PROXY_SCRAPE_H
#define CURFEW_PROXY_SCRAPE_H

#include <stdbool.h>

#include "stats/metric.h"

struct proxy;
struct scrape;

/* `sum` is valid during the call. NULL: a reload came in between, and there was no memory to ask again. */
typedef void (*scrape_fn)(void *arg, const struct metrics *sum);

/*
 * Asks each worker for its counters, which it adds between two calls, so that the sum is exact: calls started = calls
 * ended + calls in flight. With histograms: the routes' durations, too; sum->lacks_histograms if there was no memory
 * for them. `done` runs once, when the last worker has answered. NULL: no memory. Main thread.
 */
struct scrape *scrape_start(struct proxy *proxy, bool with_histograms, scrape_fn done, void *arg);

/* `done` will not run any more; the memory goes when the last worker has answered. Main thread, before `done` ran. */
void scrape_forget(struct scrape *scrape);

#endif
