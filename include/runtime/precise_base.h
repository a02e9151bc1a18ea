#ifndef CURFEW_RUNTIME_PRECISE_BASE_H
#define CURFEW_RUNTIME_PRECISE_BASE_H

struct event_base;

/*
 * An event base whose timers are never early: libevent's default clock is the coarse one, so that a timer of 300 ms
 * may run after 296. NULL: no memory or no descriptors. The caller frees it.
 */
struct event_base *precise_base_new(void);

#endif
