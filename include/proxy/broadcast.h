#ifndef CURFEW_PROXY_BROADCAST_H
#define CURFEW_PROXY_BROADCAST_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/status.h"
#include "runtime/mailbox.h"

struct broadcast;
struct proxy;
struct worker;

/*
 * Something that each worker does on its own thread, between two calls; when the last one has done it, the main
 * thread hears of it. One after another may be run with the same broadcast. What was started before is done before, by
 * each.
 */
typedef void (*broadcast_run_fn)(struct broadcast *broadcast, struct worker *pw);
typedef void (*broadcast_done_fn)(struct broadcast *broadcast);

struct broadcast_part {
    struct mail mail;
    struct broadcast *broadcast;
    struct worker *worker;
};

struct broadcast {
    struct proxy *proxy;
    broadcast_run_fn run;
    broadcast_done_fn done;
    struct mail reply;
    atomic_uint left;
    struct broadcast_part *parts; /* by worker */
};

enum status broadcast_init(struct broadcast *broadcast, struct proxy *proxy) MUST_CHECK;
/* None is under way. */
void broadcast_fini(struct broadcast *broadcast);

/* Main thread. */
void broadcast_start(struct broadcast *broadcast, broadcast_run_fn run, broadcast_done_fn done);

#endif
