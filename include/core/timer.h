#ifndef CURFEW_CORE_TIMER_H
#define CURFEW_CORE_TIMER_H

#include <stdint.h>

#include "base/number.h"
#include "base/status.h"

/*
 * Timers: a 4-ary heap over absolute instants in nanoseconds; the clock is the caller's.
 *
 * A timer that is moved to a later instant, or cleared, stays where it is in the heap; when its old place comes up, or
 * comes first and timers_settle is asked, it is put where it now belongs. So an idle timer that is moved at each read
 * costs one store. timers_next may thus name an instant at which nothing is due; timers_run is then a cheap no-op.
 *
 * Never fires early. One thread.
 */
struct timer;
typedef void (*timer_fn)(struct timer *timer, int64_t now_ns);

struct timer {
    int64_t due_ns; /* when it shall fire; NS_NEVER: not set */
    int64_t key_ns; /* its place in the heap: never later than due_ns */
    uint32_t slot;  /* index in the heap; UINT32_MAX: not in it */
    timer_fn fn;    /* NULL before timer_init and after timer_fini */
};

struct timers {
    struct timer **heap;
    uint32_t count;    /* in the heap */
    uint32_t capacity; /* of the heap */
    uint32_t members;  /* timers between timer_init and timer_fini: the heap has room for all of them */
};

void timers_init(struct timers *timers);
/* All timers must have been finished before. */
void timers_fini(struct timers *timers);

/* Makes room for one more timer, so that timer_set can't fail; ST_NOMEM if there is none. */
enum status timer_init(struct timers *timers, struct timer *timer, timer_fn fn) MUST_CHECK;
void timer_fini(struct timers *timers, struct timer *timer);

/* Sets, moves or (NS_NEVER) clears. */
void timer_set(struct timers *timers, struct timer *timer, int64_t due_ns);

/* No timer fires before this instant; NS_NEVER if none is set. */
int64_t timers_next(const struct timers *timers);

/* The instant at which the next one fires; NS_NEVER if none is set. Those before it are put where they now belong. */
int64_t timers_settle(struct timers *timers);

/* For what has a rhythm: the first of began_ns + n * every_ns that is later than now_ns, which began_ns is not. */
int64_t timer_next_multiple(int64_t began_ns, int64_t every_ns, int64_t now_ns) __attribute__((const));

/* Fires all that are due, earliest first; a timer is cleared before its function runs. */
void timers_run(struct timers *timers, int64_t now_ns);

#endif
