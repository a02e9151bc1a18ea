#ifndef CURFEW_RUNTIME_CIRCUIT_H
#define CURFEW_RUNTIME_CIRCUIT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "core/breaker.h"
#include "core/verdict.h"
#include "runtime/mailbox.h"

struct loop;

/*
 * A breaker that all loops share: core/breaker under a lock. While it is closed and nothing has gone wrong since the
 * last good verdict, nobody takes the lock: the gate, one word, says so, and good verdicts are counted in rings, of
 * which each loop has its own. When it opens, each loop is told by mail, so that it refuses those that wait for a
 * permit.
 */
struct circuit;

/* It has opened. On the thread of each loop, some time later: it may be another generation's turn already. */
typedef void (*circuit_opened_fn)(struct circuit *circuit, struct loop *loop);

/* How often it has begun to refuse calls, and let all in again, since the last report. */
struct circuit_report {
    uint32_t openings, closings;
    enum breaker_reason reason; /* of the latest opening */
};

struct circuit {
    atomic_uint gate;          /* generation << 2 | CIRCUIT_CALM | CIRCUIT_CLOSED */
    _Atomic int64_t window_ns; /* terms.window_ns */
    pthread_mutex_t lock;
    struct breaker breaker;     /* under lock */
    struct breaker_terms terms; /* under lock */
    struct circuit_side *sides; /* by loop */
    struct loop *const *workers;
    uint32_t worker_count;
    circuit_opened_fn opened;
    struct mailbox *home; /* whose thread reports; NULL: nobody does */
    struct mail news;
    bool posted;                  /* news is on its way; under lock */
    bool refuses;                 /* it is not CLOSED, as far as that is in the report; under lock */
    struct circuit_report report; /* under lock */
};

#define CIRCUIT_CLOSED 1u
#define CIRCUIT_CALM   2u

/* CLOSED; `opened` is what loops are told by. */
enum status circuit_init(struct circuit *circuit, uint64_t seed, struct loop *const *workers,
                         uint32_t worker_count, circuit_opened_fn opened) MUST_CHECK;
/* From now on, before any loop runs, `news` goes to `home` when there is something to report. */
void circuit_report_to(struct circuit *circuit, struct mailbox *home, mail_fn news);
/* The home's thread: the report, of which nothing will be said again. */
struct circuit_report circuit_take_report(struct circuit *circuit);

/* No loop runs any more, but they are there: mails that are still on their way are taken back. */
void circuit_recall(struct circuit *circuit);
void circuit_fini(struct circuit *circuit);

/* Any thread: from now on these are the terms. `anew`: it is another API's, and closed. */
void circuit_set(struct circuit *circuit, const struct breaker_terms *terms, bool anew);

/* What has come of asking it, or of telling it something. */
struct circuit_news {
    enum breaker_state state;
    enum breaker_reason reason;
    int64_t left_ns; /* until it lets a call in again; 0: that hangs on a probe */
    bool opened;     /* just now, by this */
    bool has_opened; /* once at least, since it began: else there is no reason */
};

/* The generation in force, for whoever has waited with a pass: another one than the pass's, and it has to ask again. */
static inline uint32_t circuit_generation(struct circuit *circuit)
{
    return atomic_load_explicit(&circuit->gate, memory_order_relaxed) >> 2;
}

/* A call comes: true if it is let in without more ado, with a pass: while the breaker is closed. Any thread. */
static inline bool circuit_lets(struct circuit *circuit, struct breaker_pass *pass)
{
    uint32_t gate = atomic_load_explicit(&circuit->gate, memory_order_relaxed);

    *pass = (struct breaker_pass){.generation = gate >> 2};
    return (gate & CIRCUIT_CLOSED) != 0;
}

/* A call of `owner`, on its thread, comes: is it let in? *news is set if the lock was taken, else all zero. */
enum breaker_answer circuit_ask(struct circuit *circuit, const struct loop *owner, int64_t now_ns,
                                struct breaker_pass *pass, struct circuit_news *news) MUST_CHECK;

/*
 * Owner's thread: the good verdict of a call that was let in, while all is well: that is counted. False: circuit_tell
 * is to be told of it.
 */
bool circuit_count_good(struct circuit *circuit, const struct loop *owner, int64_t now_ns,
                        struct breaker_pass *pass) MUST_CHECK;

/*
 * Owner's thread: the verdict of a call that was let in. `asks_for_less`: it is neutral, and was a 429. The answer is
 * true, and *news is set, if that has opened it.
 */
bool circuit_tell(struct circuit *circuit, const struct loop *owner, enum verdict verdict, bool asks_for_less,
                  int64_t now_ns, struct breaker_pass *pass, struct circuit_news *news);

/* Would a call that comes now be let in? A moment later it may be otherwise. Any thread. */
bool circuit_would_let(struct circuit *circuit, int64_t now_ns);

/* As it is now. Any thread. */
struct circuit_news circuit_look(struct circuit *circuit, int64_t now_ns);

/*
 * Owner's thread: the audit. `count`, which runs under the lock, says how many of this loop's calls are live probes, by
 * circuit_is_live_probe_locked. False: the places do not agree with that, or the breaker is unsound.
 */
bool circuit_audit(struct circuit *circuit, const struct loop *owner, uint32_t (*count)(void *arg),
                   void *arg);
bool circuit_may_have_probes_locked(const struct circuit *circuit);
bool circuit_is_live_probe_locked(const struct circuit *circuit, const struct breaker_pass *pass);

#endif
