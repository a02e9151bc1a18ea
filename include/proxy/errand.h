#ifndef CURFEW_PROXY_ERRAND_H
#define CURFEW_PROXY_ERRAND_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/status.h"
#include "runtime/mailbox.h"

struct errand;
struct proxy;
struct proxy_worker;

/*
 * Something that each worker does on its own thread, between two calls; when the last one has done it, the main
 * thread hears of it. One after another may be run with the same errand. What was started before is done before, by
 * each.
 */
typedef void (*errand_run_fn)(struct errand *errand, struct proxy_worker *pw);
typedef void (*errand_done_fn)(struct errand *errand);

struct errand_leg {
    struct mail mail;
    struct errand *errand;
    struct proxy_worker *worker;
};

struct errand {
    struct proxy *proxy;
    errand_run_fn run;
    errand_done_fn done;
    struct mail reply;
    atomic_uint left;
    struct errand_leg *legs; /* by worker */
};

enum status errand_init(struct errand *errand, struct proxy *proxy) MUST_CHECK;
/* None is under way. */
void errand_fini(struct errand *errand);

/* Main thread. */
void errand_start(struct errand *errand, errand_run_fn run, errand_done_fn done);

#endif
