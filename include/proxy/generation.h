#ifndef CURFEW_PROXY_GENERATION_H
#define CURFEW_PROXY_GENERATION_H

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "base/list.h"
#include "config/snapshot.h"
#include "call/context.h"
#include "runtime/mailbox.h"
#include "runtime/tls.h"
#include "runtime/tls_server.h"

struct proxy;
struct worker;

/* What one worker has of it. */
struct generation_worker {
    struct call_terms terms;
    struct generation *generation;
    struct list_node node; /* in worker.retired, once the worker has gone over to another one */
    char apart[64];        /* no two workers count in one line of the cache */
};

/*
 * One configuration as it runs: a snapshot, and what was read from the files that it names. Immutable once it is in
 * force. A call ends under the generation in which it began, so after a reload the old one stays for a while.
 *
 * Each worker counts who stands on it (struct call_terms). One that has gone over to a new generation looks once a
 * second whether anybody is left under the old one, and tells the main thread when there is nobody. When the last
 * worker has said so, it is freed.
 */
struct generation {
    struct list_node node; /* in proxy.generations; main thread */
    struct proxy *proxy;
    struct snapshot *snapshot;
    uint64_t number;                /* 1, 2 and so on, in the order of their coming into force, */
    struct timespec since;          /* which was then, by the wall clock */
    struct tls_client **tls;        /* by place in snapshot.upstreams; NULL: plain */
    struct tls_server **caller_tls; /* likewise; NULL: no listener of it speaks TLS */
    atomic_uint users;              /* workers that have calls of it, or may have */
    struct mail unused;             /* to the main thread, by the last of them */
    struct generation_worker workers[];
};

/*
 * Takes the snapshot over (it is NULLed), gives it its numbers and reads its TLS files. NULL: the snapshot is as it
 * was, and *why (terminated) says what failed. Main thread.
 */
struct generation *generation_new(struct proxy *proxy, struct snapshot **snapshot, char *why, size_t why_cap);
/* Nobody uses it. Main thread. */
void generation_free(struct generation *generation);

/* What calls of this worker begin under. */
struct call_terms *generation_terms(struct generation *generation, const struct worker *pw);

/* The worker goes over from this generation to another one. Its thread. */
void generation_retire(struct generation *generation, struct worker *pw);
/* Gives up what no call of this worker uses any more. Its thread, once a second. */
void generation_look_after(struct worker *pw);

#endif
