#ifndef CURFEW_PROXY_SCRAPE_H
#define CURFEW_PROXY_SCRAPE_H

#include "stats/metric.h"
#include "runtime/mailbox.h"

struct proxy;
struct scrape;

/* Runs on the thread that owns reply_to; `sum` is valid during the call. */
typedef void (*scrape_fn)(void *arg, const struct metrics *sum);

/*
 * Asks each worker for its counters, which it adds between two calls, so that the sum is exact: calls started = calls
 * ended + calls in flight. `done` runs once, when the last worker has answered. NULL: no memory.
 */
struct scrape *scrape_start(struct proxy *proxy, struct mailbox *reply_to, scrape_fn done, void *arg);

/* The same, with the routes' histograms of durations; sum->lacks_histograms if there was no memory for them. */
struct scrape *scrape_start_histograms(struct proxy *proxy, struct mailbox *reply_to, scrape_fn done,
                                       void *arg);

/*
 * `done` will not run any more; the memory goes when the last worker has answered. On reply_to's thread, before `done`
 * ran.
 */
void scrape_forget(struct scrape *scrape);

#endif
