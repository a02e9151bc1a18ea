#ifndef CURFEW_CORE_QUEUE_H
#define CURFEW_CORE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

/*
 * Who of those that wait for a permit is next. Either the first that came; or, if the queue is shared, the first of
 * the next bucket: waiters with the same key are in one of 64 buckets, and buckets are served round robin, so that a
 * key with many waiters stands in the way of its own. Two keys in one bucket stand in for each other; which do, differs
 * from process to process. Pure, for one thread at a time. Every operation takes the same time however many wait, but
 * those that say so.
 */
#define QUEUE_BUCKETS 64u

/* A waiter's place. Zero, but for the bucket, is on no queue. */
struct queue_place {
    struct list_node node;
    uint8_t bucket; /* below QUEUE_BUCKETS; of no meaning while the queue is not shared */
};

struct queue_shares {
    struct list_node buckets[QUEUE_BUCKETS];
    uint32_t lengths[QUEUE_BUCKETS];
    uint64_t filled; /* a bit for each bucket that has waiters */
    uint32_t turn;   /* the bucket that is served next, or the next one after it that has waiters */
};

struct queue {
    uint32_t length;
    struct list_node line;       /* all of them, if it is not shared */
    struct queue_shares *shares; /* NULL: it is not */
};

void queue_init(struct queue *queue);

/*
 * Shares the queue, or with NULL does so no more. Those who wait keep their places, as far as the new order has them.
 * Returns what it was shared by before; `shares` needs no beginning. Takes as long as there are waiters.
 */
struct queue_shares *queue_share(struct queue *queue, struct queue_shares *shares);

void queue_push(struct queue *queue, struct queue_place *place);
void queue_remove(struct queue *queue, struct queue_place *place);

/* The next one, unlinked; NULL: nobody waits. */
struct queue_place *queue_take(struct queue *queue);

/* How many would be served before a newcomer to this bucket if nobody came or left from now on. */
uint32_t queue_ahead(const struct queue *queue, uint8_t bucket) __attribute__((pure));

/*
 * Who makes room for a newcomer to this bucket when the queue is full: the newest of the longest bucket. NULL: that
 * would be the newcomer itself, as it always is when the queue is not shared.
 */
struct queue_place *queue_yielding(const struct queue *queue, uint8_t bucket) __attribute__((pure));

/*
 * Moves everybody whom `fits` turns down to the end of `out`; each bucket is gone through in its order. Takes as long
 * as there are waiters.
 */
void queue_sweep(struct queue *queue, bool (*fits)(const struct queue_place *place, void *arg), void *arg,
                 struct list_node *out);

/* Who is next, and the last one behind it in its bucket. False: nobody waits. */
bool queue_ends(const struct queue *queue, struct queue_place **first, struct queue_place **last);

/* Do its parts fit together? Takes as long as there are waiters. */
bool queue_is_sound(const struct queue *queue);

#endif
