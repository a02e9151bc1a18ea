#ifndef CURFEW_RUNTIME_LOOP_H
#define CURFEW_RUNTIME_LOOP_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/slab.h"
#include "base/status.h"
#include "core/timer.h"
#include "runtime/buffer.h"
#include "runtime/mailbox.h"

/*
 * A thread with an event loop. Everything that it owns is touched by its thread alone, but for what
 * this header says any thread may call.
 *
 * One turn of the loop: wait; run the callbacks of descriptors that are ready, but of a bounded number; run the
 * timers that are due; deliver mail; run some of what was deferred; free what was put off until the turn's end; arm
 * the timer descriptor if the earliest instant came nearer. What a turn has no room for is first in the next; mail
 * waits for no more than the turn that is on. All of a turn sees one time, which only moves on where a call begins.
 */
struct loop {
    struct event_base *base;
    struct timers timers;
    struct mailbox mailbox;
    struct event mail_event;
    struct event timer_event;
    int timer_fd;
    int64_t armed_ns; /* when timer_fd fires; NS_NEVER: it does not */
    int64_t now_ns;   /* of this turn; 0: not yet asked for */
    bool mail_waiting;
    /*
     * The descriptor's event that is being served has moved now_ns on to this instant, and nothing has started by it:
     * so it is what the clock says, but for what has been done of the event. Whoever starts by it uses it up.
     */
    bool is_fresh;
    uint32_t events; /* of descriptors, in this turn until it ends */
    uint32_t turn;   /* its number; begins again at 0 after a while */
    uint32_t full;   /* so many turns before it, in a row, had no room for all descriptors that were ready */
    atomic_bool stop;
    atomic_bool runs; /* in loop_run */
    pthread_t thread; /* which has called it last */
    uint32_t index;
    /* Descriptors are short: has it found one? NULL: it can't. */
    bool (*find_descriptor)(struct loop *loop);
    struct list_node deferred;   /* mails of our own, for the end of the turn */
    struct list_node free_later; /* memory to free at the end of the turn */
    struct buffer_spares spare_buffers;
    struct slab slab; /* for what comes and goes with each request */
};

enum status loop_init(struct loop *loop, uint32_t index) MUST_CHECK;
/* All transports, timers and mails are gone by then. Frees what still waits for that. */
void loop_fini(struct loop *loop);

/* The thread's body: turns until loop_stop. ST_FAILED: the event loop can't go on. */
enum status loop_run(struct loop *loop) MUST_CHECK;
/*
 * For who has a clock of its own, such as a simulation, and does what descriptors ask for itself: all that a turn does
 * after it has waited, at `now_ns`. The loop does not run.
 */
void loop_turn(struct loop *loop, int64_t now_ns);
/*
 * Is this the thread that may touch what the loop owns: its own, or, as long as it does not run, whichever has it? Any
 * thread.
 */
bool loop_is_own(const struct loop *loop);
/* When nothing is deferred any more. Any thread. */
void loop_stop(struct loop *loop);

/* The time of this turn: CLOCK_MONOTONIC, nanoseconds. */
int64_t loop_now(struct loop *loop);

/*
 * Moves the time of this turn on to this very instant: for the beginning of something whose end must not come early,
 * though the turn is a long one.
 */
int64_t loop_refresh_now(struct loop *loop);

/* The time at this very instant, by the same clock. Any thread. */
int64_t loop_clock_ns(void);

/* After `error`: if that is EMFILE or ENFILE, has a descriptor been found, so that it may be tried again? */
bool loop_find_descriptor(struct loop *loop, int error);

/*
 * A descriptor of many is being served: after as many of them as a turn has room for, the turn ends, and the others,
 * which libevent keeps, have the next one. Timers that are due wait no longer than that.
 */
void loop_count_event(struct loop *loop);

/*
 * As a mail to oneself, without a lock or a system call: runs at the end of this turn, or, in its order, of a later
 * one.
 */
void loop_defer(struct loop *loop, struct mail *mail);
/* Takes a deferred mail back. */
void loop_undefer(struct mail *mail);

/*
 * Own thread: timers that were moved to later, or cleared, in this turn will not wake the loop up at the instants that
 * they had before. For what happens seldom: it is a call to the system now, in place of a turn for nothing later.
 */
void loop_rearm(struct loop *loop);

/* Own thread: the mailbox is looked into at the end of this turn, without a ring. */
void loop_expect_mail(struct loop *loop);

/* Something whose memory goes at the end of the turn, so that no callback further up still stands on it. */
struct deferred_free {
    struct list_node node;
    void (*free_fn)(struct deferred_free *deferred_free);
};
void loop_free_later(struct loop *loop, struct deferred_free *deferred_free,
                     void (*free_fn)(struct deferred_free *deferred_free));

#endif
