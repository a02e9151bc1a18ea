#ifndef CURFEW_PROXY_BROADCAST_H
#define CURFEW_PROXY_BROADCAST_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "runtime/mailbox.h"

struct broadcast;
struct proxy;
struct worker;

/*
 * The one way to ask all workers something, or to have each do something: `run` runs once on each worker's thread,
 * between two calls, and `done` on the main thread when the last worker is through. One after another may be started
 * with the same broadcast, from `done` too. A worker runs broadcasts in the order in which they were started, and all
 * of them before it ends.
 */
typedef void (*broadcast_run_fn)(struct broadcast *broadcast, struct worker *pw);
typedef void (*broadcast_done_fn)(struct broadcast *broadcast);

struct broadcast_part {
    struct mail mail;
    struct broadcast *broadcast;
    struct worker *worker;
    bool again;
};

struct broadcast {
    struct proxy *proxy;
    broadcast_run_fn run;
    broadcast_done_fn done;
    pthread_mutex_t lock; /* for `run`, where the workers add up something */
    struct mail reply;
    atomic_uint left;
    struct broadcast_part *parts; /* by worker */
    /* the main thread's: */
    bool under_way;
    uint64_t renamed; /* proxy.renamed at the start */
};

enum status broadcast_init(struct broadcast *broadcast, struct proxy *proxy) MUST_CHECK;
/* None is under way, or all workers have ended: `done` does not run any more. Main thread. */
void broadcast_fini(struct broadcast *broadcast);

/* None is under way. Main thread. */
void broadcast_start(struct broadcast *broadcast, broadcast_run_fn run, broadcast_done_fn done);

/* Within `run`: it has more to do, and runs again in this worker's next turn. */
void broadcast_run_again(struct broadcast *broadcast, const struct worker *pw);

/* A reload has come since the start: the numbers of upstreams and routes may have other owners now. Main thread. */
bool broadcast_is_stale(const struct broadcast *broadcast) __attribute__((pure));

#endif
