#ifndef CURFEW_RUNTIME_POOL_LEASE_H
#define CURFEW_RUNTIME_POOL_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/pool.h"

/*
 * A pool whose permits are lent to it for a time (pool_terms.is_leased): of its size, only what was lent is given out.
 * At first that is nothing. The lender looks at the pool when it likes, and when it is asked to: as somebody finds no
 * permit free, and, if it listens, as permits come back. Nobody who wants a permit ever waits for the lender: what was
 * lent, and until when, lies in the pool, and every grant looks at it with a clock that is read there; so a process
 * that was stopped grants nothing by what it knew before.
 */

/* What the lender sees: since it last looked, `peak` were held at once, and some have been granted. */
struct pool_news {
    uint32_t held, waiting, peak;
    uint32_t cuts;        /* that the API may not have heard of yet; of these permits, none is for others */
    int64_t cuts_next_ns; /* before that; INT64_MAX: there are none */
    uint32_t limit;       /* of what is lent, at most so many are given out */
    struct permit_pool *permits; /* to set its rate and its pause by (core/turn) */
    bool started;
    int64_t now_ns; /* CLOCK_BOOTTIME */
};

/* Says what is lent from now on. It runs under the pool's lock, and must not call back into it. */
typedef void (*pool_lend_fn)(void *arg, const struct pool_news *news, struct pool_lease *lease);
/* What has come of it, when waiters have been told: the same holds for it. */
typedef void (*pool_lent_fn)(void *arg, const struct pool_news *news);

/* The lender's thread: it has `asks` put into its mailbox when it is to look. The pool keeps both. */
void pool_set_lender(struct pool *pool, struct mailbox *lender, struct mail *asks);
/* It is not asked any more. */
void pool_drop_lender(struct pool *pool);

/* Any thread, before it gives a permit back: its call is being cut, which its API hears of in so long. */
void pool_note_cut(struct pool *pool, int64_t way_ns);

/*
 * The lender's thread: it looks, and lends. Where more is held than it lends, the pool comes down as permits come back;
 * waiters for whom there is a permit now are told.
 */
void pool_lend(struct pool *pool, pool_lend_fn lend, pool_lent_fn lent, void *arg);

/* Any thread: changes how the pool's rate and pause are its fleet's. `set` runs under its lock. */
void pool_set_turns(struct pool *pool, void (*set)(void *arg, struct permit_pool *permits), void *arg);

#endif
