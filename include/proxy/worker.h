#ifndef CURFEW_PROXY_WORKER_H
#define CURFEW_PROXY_WORKER_H

#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>

#include "base/list.h"
#include "core/timer.h"
#include "call/context.h"
#include "runtime/loop.h"
#include "runtime/mailbox.h"

struct access_log;
struct generation;
struct proxy;
struct generation_switch;

/* What one worker has of the proxy: touched by its thread alone. */
struct worker {
    struct loop loop;
    struct call_context context; /* what its calls need of all this */
    struct proxy *proxy;
    struct generation *generation;  /* in force for what begins now; calls in flight have their own */
    struct list_node retired;       /* generations that may still have calls here */
    struct generation_switch *next; /* made ready for the next generation; NULL: none */
    uint32_t upstream_places;       /* of context.keepalive */
    struct list_node listeners;
    struct access_log *access_log; /* NULL: none */
    struct timer second;           /* what is looked after once a second */
    struct timer beat;             /* when it speaks to proxy.heartbeat */
    uint64_t spoke_in_round;       /* of the heartbeat */
    struct mail shut;              /* ends the worker */
    pthread_t thread;
    sem_t left; /* posted once the thread has left its loop */
    bool running;
    bool empty;          /* and the main thread has been told so */
    struct mail emptied; /* tells the main thread, while draining, that the last caller has gone */
};

/* Closes all listeners. Its own thread. */
void worker_stop_listeners(struct worker *pw);

/* Fills in the gauges of its block of metrics, which nobody keeps up to date. Its own thread. */
void worker_gauge(struct worker *pw);
/* Adds its counters, and its gauges as they were filled in, to a sum. Its own thread. */
void worker_add_metrics(const struct worker *pw, struct metrics *sum);

#endif
