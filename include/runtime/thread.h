#ifndef CURFEW_RUNTIME_THREAD_H
#define CURFEW_RUNTIME_THREAD_H

#include <pthread.h>
#include <signal.h>

#include "base/status.h"

/* What a crash raises: the crashing thread's own. */
#define CRASH_SIGNALS SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT

/*
 * Begins a thread in which all signals are blocked but CRASH_SIGNALS. They are for the main thread: a handler that runs
 * elsewhere interrupts what that thread waits for. ST_NOMEM: there is no room for another thread.
 */
enum status thread_start(pthread_t *thread, void *(*body)(void *arg), void *arg) MUST_CHECK;

#endif
