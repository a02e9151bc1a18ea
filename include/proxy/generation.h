#ifndef CURFEW_PROXY_GENERATION_H
#define CURFEW_PROXY_GENERATION_H

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "base/list.h"
#include "config/snapshot.h"
#include "runtime/mailbox.h"
#include "runtime/tls.h"

struct proxy;
struct worker;

/*
 * One configuration as it runs: a snapshot, and what was read from the files that it names. Immutable once it is in
 * force. A call ends under the generation in which it began, so after a reload the old one stays for a while.
 *
 * Calls do not count their generations: that would cost each of them something for what happens once in a blue moon.
 * Instead a worker that has gone over to a new generation looks once a second whether a call of the old one is left,
 * and tells the main thread when there is none. When the last worker has said so, it is freed.
 */
struct generation {
    struct list_node node; /* in proxy.generations; main thread */
    struct proxy *proxy;
    struct snapshot *snapshot;
    uint64_t number;            /* 1, 2 and so on, in the order of their coming into force, */
    struct timespec since;      /* which was then, by the wall clock */
    struct tls_client **tls;    /* by place in snapshot.upstreams; NULL: plain */
    atomic_uint users;          /* workers that have calls of it, or may have */
    struct mail unused;         /* to the main thread, by the last of them */
    struct list_node retired[]; /* by worker: in worker.retired, once it has gone over to another */
};

/*
 * Takes the snapshot over (it is NULLed), gives it its numbers and reads its TLS files. NULL: the snapshot is as it
 * was, and *why (terminated) says what failed. Main thread.
 */
struct generation *generation_new(struct proxy *proxy, struct snapshot **snapshot, char *why, size_t why_cap);
/* Nobody uses it. Main thread. */
void generation_free(struct generation *generation);

/* The client for connections to an upstream of this generation; NULL: plain. */
struct tls_client *generation_tls(const struct generation *generation,
                                  const struct upstream_config *upstream);

/* The worker goes over from this generation to another one. Its thread. */
void generation_retire(struct generation *generation, struct worker *pw);
/* Gives up what no call of this worker uses any more. Its thread, once a second. */
void generation_look_after(struct worker *pw);

#endif
