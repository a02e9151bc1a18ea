#ifndef CURFEW_PROXY_TALLY_H
#define CURFEW_PROXY_TALLY_H

#include <pthread.h>
#include <stdbool.h>

#include "stats/metric.h"
#include "stats/stuck_calls.h"
#include "proxy/broadcast.h"

/*
 * What the workers have counted so far, and the calls that got stuck since the last time: asked for again and again,
 * so it costs them little. They add up their counters and look at no call, so the gauges are all 0.
 */
struct tally {
    struct broadcast broadcast;
    bool under_way;
    pthread_mutex_t lock; /* one worker at a time */
    struct metrics *sum;  /* under lock; in `done`, nobody else's */
    struct stuck_calls stuck;
    void (*done)(struct tally *tally);
};

enum status tally_init(struct tally *tally, struct proxy *proxy,
                       void (*done)(struct tally *tally)) MUST_CHECK;
/* When all workers have ended: `done` does not run any more. Main thread. */
void tally_fini(struct tally *tally);

/* `done` runs on the main thread when the last worker has answered. False: one is under way, or there is no memory. */
bool tally_ask(struct tally *tally);

#endif
