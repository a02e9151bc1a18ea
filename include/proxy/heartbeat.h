#ifndef CURFEW_PROXY_HEARTBEAT_H
#define CURFEW_PROXY_HEARTBEAT_H

#include <stdint.h>

#include "base/list.h"
#include "stats/metric.h"
#include "stats/stuck_calls.h"
#include "proxy/broadcast.h"

struct heartbeat;

/* Somebody to whom each beat matters. */
struct heartbeat_listener {
    struct list_node node;
    void (*beat)(struct heartbeat_listener *listener, const struct heartbeat *heartbeat);
};

/*
 * Has the loop of each worker turned? A worker's answer is what it has counted so far, and the calls that got stuck
 * since its last answer; where one does not turn, there is no beat. It is asked for again and again, so it costs the
 * workers little: they add up their counters and look at no call, so the gauges are all 0. All on the main thread.
 */
struct heartbeat {
    struct broadcast broadcast;
    struct list_node listeners;
    int64_t asked_ns; /* when the workers were last asked */
    /* valid during a beat: */
    struct metrics *sum; /* NULL: there was no memory for it */
    struct stuck_calls stuck;
    struct late_calls late;
};

enum status heartbeat_init(struct heartbeat *heartbeat, struct proxy *proxy) MUST_CHECK;
/* When all workers have ended. There is no beat any more. */
void heartbeat_fini(struct heartbeat *heartbeat);

/* Every listener hears of it when the last worker has answered. While workers are asked already, that has to do. */
void heartbeat_ask(struct heartbeat *heartbeat);

/* For how long the workers have been asked, and not all have answered; 0: none is behind. */
int64_t heartbeat_unanswered_ns(const struct heartbeat *heartbeat);

#endif
