#ifndef CURFEW_PROXY_WORKER_H
#define CURFEW_PROXY_WORKER_H

#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>

#include "call/call_set.h"
#include "config/snapshot.h"
#include "http/date.h"
#include "http/http1.h"
#include "stats/metric.h"
#include "stats/stuck_calls.h"
#include "proxy/access_log.h"
#include "proxy/keepalive.h"
#include "proxy/proxy.h"
#include "runtime/dns.h"
#include "runtime/entropy.h"
#include "runtime/listen.h"
#include "runtime/loop.h"

struct generation_switch;

/* A listening socket as one worker sees it. */
struct listener_worker {
    struct acceptor acceptor;
    struct list_node node; /* in worker.listeners */
    struct worker *worker;
    const struct listener *listener;
    const struct upstream_config *upstream; /* the generation's in force */
};

/* What one worker has of the proxy: touched by its thread alone. */
struct worker {
    struct loop loop;
    struct proxy *proxy;
    struct generation *generation;   /* in force for what begins now; calls in flight have their own */
    const struct snapshot *snapshot; /* the generation's */
    struct list_node retired;        /* generations that may still have calls here */
    struct generation_switch *next;  /* made ready for the next generation; NULL: none */
    struct resolver *resolver;
    struct metrics *metrics;
    struct stuck_calls stuck;     /* that proxy/heartbeat has not taken yet */
    struct keepalive **keepalive; /* by upstream */
    struct pool **pools;          /* by number: the proxy's */
    struct call_set calls;
    uint32_t upstream_places;
    struct list_node downstreams;
    struct list_node cutting; /* upstream connections that are about to be cut */
    uint32_t cut_turn, cuts;  /* how many have been cut at once in that turn */
    struct list_node listeners;
    uint32_t downstream_count;
    uint32_t upstream_count;       /* open connections, idle ones included */
    struct access_log *access_log; /* NULL: none */
    struct log_ring *log;          /* NULL: no access log */
    struct timer audit;
    uint64_t next_call; /* id of the next call */
    int64_t date_s;     /* the second that `date` tells */
    char date[DATE_LEN];
    struct entropy entropy;
    struct mail shut; /* ends the worker */
    pthread_t thread;
    sem_t left; /* posted once the thread has left its loop */
    bool running;
    bool draining;
    bool empty;          /* and the main thread has been told so */
    struct mail emptied; /* tells the main thread, while draining, that the last caller has gone */
    /* scratch: used within one callback */
    struct http1_head head;
    char *text;
    size_t text_cap;
};

/* The generation of this snapshot, in force or with calls left. Its own thread. */
struct generation *worker_generation(const struct worker *pw, const struct snapshot *snapshot);

/* Closes all listeners. Its own thread. */
void worker_stop_listeners(struct worker *pw);

/* The instant as HTTP writes it, until the next call of this function. Its own thread. */
struct span worker_date(struct worker *pw);

/* Fills in the gauges of its block of metrics, which nobody keeps up to date. Its own thread. */
void worker_gauge(struct worker *pw);
/* Adds its counters, and its gauges as they were filled in, to a sum. Its own thread. */
void worker_add_metrics(const struct worker *pw, struct metrics *sum);

#endif
