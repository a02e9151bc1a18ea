#ifndef CURFEW_PROXY_WORKER_THREAD_H
#define CURFEW_PROXY_WORKER_THREAD_H

#include <stdint.h>

#include "base/status.h"

struct proxy;
struct worker;

/* The life of a worker: its thread, which runs its loop. Main thread, but where said. */

/* A worker without a generation: switch_prepare and switch_commit give it one before it starts. */
enum status worker_init(struct worker *pw, struct proxy *proxy, uint32_t index) MUST_CHECK;
void worker_fini(struct worker *pw);

enum status worker_start(struct worker *pw) MUST_CHECK;
/*
 * Any thread: has the worker end its calls, close everything and leave its loop; then join it. If it hangs, it takes
 * the process with it.
 */
void worker_stop(struct worker *pw);

#endif
