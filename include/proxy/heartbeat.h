#ifndef CURFEW_PROXY_HEARTBEAT_H
#define CURFEW_PROXY_HEARTBEAT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/status.h"
#include "runtime/mailbox.h"
#include "stats/metric.h"
#include "stats/stuck_calls.h"

struct generation;
struct heartbeat;
struct worker;

/* Whose numbers the counters have, and how many upstreams and routes these count. */
struct heartbeat_numbers {
    const struct generation *generation;
    uint32_t upstream_count, route_count;
};

/* Somebody to whom each beat matters. */
struct heartbeat_listener {
    struct list_node node;
    void (*beat)(struct heartbeat_listener *listener, const struct heartbeat *heartbeat);
};

/*
 * Does the loop of each worker turn? Nobody is woken up to be asked: workers wake up by themselves, all at the same
 * instants, and each says what it has counted so far, and which calls got stuck since it last spoke. When all have
 * spoken, that is a beat; where one does not turn, there is none. So a second costs each worker one wake-up, and the
 * main thread one. A worker adds up its counters and looks at no call, so the gauges are all 0.
 *
 * Main thread, but for heartbeat_speak.
 */
struct heartbeat {
    struct mailbox *home; /* the main thread's */
    uint32_t worker_count;
    int64_t began_ns, every_ns; /* workers speak at began_ns + n * every_ns, n > 0 */
    struct list_node listeners;
    struct heartbeat_numbers in_force;
    struct mail all_spoke;
    bool under_way;      /* a round is: until the main thread has had that mail */
    int64_t expected_ns; /* by when all should have spoken in it */

    pthread_mutex_t lock; /* for what follows, but during a beat, when the main thread alone has it */
    uint32_t missing;     /* workers that have not spoken in this round */
    uint64_t round;       /* its number: a worker speaks once in each */
    const struct generation *generation; /* a worker that has another one does not speak */
    int64_t spoke_ns;                    /* when the first worker did */
    struct metrics *sum;                 /* NULL: there was no memory for it, or a reload came in between */
    struct stuck_calls stuck;
    struct late_calls late;
};

/* The main thread's mailbox is borrowed. Workers speak at each multiple of `every_ns` from now on. */
void heartbeat_init(struct heartbeat *heartbeat, struct mailbox *home, uint32_t worker_count,
                    int64_t every_ns);
/* When all workers have ended, and what they have said last was delivered; all listeners have left. */
void heartbeat_fini(struct heartbeat *heartbeat);

/* These are in force: they may have other owners than before, so what was said so far is said again. */
void heartbeat_renumber(struct heartbeat *heartbeat, const struct heartbeat_numbers *numbers);

/* Hears of each beat from the next one on. As long as nobody does, the main thread sleeps. */
void heartbeat_listen(struct heartbeat *heartbeat, struct heartbeat_listener *listener);
void heartbeat_leave(struct heartbeat_listener *listener);

/* When the worker's timer next has it speak. Any thread. */
int64_t heartbeat_next_ns(const struct heartbeat *heartbeat, int64_t now_ns);
/* The worker's own thread. */
void heartbeat_speak(struct heartbeat *heartbeat, struct worker *pw, int64_t now_ns);

/* For how long one that should have spoken has not; 0: none is behind. */
int64_t heartbeat_overdue_ns(const struct heartbeat *heartbeat);

#endif
